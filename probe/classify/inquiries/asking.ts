/** For plans that ask plain questions until each is answered. */
import type { Endpoint } from '../../../shared/endpoint.ts';
import { type Observations, otherAddressOf } from '../../../shared/nat/observations.ts';
import { countSent, dueMs, isAnswered, lastSentMs, type Plan, type Request } from '../request.ts';

/** What is still to be sent of a list of requests. */
export interface Asking {
  /** Those that are due, in the order given. */
  readonly requests: readonly Request[];
  /** When the next one will be due; Infinity if none will. */
  readonly wakeMs: number;
  /** Each is answered, or was sent in vain often enough. */
  readonly complete: boolean;
}

/** Between two tries of an unanswered request, and before anything has been answered at all. */
const RETRY_INTERVAL_MS = 40;
const CONTACT_INTERVAL_MS = 200;
/** Nothing answered within this: the inquiry is given up. */
const CONTACT_LIMIT_MS = 4000;
/** At 20 % loss each way eight tries go unanswered once in 3500 times. */
const TRIES = 8;

/** Asks each of `wanted` until it is answered. */
export function planAsking(observations: Observations, wanted: readonly Request[]): Asking {
  const open = wanted.filter(
    (request) => !isAnswered(observations, request) && !isGivenUp(observations, request),
  );
  const requests: Request[] = [];
  let wakeMs = Infinity;
  for (const request of open) {
    if (countSent(observations, request) === TRIES) continue;
    const atMs = retryMs(observations, request);
    if (observations.nowMs >= atMs) requests.push(request);
    else wakeMs = Math.min(wakeMs, atMs);
  }
  // Giving up is due then, however often it was asked.
  const { roundTrips, nextLossMs = Infinity } = observations;
  if (open.length > 0) wakeMs = Math.min(wakeMs, roundTrips.size === 0 ? CONTACT_LIMIT_MS : nextLossMs);
  return { requests, wakeMs, complete: open.length === 0 };
}

/** Whether there is no use in going on: the time is over, or nothing answers. */
export function isOver({ nowMs, run, roundTrips }: Observations): boolean {
  return nowMs >= run.timeoutMs || (roundTrips.size === 0 && nowMs >= CONTACT_LIMIT_MS);
}

export const FINISHED: Plan = { requests: [], wantsTcp: false, wakeMs: undefined, finished: true };

/** A plan that goes on with what is asked. */
export function askingPlan({ requests, wakeMs }: Asking): Plan {
  return { requests, wantsTcp: false, wakeMs: wakeMs === Infinity ? undefined : wakeMs, finished: false };
}

/** The further endpoints of `server`: same address, same port, neither; as given by `other` or by the server itself. */
export function furtherEndpoints(
  observations: Observations,
  server: Endpoint,
  given: Endpoint | undefined,
): Endpoint[] {
  const other = given ?? otherAddressOf(observations, server);
  if (other === undefined) return [];
  return [
    { address: server.address, port: other.port },
    { address: other.address, port: server.port },
    other,
  ];
}

function retryMs(observations: Observations, request: Request): number {
  const sentMs = lastSentMs(observations, request);
  if (sentMs === undefined) return 0;
  return observations.lossAfterMs === undefined
    ? sentMs + CONTACT_INTERVAL_MS
    : dueMs(observations, request, RETRY_INTERVAL_MS);
}

function isGivenUp(observations: Observations, request: Request): boolean {
  if (countSent(observations, request) < TRIES) return false;
  const { nowMs, lossAfterMs = CONTACT_LIMIT_MS } = observations;
  return nowMs >= lastSentMs(observations, request)! + lossAfterMs;
}
