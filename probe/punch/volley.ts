/** The guesses of a plan as single packets, each with its time. */
import { type Endpoint, type Family, familyOf } from '../../shared/endpoint.ts';
import type { PortRange } from '../../shared/nat/port-law.ts';
import type { PunchStep } from '../../shared/punch/plan.ts';
import { GUESS_PACE_MS, type StrategyName } from '../../shared/punch/strategy.ts';

export interface Shot {
  readonly atMs: number;
  readonly socket: string;
  readonly to: Endpoint;
  readonly strategy: StrategyName;
  readonly ttl?: number;
}

/** Randomness, as an argument: that many bytes. */
export type RandomBytes = (length: number) => Uint8Array;

/** A round of few guesses is over sooner; then the answers to it have to have a chance first. */
const SHORTEST_ROUND_MS = 100;

/** A socket that a step has opened; `number` is its place among those that it asked for. */
export interface SpreadSocket {
  readonly socket: string;
  readonly number: number;
}

/** What a step shoots, in order; nothing for one that only checks. */
export function planVolley(
  { strategy, atMs, action }: PunchStep,
  mains: Readonly<Partial<Record<Family, string>>>,
  spread: readonly SpreadSocket[],
  random: RandomBytes,
): Shot[] {
  switch (action.kind) {
    case 'check':
    case 'connect':
    case 'listen':
      return [];
    case 'guess': {
      const { address, ports, rounds } = action;
      const socket = mains[familyOf(address)];
      if (socket === undefined) return [];
      const roundMs = roundOf(ports.length);
      return Array.from({ length: rounds }, (_, round) =>
        ports.map((port, index) => ({
          atMs: atMs + round * roundMs + index * GUESS_PACE_MS,
          socket,
          to: { address, port },
          strategy,
        })),
      ).flat();
    }
    case 'spray': {
      const { address, ranges, probes } = action;
      const socket = mains[familyOf(address)];
      if (socket === undefined) return [];
      return drawPorts(ranges, probes, random).map((port, index) => ({
        atMs: atMs + index * GUESS_PACE_MS,
        socket,
        to: { address, port },
        strategy,
      }));
    }
    case 'spread': {
      const { to, ttl, sockets, rounds = 1, isPaired = false } = action;
      const roundMs = roundOf(sockets);
      return Array.from({ length: rounds }, (_, round) =>
        spread.map(({ socket, number }) => ({
          atMs: atMs + round * roundMs + number * GUESS_PACE_MS,
          socket,
          to: isPaired ? { ...to, port: to.port + number } : to,
          strategy,
          ...(ttl !== undefined && { ttl }),
        })),
      ).flat();
    }
  }
}

function roundOf(packets: number): number {
  return Math.max(SHORTEST_ROUND_MS, packets * GUESS_PACE_MS);
}

/** So many different ports of the ranges, at random: the first steps of a Fisher–Yates shuffle. */
function drawPorts(ranges: readonly PortRange[], count: number, random: RandomBytes): number[] {
  const ports = ranges.flatMap(({ first, last, step }) =>
    Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, index) => first + index * step),
  );
  const drawn = Math.min(count, ports.length);
  const bytes = Buffer.from(random(4 * drawn));
  for (let index = 0; index < drawn; index++) {
    const other = index + (bytes.readUInt32BE(4 * index) % (ports.length - index));
    [ports[index], ports[other]] = [ports[other]!, ports[index]!];
  }
  return ports.slice(0, drawn);
}
