/**
 * The plan of the ports inquiry: some sockets towards every endpoint of the server, and pairs of
 * sockets on neighbouring local ports towards the first. Pooling is judged from it as well.
 */
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { SocketEvidence } from '../../../shared/nat/evidence.ts';
import type { Observations } from '../../../shared/nat/observations.ts';
import { mayBeCounted } from '../../../shared/nat/ports.ts';
import type { InquiryPlan } from '../inquiry.ts';
import type { LocalBinding } from '../prober.ts';
import { isAnswered, type Plan, type Request } from '../request.ts';
import { type Asking, askingPlan, FINISHED, furtherEndpoints, isOver, planAsking } from './asking.ts';

export interface PortsContext {
  /** The primary endpoint. */
  readonly server: Endpoint;
  /** Its other address and port, if known: saves a round trip. */
  readonly other?: Endpoint;
}

/** These send to every endpoint. */
const DEEP_SOCKETS = ['ports', 'ports-2', 'ports-3', 'ports-4'] as const;
/**
 * Two sockets each, the second on the local port after the first's. Twelve first mappings in all: of
 * a range that ports are drawn from they span 11 parts of 13 on average.
 */
const PAIRS: readonly Pair[] = [
  { low: 'ports-5', high: 'ports-6', notBeforeMs: 0 },
  { low: 'ports-7', high: 'ports-8', notBeforeMs: 0 },
  { low: 'ports-9', high: 'ports-10', notBeforeMs: 250 },
  { low: 'ports-11', high: 'ports-12', notBeforeMs: 500 },
];

interface Pair {
  readonly low: string;
  readonly high: string;
  /**
   * In the run, where ports are counted or may be: what others do to a counter has to be watched for longer than
   * the prediction reaches. 500 ms are good for 250 and more.
   */
  readonly notBeforeMs: number;
}

export function planPorts(context: PortsContext): InquiryPlan {
  return {
    sockets: [...DEEP_SOCKETS, ...PAIRS.map(({ low }) => low)],
    bindingOf,
    plan: (observations, failedSockets) => planNext(observations, failedSockets, context),
    progress: (observations) => {
      const wanted = [
        ...deepRequests(observations, context),
        ...PAIRS.flatMap(pairRequests(observations, context)),
      ];
      return wanted.filter((request) => isAnswered(observations, request)).length / wanted.length;
    },
  };
}

function bindingOf(socket: string, open: readonly SocketEvidence[]): LocalBinding {
  const pair = PAIRS.find(({ high }) => high === socket);
  const low = pair && open.find((item) => item.socket === pair.low);
  return low === undefined ? {} : { port: low.local.port + 1 };
}

function planNext(
  observations: Observations,
  failedSockets: ReadonlySet<string>,
  context: PortsContext,
): Plan {
  if (isOver(observations)) return FINISHED;
  const ask = (requests: readonly Request[]): Asking =>
    planAsking(
      observations,
      requests.filter(({ socket }) => !failedSockets.has(socket)),
    );
  const requestsOf = pairRequests(observations, context);
  const early = ask([
    ...deepRequests(observations, context),
    ...PAIRS.filter(({ notBeforeMs }) => notBeforeMs === 0).flatMap(requestsOf),
  ]);
  if (!early.complete) return askingPlan(early);
  const isWatching = mayBeCounted(observations);
  const isDue = ({ notBeforeMs }: Pair): boolean => !isWatching || observations.nowMs >= notBeforeMs;
  const late = ask(PAIRS.filter(isDue).flatMap(requestsOf));
  const nextMs = PAIRS.find((pair) => !isDue(pair))?.notBeforeMs;
  if (late.complete && nextMs === undefined) return FINISHED;
  return askingPlan({ ...late, wakeMs: Math.min(late.wakeMs, nextMs ?? Infinity) });
}

function deepRequests(observations: Observations, { server, other }: PortsContext): Request[] {
  const further = furtherEndpoints(observations, server, other);
  const servers = observations.run.servers.filter(({ address }) => address !== server.address);
  const destinations = [server, ...(further.length > 0 ? further : servers)];
  return destinations.flatMap((to) => DEEP_SOCKETS.map((socket) => ({ socket, to })));
}

/** The second of a pair needs the first's local port. */
function pairRequests(observations: Observations, { server }: PortsContext): (pair: Pair) => Request[] {
  const isOpen = (socket: string): boolean => observations.sockets.some((item) => item.socket === socket);
  return ({ low, high }) => (isOpen(low) ? [low, high] : [low]).map((socket) => ({ socket, to: server }));
}
