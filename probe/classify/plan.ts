/**
 * The plan of the classification: from what has been seen so far, what is still wanted and whether
 * the run is over. Pure data in and out; prober.ts paces it and puts it on the wire.
 */
import { type Endpoint, sameEndpoint } from '../../shared/endpoint.ts';
import { assessFiltering } from '../../shared/nat/filtering.ts';
import { assessMapping } from '../../shared/nat/mapping.ts';
import {
  answersDirectly,
  hasIntroducedItself,
  type Observations,
  otherAddressOf,
  roundTripTo,
} from '../../shared/nat/observations.ts';
import { assessReach } from '../../shared/nat/reach.ts';
import { type FilteringPlan, planFiltering } from './plan-filtering.ts';
import {
  countSent,
  dueMs,
  firstSentMs,
  isAnswered,
  isOverdue,
  lastSentMs,
  type Plan,
  type Request,
  requestKey,
} from './request.ts';
import { MAPPING_SOCKET, mappingSocketName } from './socket-names.ts';

export interface PlanContext {
  /** The other address and port of the first server, where it is known beforehand. */
  readonly alternate: Endpoint | undefined;
  /** Sockets that the system refused: nothing is planned on them. */
  readonly failedSockets: ReadonlySet<string>;
}

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

export function planClassification(observations: Observations, context: PlanContext): Plan {
  const { nowMs, run } = observations;
  if (nowMs >= run.timeoutMs) return { requests: [], wantsTcp: false, wakeMs: undefined, finished: true };
  const reach = assessReach(observations);
  if (reach.kind === 'open') return planContact(observations, context);
  if (reach.kind !== 'udp') return { requests: [], wantsTcp: false, wakeMs: undefined, finished: true };

  const focus = focusServer(observations);
  const filteringPlan = planFiltering(
    observations,
    focus.server,
    knownOther(observations, focus.server, context),
  );
  const mappingPlan = planMapping(observations, focus, context);
  const wanted = [...filteringPlan.opening, ...mappingPlan.requests, ...filteringPlan.repeats];
  const requests = distinct(wanted);
  const finished = mappingPlan.finished && filteringPlan.finished;
  return { requests, wantsTcp: false, wakeMs: wakeTime(observations, mappingPlan, filteringPlan), finished };
}

/** Nothing has answered yet: ask every server, begin the filtering tests at the first, repeat. */
function planContact(observations: Observations, context: PlanContext): Plan {
  const { nowMs, run, tcp } = observations;
  const [first] = run.servers;
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
  const filtering = planFiltering(observations, first!, context.alternate);
  // What is known beforehand is asked along with the first server.
  const ahead = cornersOf(first!, context.alternate)
    .map((to) => ({ socket: MAPPING_SOCKET, to }))
    .filter((request) => lastSentMs(observations, request) === undefined);
  const attempts = tcp.length / run.servers.length;
  const tcpAtMs =
    tcpReaches || attempts >= TCP_ATTEMPTS ? Infinity : TCP_AFTER_MS + attempts * TCP_INTERVAL_MS;
  const wantsTcp = nowMs >= tcpAtMs;
  // Only moments to come: one that has passed would hide those after it.
  const wakes = contacts
    .map((contact) => (lastSentMs(observations, contact) ?? nowMs) + interval)
    .filter((atMs) => atMs > nowMs);
  return {
    requests: distinct([
      ...never.slice(0, 1),
      ...filtering.opening,
      ...never.slice(1),
      ...ahead,
      ...filtering.repeats,
      ...due,
    ]),
    wantsTcp,
    wakeMs: Math.min(...wakes, wantsTcp ? tcpAtMs + TCP_INTERVAL_MS : tcpAtMs),
    finished: false,
  };
}

/** Each request once: a mapping test and a control may be the same. */
function distinct(requests: readonly Request[]): Request[] {
  return [...new Map(requests.map((request) => [requestKey(request), request])).values()];
}

/** A server passes for another before it in the list if it is this many times as fast. */
const FASTER = 2;

/**
 * The server whose other address serves the filtering tests: the first that has a living one, unless
 * a later one is much faster. One that has not answered yet is waited for until its answer is late.
 */
function focusServer(observations: Observations): Standing {
  const [only, ...others] = observations.run.servers;
  // Without a choice its standing changes nothing.
  if (others.length === 0) return { server: only!, kind: 'able', sinceMs: 0 };
  const standings = observations.run.servers.map((server) => standingOf(observations, server));
  const ableMs = standings.filter(({ kind }) => kind === 'able').map(({ sinceMs }) => sinceMs);
  const slowestMs = FASTER * Math.min(...ableMs);
  const answered = standings.find(({ kind }) => kind !== 'asked' && kind !== 'silent');
  for (const standing of standings) {
    const { kind, sinceMs } = standing;
    if (kind === 'able' && sinceMs <= slowestMs) return standing;
    if (kind === 'asked' && sinceMs <= slowestMs) return answered ?? standings[0]!;
  }
  return standings.find(({ kind }) => kind === 'doubtful') ?? answered ?? standings[0]!;
}

interface Standing {
  readonly server: Endpoint;
  /** `doubtful`: its other address is late to answer. `limited`: it can't serve the tests of filtering. */
  readonly kind: 'able' | 'doubtful' | 'limited' | 'asked' | 'silent';
  /** Its mean round trip, or for how long it has been asked in vain. */
  readonly sinceMs: number;
}

function standingOf(observations: Observations, server: Endpoint): Standing {
  const contact: Request = { socket: MAPPING_SOCKET, to: server };
  const roundTrip = roundTripTo(observations, server);
  if (roundTrip === undefined) {
    const isSilent = isOverdue(observations, contact) || answersDirectly(observations, server) === 'no';
    const sinceMs = observations.nowMs - (firstSentMs(observations, contact) ?? observations.nowMs);
    return { server, kind: isSilent ? 'silent' : 'asked', sinceMs };
  }
  return { server, kind: abilityOf(), sinceMs: roundTrip.meanMs };

  function abilityOf(): Standing['kind'] {
    // What it has is not known before it has answered a plain request.
    if (!hasIntroducedItself(observations, server)) return 'able';
    const other = otherAddressOf(observations, server);
    const { otherAddress, otherPort } = assessFiltering(observations, server);
    if (other === undefined || [otherAddress, otherPort].some(({ state }) => state.kind === 'unsupported'))
      return 'limited';
    switch (answersDirectly(observations, other)) {
      case 'yes':
        return 'able';
      case 'open':
        return isOverdue(observations, { socket: MAPPING_SOCKET, to: other }) ? 'doubtful' : 'able';
      case 'no':
        return 'limited';
    }
  }
}

interface MappingPlan {
  readonly requests: readonly Request[];
  /** When the next repetition is due; Infinity if none is. */
  readonly wakeMs: number;
  readonly finished: boolean;
}

/** Every destination from the first mapping socket; again from further ones where it depends on them. */
function planMapping(observations: Observations, focus: Standing, context: PlanContext): MappingPlan {
  const targets = mappingTargets(observations, focus.server, context);
  const hopes = focus.kind === 'able' ? [] : unansweredServers(observations, targets);
  const { wantsConfirmation } = assessMapping(observations);
  const requests: Request[] = [];
  const times: number[] = [];
  let complete = true;
  for (let index = 0; index < MAX_MAPPING_SOCKETS; index++) {
    const socket = mappingSocketName(index);
    if (context.failedSockets.has(socket)) continue;
    // The second may begin as soon as the first has shown a difference; the third has to be needed.
    if (index > 0 && (!wantsConfirmation || (index > 1 && !complete))) break;
    const missing = (index === 0 ? [...targets, ...hopes] : targets)
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
    requests.splice(1, 0, { socket: MAPPING_SOCKET, to: focus.server });
  }
  return { requests, wakeMs: Math.min(...times), finished: complete };
}

/**
 * With another address: the corners of one server that answer. Without: the other port, where
 * receipts name it, and as many servers as are needed for two addresses.
 */
function mappingTargets(observations: Observations, focus: Endpoint, context: PlanContext): Endpoint[] {
  const { servers } = observations.run;
  const other = otherAddressOf(observations, focus) ?? knownOther(observations, focus, context);
  const otherPort = other === undefined ? assessFiltering(observations, focus).otherPort.expected : undefined;
  const corners = [...cornersOf(focus, other), ...(otherPort === undefined ? [] : [otherPort])];
  const alive = [focus, ...corners.filter((corner) => answersDirectly(observations, corner) !== 'no')];
  if (alive.some(({ address }) => address !== focus.address)) return alive;
  const rest = servers
    .filter(({ address }) => address !== focus.address)
    .filter((server) => answersDirectly(observations, server) !== 'no');
  const answered = rest.filter((to) => isAnswered(observations, { socket: MAPPING_SOCKET, to }));
  return [...alive, ...(answered.length > 0 ? answered.slice(0, 1) : rest)];
}

/** What is known beforehand of the first server, until `server` speaks for itself. */
function knownOther(
  observations: Observations,
  server: Endpoint,
  { alternate }: PlanContext,
): Endpoint | undefined {
  const isFirst = sameEndpoint(server, observations.run.servers[0]!);
  return isFirst && !hasIntroducedItself(observations, server) ? alternate : undefined;
}

/** Servers that may yet answer, and serve better than one that lacks another address. */
function unansweredServers(observations: Observations, besides: readonly Endpoint[]): Endpoint[] {
  return observations.run.servers.filter(
    (server) =>
      answersDirectly(observations, server) === 'open' && !besides.some((item) => sameEndpoint(item, server)),
  );
}

/** The three endpoints besides `server` that its other address and port make. */
function cornersOf(server: Endpoint, other: Endpoint | undefined): Endpoint[] {
  if (other === undefined) return [];
  return [
    other,
    { address: server.address, port: other.port },
    { address: other.address, port: server.port },
  ];
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
