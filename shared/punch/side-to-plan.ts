/** Where a side can be sent to, and the ports that its next mappings may have. */
import type { Endpoint } from '../endpoint.ts';
import { FIRST_PORT, LAST_PORT, type PortRange, type Situation } from '../nat/port-law.ts';
import type { PortsAxis } from '../nat/ports.ts';
import type { PunchBehaviour } from './behaviour.ts';

import type { PunchCandidate, PunchStep } from './plan.ts';
import { type Draw, guessPorts, keepsFreshPorts, LOW_PORTS, portsAhead, portsToDraw } from './port-odds.ts';

/** One side over one family. */
export interface SideToPlan {
  readonly behaviour: PunchBehaviour;
  readonly candidates: readonly PunchCandidate[];
  /** Undefined where it isn't known. */
  readonly natLayers: number | undefined;
  /** From when its public candidate was seen to the start. */
  readonly seenAgoMs: number;
  readonly ports?: Pick<PortsAxis, 'model'>;
}

/** What a port mapper opened lets anybody in, so it comes first. */
export function publicOf({ candidates }: SideToPlan): Endpoint[] {
  return (['mapped', 'ipv6', 'public'] as const).flatMap((wanted) =>
    candidates.filter(({ kind }) => kind === wanted).map(({ endpoint }) => endpoint),
  );
}

/** The likeliest ports of the side's main socket towards a new peer; undefined if nothing is known of them. */
export function portsOf(side: SideToPlan, count: number): number[] | undefined {
  const situation = situationOf(side);
  return side.ports === undefined || situation === undefined
    ? undefined
    : guessPorts(side.ports, situation, count);
}

/** Those that its main socket's next mappings have, if they are counted. */
export function aheadOf(side: SideToPlan, count: number, stride: number): number[] | undefined {
  const situation = situationOf(side);
  return side.ports === undefined || situation === undefined
    ? undefined
    : portsAhead(side.ports, situation, count, stride);
}

export type LocalPorts = NonNullable<Extract<PunchStep['action'], { kind: 'spread' }>['localPorts']>;

/** Local ports for so many new sockets, next to the main one's, of a side whose NAT keeps them at first. */
export function freshPortsOf(
  { behaviour: { ports, mapped } }: SideToPlan,
  count: number,
): LocalPorts | undefined {
  if (ports === undefined || mapped === undefined || !keepsFreshPorts(ports)) return undefined;
  const first = mapped.port + count <= LAST_PORT ? mapped.port + 1 : mapped.port - count;
  return { first, last: first + count - 1 };
}

export function listPorts(ports: LocalPorts | undefined): number[] | undefined {
  return ports && Array.from({ length: ports.last - ports.first + 1 }, (_, index) => ports.first + index);
}

function situationOf({ behaviour: { mapped, local }, seenAgoMs }: SideToPlan): Situation | undefined {
  return (
    mapped && {
      localPort: local?.port ?? mapped.port,
      ownPort: mapped.port,
      afterMs: seenAgoMs,
      latest: { port: mapped.port, agoMs: seenAgoMs },
    }
  );
}

export function rangesOfGuesses(side: SideToPlan, probes: number, attempt: number): PortRange[] {
  if (side.behaviour.lowPorts === true) return [{ ...LOW_PORTS, step: 1 }];
  const situation = situationOf(side);
  return side.ports === undefined || situation === undefined
    ? [{ first: FIRST_PORT, last: LAST_PORT, step: 1 }]
    : portsToDraw(side.ports, situation, probes, drawOf(side, attempt));
}

function drawOf({ behaviour: { mapping } }: SideToPlan, attempt: number): Draw {
  if (mapping === 'address-dependent') return attempt === 1 ? 'elsewhere' : 'elsewhereLater';
  return attempt === 1 ? 'first' : 'later';
}
