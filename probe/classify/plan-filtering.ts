/** The filtering tests' part of the plan: which CHANGE-REQUESTs and which controls are still worth sending. */
import { type Endpoint, sameEndpoint } from '../../shared/endpoint.ts';
import {
  assessFiltering,
  type FilteringAssessment,
  type FilteringTest,
  lacksReceipts,
} from '../../shared/nat/filtering.ts';
import { answersDirectly, type Observations } from '../../shared/nat/observations.ts';
import { chanceAllLost, type PathLoss, silenceNeeded } from '../../shared/nat/silence.ts';
import { REQUIRED_CONFIDENCE } from '../../shared/nat/verdict.ts';
import { countSent, lastSentMs, type Request } from './request.ts';
import { filteringSocketName, MAPPING_SOCKET } from './socket-names.ts';

export interface FilteringPlan {
  /** The first packet of a fresh socket. */
  readonly opening: readonly Request[];
  readonly repeats: readonly Request[];
  readonly finished: boolean;
  readonly assessment: FilteringAssessment;
}

/**
 * As many CHANGE-REQUESTs of either kind as silence would take to be credible, and the controls that
 * it has to be beside: whatever was sent least recently comes first, so that they take turns.
 * `known` is the server's other address and port where it is known beforehand.
 */
export function planFiltering(
  observations: Observations,
  server: Endpoint,
  known: Endpoint | undefined,
): FilteringPlan {
  const { servers } = observations.run;
  const socket = filteringSocketName(
    Math.max(
      0,
      servers.findIndex((item) => sameEndpoint(item, server)),
    ),
  );
  const assessment = assessFiltering(observations, server);
  const { otherAddress, otherPort } = assessment;
  const isOpen = ({ state }: FilteringTest): boolean => state.kind === 'open';
  const finished = assessment.filtering !== 'unknown' || (!isOpen(otherAddress) && !isOpen(otherPort));
  if (finished) return { opening: [], repeats: [], finished, assessment };

  // Silence from the other address decides nothing while its other port may turn out silent.
  // But where it can be asked from the start, a round trip is saved.
  const addressDecides = known !== undefined || otherPort.state.kind !== 'open';
  const expected = otherAddress.expected ?? known;
  const needs = {
    otherAddress: needsMore(observations, { state: otherAddress.state, expected }, addressDecides),
    otherPort: needsMore(observations, { state: otherPort.state, expected: otherPort.expected }, true),
  };
  const requests: Request[] = [];
  if (needs.otherAddress.tests) requests.push({ socket, to: server, change: otherAddress.change });
  if (needs.otherPort.tests) requests.push({ socket, to: server, change: otherPort.change });
  const beside = requests.length > 0 && lacksReceipts(observations, server);
  if (beside || needs.otherPort.answers) requests.push({ socket, to: server });
  if (addressDecides && expected !== undefined && (needs.otherAddress.tests || needs.otherAddress.answers))
    requests.push({ socket: MAPPING_SOCKET, to: expected });
  const sentMs = (request: Request): number => lastSentMs(observations, request) ?? -1;
  requests.sort((a, b) => sentMs(a) - sentMs(b));
  const isNew = !observations.series.some((item) => item.socket === socket);
  return isNew
    ? { opening: requests.slice(0, 1), repeats: requests.slice(1), finished, assessment }
    : { opening: [], repeats: requests, finished, assessment };
}

/**
 * So many answers from one address, with 5 silent tests, are the fewest packets that make its silence
 * credible by its own path's loss: 1 / C(13, 5) < 0.001.
 */
const OWN_PATH_ANSWERS = 7;

/**
 * Whether `test` needs more tests, and its address more answers of its own that show the loss there,
 * counting those under way at the loss so far. Where its silence doesn't `decide`, each test
 * counts once and needs no control.
 */
function needsMore(
  observations: Observations,
  { expected, state }: { expected: Endpoint | undefined; state: FilteringTest['state'] },
  decides: boolean,
): { tests: boolean; answers: boolean } {
  if (state.kind !== 'open') return { tests: false, answers: false };
  const { path, paths, inFlight } = observations;
  const pooled: PathLoss = { answered: path.answered + inFlight, lost: path.lost };
  const silent = decides
    ? state.silent + state.awaiting * survivalOf(pooled)
    : state.unheard + state.due * survivalOf(pooled);
  const needed = silenceNeeded(pooled, REQUIRED_CONFIDENCE);
  if (!decides || expected === undefined) return { tests: silent < needed, answers: false };

  // Beyond these an endpoint that has not answered is left to the mapping test, which keeps asking it.
  const reachable = answersDirectly(observations, expected) === 'yes';
  const asked = countSent(observations, { socket: MAPPING_SOCKET, to: expected });
  if (!reachable && asked >= OWN_PATH_ANSWERS) return { tests: false, answers: false };
  const { answered, lost, inFlightAtMs } = paths.get(expected.address) ?? NOTHING_SEEN;
  const survival = survivalOf({ answered, lost });
  const own: PathLoss = { answered: answered + inFlightAtMs.length * survival, lost };
  const hoped: PathLoss = { answered: Math.max(own.answered, OWN_PATH_ANSWERS * survival), lost };
  const tests = silent < Math.max(needed, silenceNeeded(hoped, REQUIRED_CONFIDENCE));
  return { tests, answers: chanceAllLost(silent, own) > 1 - REQUIRED_CONFIDENCE };
}

const NOTHING_SEEN = { answered: 0, lost: 0, inFlightAtMs: [] };

/** Of transactions under way as many will be lost as of those before. */
function survivalOf({ answered, lost }: PathLoss): number {
  return (answered + 1) / (answered + lost + 1);
}
