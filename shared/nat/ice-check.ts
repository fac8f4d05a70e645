/**
 * A browser's NAT, from the checks of its ICE agent and of the server that played its peer: reach,
 * mapping and filtering as the judge wants them (RFC 4787 §4.1, §5; RFC 8445 §7).
 */
import { scopeOf } from '../address-scope.ts';
import { type Endpoint, sameEndpoint } from '../endpoint.ts';
import { concludeFiltering, FROM_OTHER_ADDRESS, FROM_OTHER_PORT } from './filtering.ts';
import type { FilteringAssessment } from './filtering.ts';
import type { FilteringState, FilteringTest } from './filtering-test.ts';
import type { IceArrival, IceOwnCheck } from './ice-evidence.ts';
import { assessSightings, type MappingAssessment, type SeenSocket, type Sighting } from './mapping.ts';
import { isBeside, type Observations } from './observations.ts';
import type { Reach } from './reach.ts';
import { chanceAllLost, countSlots, MIN_SILENT_SLOTS, type PathLoss } from './silence.ts';
import { REQUIRED_CONFIDENCE, type Reason } from './verdict.ts';

export interface IceAssessment {
  readonly reach: Reach;
  readonly mapping: MappingAssessment;
  readonly filtering: FilteringAssessment;
  /** Median round trip of the controls, in milliseconds; absent if none was answered. */
  readonly rttMs?: number;
}

/** A check that isn't answered this long after it was sent is lost; by three round trips where these are longer. */
export const LEAST_WAIT_MS = 150;
const WAIT_ROUND_TRIPS = 3;

/** How long an answer to a check may take, by the controls' median round trip. */
export function iceWaitMs(rttMs: number): number {
  return Math.max(LEAST_WAIT_MS, WAIT_ROUND_TRIPS * rttMs);
}

/** Of evidence with at least one `ice-check` in it. */
export function assessIceChecks(observations: Observations): IceAssessment {
  const controls = countControls(observations);
  return {
    reach: assessIceReach(observations, controls),
    mapping: assessIceMapping(observations),
    filtering: assessIceFiltering(observations, controls),
    ...(controls.rttMs !== undefined && { rttMs: controls.rttMs }),
  };
}

/** Checks which no NAT can silence, since the browser had sent to where they came from. */
interface Controls {
  readonly path: PathLoss;
  readonly rttMs: number | undefined;
  /** When those were sent that were answered. */
  readonly answeredAtMs: readonly number[];
  /** The server's addresses that one was answered at. */
  readonly addresses: ReadonlySet<string>;
}

function countControls({ iceChecks, nowMs }: Observations): Controls {
  const transactions = iceChecks.flatMap(({ purpose, offered, checks }) =>
    checks.filter(
      ({ from, sentMs }) => sentMs.length > 0 && (purpose === 'mapping' || isControl(from, offered)),
    ),
  );
  const roundTrips: number[] = [];
  const answeredAtMs: number[] = [];
  const addresses = new Set<string>();
  const unanswered: number[] = [];
  for (const { from, sentMs, answers } of transactions) {
    const answer = answers.find(({ code }) => code === undefined);
    if (answer === undefined) unanswered.push(...sentMs);
    else {
      roundTrips.push(answer.atMs - sentMs[0]!);
      answeredAtMs.push(sentMs[0]!);
      addresses.add(from.address);
    }
  }
  if (roundTrips.length === 0)
    return { path: { answered: 0, lost: 0 }, rttMs: undefined, answeredAtMs, addresses };
  // The mean would be that of answers which waited to be read while the server stood still.
  const rttMs = roundTrips.toSorted((a, b) => a - b)[Math.floor(roundTrips.length / 2)]!;
  const lost = unanswered.filter((ms) => nowMs >= ms + iceWaitMs(rttMs)).length;
  return { path: { answered: roundTrips.length, lost }, rttMs, answeredAtMs, addresses };
}

/** On the filtering connection the browser knows of one endpoint alone. */
function isControl(from: Endpoint, offered: readonly Endpoint[]): boolean {
  return offered.some((endpoint) => sameEndpoint(endpoint, from));
}

/** The signalling is the control of UDP: an answer and its result came over HTTP. */
const SIGNALLING: PathLoss = { answered: 2, lost: 0 };

/** A check is sent that often in the two seconds that the page waits, at the slowest (RFC 8445 §14.3). */
const LEAST_SENDS = 3;

function assessIceReach({ iceChecks }: Observations, { rttMs }: Controls): Reach {
  if (rttMs !== undefined) return { kind: 'udp' };
  const own = iceChecks.flatMap(({ checks }) => checks.flatMap(({ sentMs }) => sentMs)).length;
  const arrived = iceChecks.some(({ received }) => received.length > 0);
  const spoken = iceChecks.flatMap(({ browser }) => (browser === undefined ? [] : [browser]));
  const claimed = spoken.reduce((sum, { pairs, checksSent = LEAST_SENDS * pairs }) => sum + checksSent, 0);
  if (!arrived && claimed === 0 && spoken.length > 0 && spoken.every((one) => one.localCandidates === 0))
    return { kind: 'no-candidates' };
  const unanswered = arrived ? own : claimed;
  const confidence = 1 - chanceAllLost(unanswered, SIGNALLING);
  if (unanswered < MIN_SILENT_SLOTS || confidence < REQUIRED_CONFIDENCE) return { kind: 'open' };
  return { kind: 'blocked', confidence, unanswered, how: 'the page reaches the same server over HTTP' };
}

function assessIceMapping({ iceChecks }: Observations): MappingAssessment {
  const filtering = iceChecks.filter(({ purpose }) => purpose === 'filtering');
  const localType = filtering.map(({ browser }) => browser?.localType).find((type) => type !== undefined);
  const priority = filtering.flatMap(({ received }) => received)[0]?.priority;
  const sockets = iceChecks
    .filter(({ purpose }) => purpose === 'mapping')
    .flatMap(({ received, offered }): SeenSocket[] => {
      const sightings = sightingsOf(received, priority);
      const first = sightings[0]?.mapped;
      // What the server saw is an address of the browser's: so it is this socket's.
      const isLocal = localType === 'host' || (first !== undefined && isThisMachine(first, offered));
      const local = isLocal ? first : undefined;
      return sightings.length === 0 ? [] : [{ ...(local && { local }), sightings }];
    });
  const assessment = assessSightings(sockets);
  if (assessment.mapping !== 'endpoint-independent' || localType !== undefined) return assessment;
  const text = 'the browser did not tell whether what the server saw is an address of its own';
  return {
    ...assessment,
    mapping: 'unknown',
    confidence: 0,
    reasons: [...assessment.reasons, { code: 'translation-untold', text }],
  };
}

/**
 * Whether a browser there is on the server's own machine, where no NAT is. It may not know: a socket
 * that is bound to no address gets one by the destination, and browsers think of the default route's.
 */
function isThisMachine({ address }: Endpoint, offered: readonly Endpoint[]): boolean {
  return scopeOf(address) === 'loopback' || offered.some((endpoint) => endpoint.address === address);
}

/**
 * What one socket was seen as at each endpoint. Sockets of one connection (a machine with several
 * interfaces has more) differ in priority: the one of `preferred`, or else the most seen.
 */
function sightingsOf(received: readonly IceArrival[], preferred: number | undefined): Sighting[] {
  let best: Sighting[] = [];
  for (const [priority, arrivals] of Map.groupBy(received, (arrival) => arrival.priority)) {
    const sightings: Sighting[] = [];
    for (const { at, from } of arrivals) {
      if (!sightings.some(({ to }) => sameEndpoint(to, at))) sightings.push({ to: at, mapped: from });
    }
    if (priority === preferred) return sightings;
    if (sightings.length > best.length) best = sightings;
  }
  return best;
}

function assessIceFiltering(observations: Observations, controls: Controls): FilteringAssessment {
  const otherAddress = assessOwnChecks(observations, controls, true);
  const otherPort = assessOwnChecks(observations, controls, false);
  const conclusion = concludeFiltering(otherAddress, otherPort, 'check');
  const reasons =
    conclusion.reasons.some(({ code }) => code === 'filtering-silence') || conclusion.filtering === 'unknown'
      ? [...conclusion.reasons, lossReason(controls.path)]
      : conclusion.reasons;
  return { ...conclusion, reasons, otherAddress, otherPort };
}

function lossReason({ answered, lost }: PathLoss): Reason {
  return {
    code: 'filtering-control',
    text: `of ${answered + lost} checks from endpoints that were sent to, ${answered} were answered`,
  };
}

/** What came of the checks from an endpoint that the filtering connection had not sent to. */
function assessOwnChecks(
  observations: Observations,
  controls: Controls,
  otherAddress: boolean,
): FilteringTest {
  const change = otherAddress ? FROM_OTHER_ADDRESS : FROM_OTHER_PORT;
  for (const { purpose, offered, checks, received } of observations.iceChecks) {
    if (purpose !== 'filtering') continue;
    const check = checks.find(
      ({ from }) =>
        !isControl(from, offered) &&
        offered.every(({ address }) => (from.address !== address) === otherAddress),
    );
    if (check === undefined) continue;
    // A check of the browser to there is an answer too: it can know that endpoint by ours alone.
    const heard = check.answers.length > 0 || received.some(({ at }) => sameEndpoint(at, check.from));
    const state: FilteringState = heard ? { kind: 'heard' } : countSilence(observations, controls, check);
    return { change, expected: check.from, state };
  }
  const isOver =
    observations.iceChecks.some(({ checks }) => checks.length > 0) && controls.rttMs !== undefined;
  return {
    change,
    state: isOver ? { kind: 'unavailable', why: 'no other address' } : { ...NOTHING_SENT },
  };
}

const NOTHING_SENT: FilteringState = {
  kind: 'open',
  silent: 0,
  awaiting: 0,
  unheard: 0,
  due: 0,
  nextMs: undefined,
};

/**
 * All sends are of one transaction, so an answer to any would have been an answer to it: what
 * counts are the sends beside which a control got through. The loss is that of all controls.
 */
function countSilence(
  observations: Observations,
  { path, rttMs = 0, answeredAtMs, addresses }: Controls,
  { from, sentMs }: IceOwnCheck,
): FilteringState {
  const { nowMs, run } = observations;
  const waitMs = iceWaitMs(rttMs);
  const over = sentMs.filter((ms) => nowMs >= ms + waitMs);
  const silentAt = over.filter((ms) => isBeside(observations, ms, answeredAtMs));
  const confidence = 1 - chanceAllLost(silentAt.length, path);
  const spread = countSlots(silentAt, run.paceMs) >= MIN_SILENT_SLOTS;
  if (spread && confidence >= REQUIRED_CONFIDENCE && addresses.has(from.address))
    return { kind: 'silent', sent: silentAt.length, confidence, receipts: true };
  const due = sentMs.length - over.length;
  const nextMs = due === 0 ? undefined : Math.min(...sentMs.filter((ms) => !over.includes(ms))) + waitMs;
  return { kind: 'open', silent: silentAt.length, awaiting: due, unheard: over.length, due, nextMs };
}

/** The public endpoint of the filtering connection, for a report without any mapping. */
export function filteringSource({ iceChecks }: Observations): Endpoint | undefined {
  return iceChecks.find(({ purpose }) => purpose === 'filtering')?.received[0]?.from;
}
