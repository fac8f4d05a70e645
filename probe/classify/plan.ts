/**
 * The plan of the classification: from what has been seen so far, what is still wanted and whether
 * the run is over. Pure data in and out; prober.ts paces it and puts it on the wire.
 */
import { type Endpoint, sameEndpoint } from '../../shared/endpoint.ts';
import {
  assessFiltering,
  type FilteringAssessment,
  type FilteringTest,
  lacksReceipts,
} from '../../shared/nat/filtering.ts';
import { assessMapping } from '../../shared/nat/mapping.ts';
import {
  answersDirectly,
  hasIntroducedItself,
  type Observations,
  otherAddressOf,
} from '../../shared/nat/observations.ts';
import { assessReach } from '../../shared/nat/reach.ts';
import { chanceAllLost, type PathLoss, silenceNeeded } from '../../shared/nat/silence.ts';
import { REQUIRED_CONFIDENCE } from '../../shared/nat/verdict.ts';
import {
  countSent,
  dueMs,
  isAnswered,
  isLate,
  lastSentMs,
  type Plan,
  type Request,
  requestKey,
} from './request.ts';

export interface PlanContext {
  /** The other address and port of the first server, where it is known beforehand. */
  readonly alternate: Endpoint | undefined;
  /** Sockets that the system refused: nothing is planned on them. */
  readonly failedSockets: ReadonlySet<string>;
}

export const MAPPING_SOCKET = 'mapping';
/** More sockets than this never disagree usefully: two of three decide. */
const MAX_MAPPING_SOCKETS = 3;

/** Without an answer the first request is repeated at this interval, in milliseconds. */
const CONTACT_INTERVAL_MS = 40;
/** Once TCP shows that the server can be reached, silence is worth counting fast. */
const SILENT_CONTACT_INTERVAL_MS = 15;
/** When TCP is asked if UDP has brought nothing, how often again, and how long after one another: a SYN may be lost. */
const TCP_AFTER_MS = 250;
const TCP_ATTEMPTS = 5;
const TCP_INTERVAL_MS = 250;

export function mappingSocketName(index: number): string {
  return index === 0 ? MAPPING_SOCKET : `${MAPPING_SOCKET}-${index + 1}`;
}

/** Filtering tests have a socket of their own for each server, which has sent to nothing but that server. */
export function filteringSocketName(serverIndex: number): string {
  return serverIndex === 0 ? 'filtering' : `filtering-${serverIndex + 1}`;
}

export function planClassification(observations: Observations, context: PlanContext): Plan {
  const { nowMs, run } = observations;
  if (nowMs >= run.timeoutMs) return { requests: [], wantsTcp: false, wakeMs: undefined, finished: true };
  const reach = assessReach(observations);
  if (reach.kind === 'open') return planContact(observations);
  if (reach.kind !== 'udp') return { requests: [], wantsTcp: false, wakeMs: undefined, finished: true };

  const focus = focusServer(observations);
  const filteringPlan = planFiltering(observations, focus);
  const mappingPlan = planMapping(observations, focus, context);
  const wanted = [...filteringPlan.opening, ...mappingPlan.requests, ...filteringPlan.repeats];
  // A mapping test and a control may be the same request.
  const requests = [...new Map(wanted.map((request) => [requestKey(request), request])).values()];
  const finished = mappingPlan.finished && filteringPlan.finished;
  return { requests, wantsTcp: false, wakeMs: wakeTime(observations, mappingPlan, filteringPlan), finished };
}

/** Nothing has answered yet: ask every server, begin the filtering tests at the first, repeat. */
function planContact(observations: Observations): Plan {
  const { nowMs, run, tcp } = observations;
  const tcpReaches = tcp.some(
    ({ outcome }) => outcome === 'answered' || outcome === 'connected' || outcome === 'refused',
  );
  const interval = tcpReaches ? SILENT_CONTACT_INTERVAL_MS : CONTACT_INTERVAL_MS;
  const contacts = run.servers.map((to) => ({ socket: MAPPING_SOCKET, to }));
  const never = contacts.filter((contact) => lastSentMs(observations, contact) === undefined);
  const due = contacts.filter((contact) => {
    const sentMs = lastSentMs(observations, contact);
    return sentMs !== undefined && nowMs >= sentMs + interval;
  });
  const filtering = planFiltering(observations, run.servers[0]!);
  const attempts = tcp.length / run.servers.length;
  const tcpAtMs =
    tcpReaches || attempts >= TCP_ATTEMPTS ? Infinity : TCP_AFTER_MS + attempts * TCP_INTERVAL_MS;
  const wantsTcp = nowMs >= tcpAtMs;
  // Only moments to come: one that has passed would hide those after it.
  const wakes = contacts
    .map((contact) => (lastSentMs(observations, contact) ?? nowMs) + interval)
    .filter((atMs) => atMs > nowMs);
  return {
    requests: [...never.slice(0, 1), ...filtering.opening, ...never.slice(1), ...filtering.repeats, ...due],
    wantsTcp,
    wakeMs: Math.min(...wakes, wantsTcp ? tcpAtMs + TCP_INTERVAL_MS : tcpAtMs),
    finished: false,
  };
}

/**
 * The server whose other address serves the filtering tests: the first that has one. An earlier one
 * that has not answered yet is waited for as long as its answer isn't late.
 */
function focusServer(observations: Observations): Endpoint {
  const { servers } = observations.run;
  let answered: Endpoint | undefined;
  for (const server of servers) {
    const direct = answersDirectly(observations, server);
    if (direct === 'open' && !isLate(observations, { socket: MAPPING_SOCKET, to: server }))
      return answered ?? server;
    if (direct !== 'yes') continue;
    if (!hasIntroducedItself(observations, server)) return answered ?? server;
    const other = otherAddressOf(observations, server);
    if (other !== undefined && answersDirectly(observations, other) !== 'no') return server;
    answered ??= server;
  }
  return answered ?? servers[0]!;
}

interface MappingPlan {
  readonly requests: readonly Request[];
  /** When the next repetition is due; Infinity if none is. */
  readonly wakeMs: number;
  readonly finished: boolean;
}

/** Every destination from the first mapping socket; again from further ones where it depends on them. */
function planMapping(observations: Observations, focus: Endpoint, context: PlanContext): MappingPlan {
  const targets = mappingTargets(observations, focus, context);
  const { wantsConfirmation } = assessMapping(observations);
  const requests: Request[] = [];
  const times: number[] = [];
  let complete = true;
  for (let index = 0; index < MAX_MAPPING_SOCKETS; index++) {
    const socket = mappingSocketName(index);
    if (context.failedSockets.has(socket)) continue;
    // The second may begin as soon as the first has shown a difference; the third has to be needed.
    if (index > 0 && (!wantsConfirmation || (index > 1 && !complete))) break;
    const missing = targets
      .map((to) => ({ socket, to }))
      .filter((request) => !isAnswered(observations, request));
    complete &&= missing.length === 0;
    for (const request of missing) {
      const at = dueMs(observations, request, CONTACT_INTERVAL_MS);
      if (observations.nowMs >= at) requests.push(request);
      else times.push(at);
    }
  }
  // A repetition has a control beside it: without one, an outage would make an endpoint look dead.
  const [first] = requests;
  if (first !== undefined && countSent(observations, first) > 0) {
    requests.splice(1, 0, { socket: MAPPING_SOCKET, to: focus });
  }
  return { requests, wakeMs: Math.min(...times), finished: complete };
}

/**
 * With another address: the corners of one server that answer. Without: the other port, where
 * receipts name it, and as many servers as are needed for two addresses.
 */
function mappingTargets(observations: Observations, focus: Endpoint, context: PlanContext): Endpoint[] {
  const { servers } = observations.run;
  const known = sameEndpoint(focus, servers[0]!) ? context.alternate : undefined;
  const other = otherAddressOf(observations, focus) ?? known;
  const otherPort = assessFiltering(observations, focus).otherPort.expected;
  const corners = [
    ...(other === undefined ? [] : [other]),
    ...(other === undefined ? [] : [{ address: focus.address, port: other.port }]),
    ...(other === undefined ? [] : [{ address: other.address, port: focus.port }]),
    ...(other === undefined && otherPort !== undefined ? [otherPort] : []),
  ];
  const alive = [focus, ...corners.filter((corner) => answersDirectly(observations, corner) !== 'no')];
  if (alive.some(({ address }) => address !== focus.address)) return alive;
  const rest = servers
    .filter(({ address }) => address !== focus.address)
    .filter((server) => answersDirectly(observations, server) !== 'no');
  const answered = rest.filter((to) => isAnswered(observations, { socket: MAPPING_SOCKET, to }));
  return [...alive, ...(answered.length > 0 ? answered.slice(0, 1) : rest)];
}

interface FilteringPlan {
  /** The first packet of a fresh socket. */
  readonly opening: readonly Request[];
  readonly repeats: readonly Request[];
  readonly finished: boolean;
  readonly assessment: FilteringAssessment;
}

/**
 * As many CHANGE-REQUESTs of either kind as silence would take to be credible, and the controls that
 * it has to be beside: whatever was sent least recently comes first, so that they take turns.
 */
function planFiltering(observations: Observations, server: Endpoint): FilteringPlan {
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

  // Silence from the other address decides nothing before its other port was heard.
  const decides = { otherAddress: otherPort.state.kind === 'heard', otherPort: true };
  const needs = {
    otherAddress: needsMore(observations, otherAddress, decides.otherAddress),
    otherPort: needsMore(observations, otherPort, decides.otherPort),
  };
  const requests: Request[] = [];
  if (needs.otherAddress.tests) requests.push({ socket, to: server, change: otherAddress.change });
  if (needs.otherPort.tests) requests.push({ socket, to: server, change: otherPort.change });
  if (requests.length > 0 && lacksReceipts(observations, server)) requests.push({ socket, to: server });
  if (decides.otherAddress && needs.otherAddress.controls)
    requests.push({ socket: MAPPING_SOCKET, to: otherAddress.expected! });
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
 * Whether `test` needs more tests, and more controls to the endpoint that it should be heard from,
 * counting those under way at the loss so far. Where its silence doesn't `decide`, each test
 * counts once and needs no control.
 */
function needsMore(
  observations: Observations,
  { expected, state }: FilteringTest,
  decides: boolean,
): { tests: boolean; controls: boolean } {
  if (state.kind !== 'open') return { tests: false, controls: false };
  const { path, paths, inFlight } = observations;
  const pooled: PathLoss = { answered: path.answered + inFlight, lost: path.lost };
  const silent = decides
    ? state.silent + state.awaiting * survivalOf(pooled)
    : state.unheard + state.due * survivalOf(pooled);
  const needed = silenceNeeded(pooled, REQUIRED_CONFIDENCE);
  if (!decides || expected === undefined) return { tests: silent < needed, controls: false };

  // Beyond these an endpoint that has not answered is left to the mapping test, which keeps asking it.
  const reachable = answersDirectly(observations, expected) === 'yes';
  const asked = countSent(observations, { socket: MAPPING_SOCKET, to: expected });
  if (!reachable && asked >= OWN_PATH_ANSWERS) return { tests: false, controls: false };
  const { answered, lost, inFlightAtMs } = paths.get(expected.address) ?? NOTHING_SEEN;
  const survival = survivalOf({ answered, lost });
  const own: PathLoss = { answered: answered + inFlightAtMs.length * survival, lost };
  const hoped: PathLoss = { answered: Math.max(own.answered, OWN_PATH_ANSWERS * survival), lost };
  const tests = silent < Math.max(needed, silenceNeeded(hoped, REQUIRED_CONFIDENCE));
  return { tests, controls: tests || chanceAllLost(silent, own) > 1 - REQUIRED_CONFIDENCE };
}

const NOTHING_SEEN = { answered: 0, lost: 0, inFlightAtMs: [] };

/** Of transactions under way as many will be lost as of those before. */
function survivalOf({ answered, lost }: PathLoss): number {
  return (answered + 1) / (answered + lost + 1);
}

/** The next moment at which a transaction counts as lost or as silent, or is to be repeated. */
function wakeTime(
  observations: Observations,
  mapping: MappingPlan,
  filtering: FilteringPlan,
): number | undefined {
  const times = [observations.nextLossMs ?? Infinity, mapping.wakeMs];
  for (const { state } of [filtering.assessment.otherAddress, filtering.assessment.otherPort]) {
    if (state.kind === 'open') times.push(state.nextMs ?? Infinity);
  }
  const earliest = Math.min(...times);
  return earliest === Infinity ? undefined : earliest;
}
