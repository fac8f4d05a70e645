/** Where a NAT would map a socket next, towards an endpoint that it has not sent to: a set of ports. */
import type { Evidence } from './evidence.ts';
import { observe } from './observations.ts';
import { PORT_COUNT } from './port-law.ts';
import { type PortPrediction, type PortsAxis, predictNextPort } from './ports.ts';
import { sightingsOf } from './sightings.ts';

export interface NextPort extends PortPrediction {
  /** The socket that it is said of, by its local port, and the port that it was last mapped to. */
  readonly localPort: number;
  readonly ownPort: number;
  /** From the end of the measuring to the new mapping, in milliseconds. */
  readonly afterMs: number;
}

/** About what a punch takes to be agreed on. */
const AFTER_MS = 200;

/**
 * Says it of the socket that was asked first in the evidence of a `ports` inquiry; undefined if none was
 * seen. Throws TypeError if the evidence lacks its `run`.
 */
export function assessNextPort(
  axis: Pick<PortsAxis, 'model'>,
  evidence: readonly Evidence[],
): NextPort | undefined {
  const sightings = sightingsOf(observe(evidence), 'ports');
  const last = sightings.findLast(({ socket }) => socket === sightings[0]!.socket);
  if (last === undefined) return undefined;
  const socket = { localPort: last.local.port, ownPort: last.mapped.port, afterMs: AFTER_MS };
  return { ...predictNextPort(axis, { kind: 'new-endpoint', ...socket }), ...socket };
}

/** In plain words, for one line. */
export function describeNextPort({ ports, count, probability, ownPort }: NextPort): string {
  const percent = `${Math.floor(probability * 100)} %`;
  const [first, last] = [ports[0]!.first, ports.at(-1)!.last];
  if (count > PORT_COUNT / 2)
    return `a socket's port towards a new address can be any from ${first} to ${last}`;
  if (count > 1)
    return `a socket's port towards a new address will be one of ${count} from ${first} to ${last} (${percent})`;
  const which = first === ownPort ? 'the one that it has' : String(first);
  return `a socket's port towards a new address will be ${which} (${percent})`;
}
