/** Predictions of the next port, held against where it then was, on the simulated network. */
import { planPorts } from '../../probe/classify/inquiries/ports.ts';
import { observe } from '../../shared/nat/observations.ts';
import { includesPort, PORT_COUNT } from '../../shared/nat/port-law.ts';
import { assessPorts, predictNextPort, PREDICTED_SHARE, type PortsValue } from '../../shared/nat/ports.ts';
import { sightingsOf } from '../../shared/nat/sightings.ts';
import { startCrossTraffic } from './cross-traffic.ts';
import { Host } from './host.ts';
import { inquireIn } from './inquire.ts';
import type { LossOptions } from './loss.ts';
import type { Dependence } from './nat.ts';
import type { PortAllocation } from './ports.ts';
import { buildWorld, type Scenario } from './scenario.ts';

/** A NAT, what others do behind it, and which mapping is predicted. */
export interface CalibrationCase {
  readonly mapping: Dependence;
  readonly ports: PortAllocation;
  /** New mappings a second by another inside host. */
  readonly flowsPerSecond: number;
  readonly next: 'new-socket' | 'new-endpoint';
  /** From the end of the inquiry to the next mapping. */
  readonly afterMs: number;
  readonly loss?: LossOptions;
}

export interface Calibration {
  readonly runs: number;
  /** How often the port was in the set. */
  readonly hits: number;
  /** How often the value was right. */
  readonly named: number;
  /** The mean of the stated probability, of the set's size, and of that of the smallest set that would have done. */
  readonly stated: number;
  readonly count: number;
  readonly smallest: number;
}

const RTT_MS = 50;
const PEER = { address: '198.51.100.50', port: 5000 };
/** Cross-traffic has been going on for this long. */
const WARM_UP_MS = 500;

export function calibrate(item: CalibrationCase, firstSeed: number, runs: number): Calibration {
  let hits = 0;
  let named = 0;
  let stated = 0;
  let count = 0;
  let smallest = 0;
  for (let seed = firstSeed; seed < firstSeed + runs; seed += 1) {
    const outcome = runOnce(item, seed);
    hits += outcome.isHit ? 1 : 0;
    named += outcome.value === trueValue(item) ? 1 : 0;
    stated += outcome.stated / runs;
    count += outcome.count / runs;
    smallest += outcome.smallest / runs;
  }
  return { runs, hits, named, stated, count, smallest };
}

function runOnce(
  item: CalibrationCase,
  seed: number,
): { isHit: boolean; value: string; stated: number; count: number; smallest: number } {
  const world = buildWorld(scenarioOf(item), {
    seed,
    rttMs: RTT_MS,
    ...(item.loss === undefined ? {} : { rough: { loss: item.loss } }),
  });
  const { network } = world;
  if (item.flowsPerSecond > 0) startCrossTraffic(new Host(world.lan, ['10.0.0.3']), item.flowsPerSecond);
  network.run(WARM_UP_MS);
  const { result } = inquireIn(world, planPorts({ server: world.server.primary }));
  const axis = assessPorts(result!.evidence);
  const endedAt = network.now;

  const observations = observe(result!.evidence);
  const sightings = sightingsOf(observations, 'ports');
  const own = sightings.filter(({ socket }) => socket === 'ports');
  const last = sightings.reduce((a, b) => (b.sentMs > a.sentMs ? b : a));
  network.run(endedAt + item.afterMs);
  const isNew = item.next === 'new-socket';
  const localPort = isNew ? network.random.integer(32_768, 60_999) : own[0]!.local.port;
  const ownPort = own.at(-1)!.mapped.port;
  const prediction = predictNextPort(
    axis,
    isNew
      ? { kind: 'new-socket', localPort, afterMs: item.afterMs }
      : { kind: 'new-endpoint', localPort, ownPort, afterMs: item.afterMs },
  );
  const port = portSeen(world, localPort);
  return {
    isHit: includesPort(prediction.ports, port),
    value: axis.value,
    stated: prediction.probability,
    count: prediction.count,
    smallest: smallestCount(item, observations.nowMs - last.sentMs + item.afterMs),
  };
}

/** Sends one packet from that local port to somebody new, over a path without loss. */
function portSeen(world: ReturnType<typeof buildWorld>, localPort: number): number {
  const { network, client } = world;
  let port: number | undefined;
  const peer = new Host(network.internet, [PEER.address]);
  peer.openSocket(PEER, {
    onDatagram(_bytes, from) {
      port ??= from.port;
      network.stop();
    },
  });
  const socket = client.openSocket(
    { address: client.addressOf('ipv4')!, port: localPort },
    { onDatagram: () => undefined },
  )!;
  // Repeated in case the path loses it: the mapping is made by the first, since the loss is beyond the NAT.
  for (let attempt = 0; port === undefined && attempt < 50; attempt += 1) {
    socket.send(PEER, new Uint8Array(1));
    network.run(network.now + RTT_MS);
  }
  return port!;
}

/** The size of the smallest set with PREDICTED_SHARE for somebody who knows the NAT, its state and the rate of the traffic. */
function smallestCount(
  { mapping, ports, next, flowsPerSecond }: CalibrationCase,
  sinceLastMs: number,
): number {
  const isKept = next === 'new-endpoint' && mapping === 'endpoint-independent';
  if (isKept) return 1;
  switch (ports.kind) {
    case 'preserve':
      return next === 'new-socket' || ports.onCollision === 'sequential' ? 1 : PREDICTED_SHARE * PORT_COUNT;
    case 'sequential':
      return poissonCount((flowsPerSecond * sinceLastMs) / 1000);
    case 'random':
      return PREDICTED_SHARE * PORT_COUNT;
    case 'parity':
      return (PREDICTED_SHARE * PORT_COUNT) / 2;
    case 'block':
      return ports.within === 'sequential' ? 1 : PREDICTED_SHARE * ports.size;
  }
}

/** How many numbers it takes to have PREDICTED_SHARE of a Poisson distribution. */
function poissonCount(mean: number): number {
  const chances: number[] = [];
  let logChance = -mean;
  for (let k = 0; k < 3 * mean + 20; k += 1) {
    chances.push(Math.exp(logChance));
    logChance += Math.log(mean) - Math.log(k + 1);
  }
  let share = 0;
  let count = 0;
  for (const chance of chances.sort((a, b) => b - a)) {
    if (share >= PREDICTED_SHARE) break;
    share += chance;
    count += 1;
  }
  return count;
}

/** A block whose ports come in order looks like a counter until it is full. */
function trueValue({ ports }: CalibrationCase): PortsValue {
  switch (ports.kind) {
    case 'preserve':
      return 'preserved';
    case 'parity':
      return 'random';
    case 'block':
      return ports.within === 'sequential' ? 'sequential' : 'block';
    case 'sequential':
    case 'random':
      return ports.kind;
  }
}

function scenarioOf({ mapping, ports }: CalibrationCase): Scenario {
  return {
    name: 'calibration',
    family: 'ipv4',
    layers: [{ kind: 'nat', behaviour: { mapping, filtering: 'endpoint-independent', ports } }],
    truth: { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' },
  };
}

export const CALIBRATED_ALLOCATIONS: readonly (readonly [string, PortAllocation])[] = [
  ['preserved, else random', { kind: 'preserve', onCollision: 'random' }],
  ['preserved, else the next', { kind: 'preserve', onCollision: 'sequential' }],
  ['sequential', { kind: 'sequential', first: 20_000, delta: 1 }],
  ['sequential by two', { kind: 'sequential', first: 20_000, delta: 2 }],
  ['random', { kind: 'random' }],
  ['random, parity kept', { kind: 'parity' }],
  ['block of 512, random', { kind: 'block', base: 1024, size: 512, within: 'random' }],
  ['block of 2000, random', { kind: 'block', base: 1024, size: 2000, within: 'random' }],
  ['block of 512, in order', { kind: 'block', base: 1024, size: 512, within: 'sequential' }],
];
