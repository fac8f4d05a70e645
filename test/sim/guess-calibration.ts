/** What is predicted of guessed ports, from a measured report, held against guesses in the simulator. */
import { planPorts } from '../../probe/classify/inquiries/ports.ts';
import { assessPorts, type PortsAxis } from '../../shared/nat/ports.ts';
import { behaviourOf, parseBehaviour, type PunchBehaviour } from '../../shared/punch/behaviour.ts';
import { guessPorts, portOddsOf } from '../../shared/punch/port-odds.ts';
import { predict } from '../../shared/punch/predict.ts';
import type { Strategy } from '../../shared/punch/strategy.ts';
import { startCrossTraffic } from './cross-traffic.ts';
import { Host } from './host.ts';
import { inquireIn } from './inquire.ts';
import type { PortAllocation } from './ports.ts';
import { buildWorld, type Scenario, type World } from './scenario.ts';

const RTT_MS = 50;
/** From the look at the server to the packets to the peer, as the prediction takes it. */
const PLAN_LAG_MS = 200;
const RENDEZVOUS = { address: '198.51.100.49', port: 3478 };
const PEER = { address: '198.51.100.50', port: 5000 };
const STRICT: PunchBehaviour = { ...parseBehaviour('EIM/APDF'), unsolicited: 'dropped' };
const MOVING = {
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
} as const;

export interface GuessCalibration {
  /** Which strategy was predicted in how many runs. */
  readonly strategies: Readonly<Record<string, number>>;
  /** The mean of the predicted probabilities, and the share of runs in which a guess hit. */
  readonly predicted: number;
  readonly actual: number;
}

/** Measures, predicts and guesses in `runs` worlds, each with a NAT of its own. */
export function calibrateGuesses(
  ports: PortAllocation,
  flowsPerSecond: number,
  runs: number,
): GuessCalibration {
  const strategies: Record<string, number> = {};
  let predicted = 0;
  let hits = 0;
  for (let seed = 1; seed <= runs; seed++) {
    const world = buildWorld(scenarioOf(ports), { seed, rttMs: RTT_MS });
    if (flowsPerSecond > 0) startCrossTraffic(new Host(world.lan, ['10.0.0.3']), flowsPerSecond);
    world.network.run(500);
    const { result } = inquireIn(world, planPorts({ server: world.server.primary }));
    const axis = assessPorts(result!.evidence);
    const prediction = predict({ ...behaviourOf(MOVING), ports: portOddsOf(axis) }, STRICT);
    const strategy = prediction.strategies.find(({ name }) => name === prediction.strategy)!;
    strategies[strategy.name] = (strategies[strategy.name] ?? 0) + 1;
    predicted += strategy.probability / runs;
    hits += isHit(world, axis, strategy) ? 1 : 0;
  }
  return { strategies, predicted, actual: hits / runs };
}

/** Opens the sockets that the strategy wants, and tries the ports that it guesses. */
function isHit({ network, client }: World, axis: PortsAxis, { guessing }: Strategy): boolean {
  if (guessing === undefined) return false;
  const seen: number[] = [];
  const mapped = new Set<number>();
  listen(network.internet, RENDEZVOUS, (port) => seen.push(port));
  listen(network.internet, PEER, (port) => mapped.add(port));
  const address = client.addressOf('ipv4')!;
  const sockets = Array.from({ length: guessing.sockets }, () =>
    client.openSocket({ address, port: 0 }, { onDatagram: () => undefined })!,
  );
  const startsAt = network.now;
  for (const socket of sockets) socket.send(RENDEZVOUS, new Uint8Array(1));
  network.run(startsAt + PLAN_LAG_MS);
  for (const socket of sockets) socket.send(PEER, new Uint8Array(1));
  network.run(network.now + RTT_MS);
  const ownPort = seen[0]!;
  const guesses = guessPorts(
    axis,
    {
      localPort: sockets[0]!.local.port,
      ownPort,
      afterMs: network.now - startsAt,
      latest: { port: seen.at(-1)!, agoMs: PLAN_LAG_MS },
    },
    guessing.probes,
  );
  return guesses.some((port) => mapped.has(port));
}

function listen(realm: Host['realm'], at: typeof PEER, onPort: (port: number) => void): void {
  new Host(realm, [at.address]).openSocket(at, { onDatagram: (_bytes, from) => onPort(from.port) });
}

function scenarioOf(ports: PortAllocation): Scenario {
  return {
    name: 'guessed',
    family: 'ipv4',
    layers: [{ kind: 'nat', behaviour: { ...MOVING, ports } }],
    truth: { type: 'symmetric', ...MOVING },
  };
}
