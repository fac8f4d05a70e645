/** The plan of the inquiry into fragments and the path's MTU (RFC 5780 §4.7), on one socket of its own. */
import type { Endpoint } from '../../../shared/endpoint.ts';
import { lacksReceipts } from '../../../shared/nat/filtering.ts';
import {
  FRAGMENTED_BYTES,
  judgeFragments,
  paddingFor,
  RECEIPT_CHANGE,
  WHOLE_BYTES,
} from '../../../shared/nat/fragments.ts';
import type { Observations } from '../../../shared/nat/observations.ts';
import type { InquiryPlan } from '../inquiry.ts';
import { countSent, isAnswered, type Plan, type Request } from '../request.ts';
import { askingPlan, FINISHED, isOver, planAsking } from './asking.ts';
import { takeTurns } from './turns.ts';

export interface FragmentsContext {
  /** The primary endpoint of the server. */
  readonly server: Endpoint;
}

const SOCKET = 'fragments';
/** IPv6's least MTU, and those of common tunnels and of PPPoE. */
const WHOLE_SIZES = [1280, 1400, 1420, 1460, 1492, WHOLE_BYTES];
/** Between two packets of one series. */
const INTERVAL_MS = 20;
/** At 20 % loss each way a third of these suffices. */
const MAX_PACKETS = 60;

export function planFragments({ server }: FragmentsContext): InquiryPlan {
  return {
    sockets: [SOCKET],
    plan: (observations) => planNext(observations, server),
    progress: (observations) => progressOf(observations, server),
  };
}

function planNext(observations: Observations, server: Endpoint): Plan {
  if (isOver(observations) || lacksReceipts(observations, server)) return FINISHED;
  const contact: Request = { socket: SOCKET, to: server };
  if (!isAnswered(observations, contact)) {
    const asking = planAsking(observations, [contact]);
    return asking.complete ? FINISHED : askingPlan(asking);
  }
  const { value, reasons } = judgeFragments(observations);
  if (reasons.some(({ code }) => code === 'fragments-loopback')) return FINISHED;
  const sizes = planAsking(observations, wholeRequests(observations, server));
  const isJudged = value !== 'unknown' || reasons.some(({ code }) => code === 'response-not-padded');
  const fragments = isJudged ? NOTHING : planFragmented(observations, server);
  if (sizes.complete && fragments.complete) return FINISHED;
  return askingPlan({
    requests: [...fragments.requests, ...sizes.requests],
    wakeMs: Math.min(sizes.wakeMs, fragments.wakeMs),
    complete: false,
  });
}

type Asking = ReturnType<typeof planAsking>;

const NOTHING: Asking = { requests: [], wakeMs: Infinity, complete: true };

function wholeRequests({ run }: Observations, server: Endpoint): Request[] {
  return WHOLE_SIZES.map((bytes) => ({
    socket: SOCKET,
    to: server,
    paddingBytes: paddingFor(bytes, run.family),
  }));
}

/** The three series beside each other. */
function planFragmented(observations: Observations, server: Endpoint): Asking {
  const { nextLossMs = Infinity, run } = observations;
  const paddingBytes = paddingFor(FRAGMENTED_BYTES, run.family);
  const padded: Request = { socket: SOCKET, to: server, paddingBytes };
  const control: Request = { socket: SOCKET, to: server, change: RECEIPT_CHANGE };
  if (countSent(observations, control) >= MAX_PACKETS) {
    return { requests: [], wakeMs: nextLossMs, complete: nextLossMs === Infinity };
  }
  const { requests, wakeMs } = takeTurns(
    observations,
    [control, { ...padded, change: RECEIPT_CHANGE }, padded],
    INTERVAL_MS,
  );
  return { requests, wakeMs: Math.min(nextLossMs, wakeMs), complete: false };
}

/** By the sizes that are decided, the fragmented one being as good as all others. */
function progressOf(observations: Observations, server: Endpoint): number {
  const requests = wholeRequests(observations, server);
  const heard = requests.filter((request) => isAnswered(observations, request)).length;
  const judged = judgeFragments(observations).value === 'unknown' ? 0 : 1;
  return (heard / requests.length + judged) / 2;
}
