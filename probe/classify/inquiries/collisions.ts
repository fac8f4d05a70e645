/**
 * The plan of the collisions inquiry: of each pair of sockets the first takes a local port, the
 * second takes the same one on another address of this machine, as another inside host would.
 */
import type { Endpoint } from '../../../shared/endpoint.ts';
import { COLLISION_PAIRS, type CollisionPair } from '../../../shared/nat/collisions.ts';
import type { SocketEvidence } from '../../../shared/nat/evidence.ts';
import type { Observations } from '../../../shared/nat/observations.ts';
import type { InquiryPlan } from '../inquiry.ts';
import type { LocalBinding } from '../prober.ts';
import { isAnswered, type Plan, type Request } from '../request.ts';
import { askingPlan, FINISHED, furtherEndpoints, isOver, planAsking } from './asking.ts';

export interface CollisionsContext {
  /** The primary endpoint. */
  readonly server: Endpoint;
  /** Its other address and port, if known: saves a round trip. */
  readonly other?: Endpoint;
  /** The address of this machine that the first sockets are bound to. */
  readonly from: string;
  /** Another one, from behind the same NAT. */
  readonly also: string;
}

export function planCollisions(context: CollisionsContext): InquiryPlan {
  const [first, ...rest] = COLLISION_PAIRS.map(({ holder }) => holder);
  return {
    sockets: [first!, ...rest],
    bindingOf: (socket, open) => bindingOf(socket, open, context),
    plan: (observations, failedSockets) => planNext(observations, failedSockets, context),
    progress: (observations) => {
      const wanted = COLLISION_PAIRS.flatMap((pair) => requestsOf(pair, context.server, context.server));
      return wanted.filter((request) => isAnswered(observations, request)).length / wanted.length;
    },
  };
}

/** Each socket is bound to its address alone: a wildcard would have the other's port as well. */
function bindingOf(
  socket: string,
  open: readonly SocketEvidence[],
  { from, also }: CollisionsContext,
): LocalBinding {
  const pair = COLLISION_PAIRS.find(({ comer }) => comer === socket);
  if (pair === undefined) return { address: from };
  const holder = open.find((item) => item.socket === pair.holder);
  return { address: also, ...(holder === undefined ? {} : { port: holder.local.port }) };
}

function planNext(
  observations: Observations,
  failedSockets: ReadonlySet<string>,
  { server, other }: CollisionsContext,
): Plan {
  if (isOver(observations)) return FINISHED;
  const isUsable = ({ socket }: Request): boolean => !failedSockets.has(socket);
  const holders = planAsking(
    observations,
    COLLISION_PAIRS.map(({ holder }) => ({ socket: holder, to: server })).filter(isUsable),
  );
  // The port has to be held first.
  if (!holders.complete) return askingPlan(holders);
  const further = furtherEndpoints(observations, server, other);
  const elsewhere = further.at(-1) ?? observations.run.servers[1];
  const comers = planAsking(
    observations,
    COLLISION_PAIRS.filter((pair) => elsewhere !== undefined || !pair.elsewhere)
      .map((pair) => requestsOf(pair, server, elsewhere ?? server)[1])
      .filter(isUsable),
  );
  return comers.complete ? FINISHED : askingPlan(comers);
}

function requestsOf(
  { holder, comer, elsewhere }: CollisionPair,
  server: Endpoint,
  other: Endpoint,
): [Request, Request] {
  return [
    { socket: holder, to: server },
    { socket: comer, to: elsewhere ? other : server },
  ];
}
