/**
 * The plan of the unsolicited inquiry: all sockets contact the primary endpoint, subjects have the
 * other address send to them until enough has been sent, twins don't; then each sends there.
 */
import type { Endpoint } from '../../../shared/endpoint.ts';
import { FROM_OTHER_ADDRESS, lacksReceipts } from '../../../shared/nat/filtering.ts';
import type { Observations } from '../../../shared/nat/observations.ts';
import { silenceNeeded } from '../../../shared/nat/silence.ts';
import { countDrawn, otherOf, SUBJECT_SOCKETS, TWIN_SOCKETS } from '../../../shared/nat/unsolicited.ts';
import { REQUIRED_CONFIDENCE } from '../../../shared/nat/verdict.ts';
import type { InquiryPlan } from '../inquiry.ts';
import { countSent, isAnswered, type Plan, type Request } from '../request.ts';
import { askingPlan, FINISHED, isOver, planAsking } from './asking.ts';

export interface UnsolicitedContext {
  /** The primary endpoint, which is the first of the run's servers. */
  readonly server: Endpoint;
  /** Its other address and port, if known: saves a round trip. */
  readonly other?: Endpoint;
}

/** A subject doesn't draw more than this, whatever is lost. */
const MOST_DRAWN = 24;

export function planUnsolicited(context: UnsolicitedContext): InquiryPlan {
  return {
    sockets: [...SUBJECT_SOCKETS, ...TWIN_SOCKETS],
    plan: (observations, failedSockets) => planNext(observations, failedSockets, context),
    progress: (observations) => {
      const other = context.other ?? otherOf(observations, context.server);
      const wanted = [...SUBJECT_SOCKETS, ...TWIN_SOCKETS].flatMap((socket) =>
        [context.server, ...(other === undefined ? [] : [other])].map((to) => ({ socket, to })),
      );
      return wanted.filter((request) => isAnswered(observations, request)).length / (2 * SOCKETS);
    },
  };
}

const SOCKETS = SUBJECT_SOCKETS.length + TWIN_SOCKETS.length;

function planNext(
  observations: Observations,
  failedSockets: ReadonlySet<string>,
  { server, other: given }: UnsolicitedContext,
): Plan {
  if (isOver(observations) || lacksReceipts(observations, server)) return FINISHED;
  const isUsable = (socket: string): boolean => !failedSockets.has(socket);
  const subjects = SUBJECT_SOCKETS.filter(isUsable);
  const twins = TWIN_SOCKETS.filter(isUsable);
  const contact = planAsking(
    observations,
    [...subjects, ...twins].map((socket) => ({ socket, to: server })),
  );
  const other = given ?? otherOf(observations, server);
  if (other === undefined) return contact.complete ? FINISHED : askingPlan(contact);

  // The twins' answers prove the path from there as well, without which silence proves nothing.
  const twinsThere = planAsking(observations, toEndpoint(twins, other));
  const { path, inFlight } = observations;
  const needed = silenceNeeded({ answered: path.answered + inFlight, lost: path.lost }, REQUIRED_CONFIDENCE);
  const drawing = subjects.map((socket) => ({
    request: { socket, to: server, change: FROM_OTHER_ADDRESS },
    drawn: countDrawn(observations, server, other, socket),
  }));
  if (drawing.some(({ drawn }) => drawn.admitted)) return FINISHED;
  const isDone = ({ request, drawn }: (typeof drawing)[number]): boolean =>
    drawn.silent >= needed || (drawn.awaiting === 0 && countSent(observations, request) >= MOST_DRAWN);
  const draws = drawing
    .filter(({ request, drawn }) => {
      const enough = drawn.silent + drawn.awaiting >= needed;
      return (
        !enough &&
        countSent(observations, request) < MOST_DRAWN &&
        isAnswered(observations, { socket: request.socket, to: server })
      );
    })
    .map(({ request }) => request);
  const drawingWakeMs = Math.min(...drawing.filter((item) => !isDone(item)).map(({ drawn }) => drawn.nextMs));
  const ready = drawing.filter(isDone).map(({ request }) => request.socket);
  const subjectsThere = planAsking(observations, toEndpoint(ready, other));
  const complete =
    contact.complete && twinsThere.complete && subjectsThere.complete && ready.length === subjects.length;
  if (complete) return FINISHED;
  return askingPlan({
    requests: [...contact.requests, ...twinsThere.requests, ...draws, ...subjectsThere.requests],
    wakeMs: Math.min(contact.wakeMs, twinsThere.wakeMs, subjectsThere.wakeMs, drawingWakeMs),
    complete,
  });
}

function toEndpoint(sockets: readonly string[], to: Endpoint): Request[] {
  return sockets.map((socket) => ({ socket, to }));
}
