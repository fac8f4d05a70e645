/**
 * One measurement of a browser: the server plays the ICE peer of its connections, and what comes from
 * where and what gets in tells mapping and filtering. No I/O. What is sent to whom:
 *
 * - only to the source of a check whose MESSAGE-INTEGRITY is valid, one source a session;
 * - until that source has proved that it hears us (it answers a random transaction id of ours,
 *   authenticated with the browser's own password, which no other STUN server at that address knows),
 *   one check for each of its checks and nothing else. Its checks are answered after that;
 * - after that from the other port and the other address, one check each in a few packets: five, or up to
 *   MOST_TEST_SENDS where so many are lost that five prove nothing;
 * - to other ports of the proven address, one check for each check that came from there, at most
 *   MOST_PATH_CHECKS.
 */
import { type Endpoint, sameEndpoint } from '../../shared/endpoint.ts';
import { decodeCheck, decodeCheckAnswer, isAuthentic } from '../../shared/ice/check.ts';
import type { Machine } from '../../shared/machine.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import { assessIceChecks, iceWaitMs } from '../../shared/nat/ice-check.ts';
import type { IceBrowserStats } from '../../shared/nat/ice-evidence.ts';
import { observe } from '../../shared/nat/observations.ts';
import { AA, PP, type ServerRole } from '../../shared/role.ts';
import type { StunMessage, TransactionId } from '../../shared/stun/message.ts';
import { AwakeClock } from './awake-clock.ts';
import type { OwnCheck, PeerConnection } from './peer-connection.ts';

export type SessionInput =
  | {
      readonly kind: 'datagram';
      /** Where it arrived. */
      readonly role: ServerRole;
      readonly source: Endpoint;
      readonly message: StunMessage;
    }
  /** What the page found out, by connection; its last word, unless it is asked again. */
  | { readonly kind: 'browser'; readonly stats: Readonly<Record<string, IceBrowserStats>> };

/** One datagram. */
export interface SessionAction {
  readonly role: ServerRole;
  readonly to: Endpoint;
  readonly bytes: Uint8Array;
  /** Of a check: what an answer to it will carry. */
  readonly transactionId?: TransactionId;
}

export type SessionEvent =
  | { readonly kind: 'measured'; readonly evidence: readonly Evidence[] }
  /** The browser may know more by now than its page said: it is to speak again. */
  | { readonly kind: 'ask-again' }
  | { readonly kind: 'expired' };

/** A session lives no longer, whatever happens; this and what follows is time in which the server was awake. */
export const SESSION_MS = 10_000;
/** UDP is blocked if no check has come by then. */
export const FIRST_CHECK_MS = 2000;
/** How long, from the first check on, the control may take to be answered. */
export const CONTROL_MS = 1500;
/** How long the mapping may take from the proof of the round trip on, if it takes longer than the filtering. */
const MAPPING_MS = 2000;
/** After this long, on a machine too busy to have sent everything, the filtering stays untold. */
const FILTERING_MS = SESSION_MS - 2000;
/** Between two sends of one test, and how many there are at first. */
const TEST_PACE_MS = 50;
const TEST_SENDS = 5;
/** Controls go beside them, twice as often. */
const CONTROL_PACE_MS = TEST_PACE_MS / 2;
const CONTROLS_BESIDE_TESTS = 16;
/** Some are left for that, however many checks were waiting when the server went on after it had stood still. */
const MOST_UNPROVEN_CONTROLS = 40;
/**
 * If those prove nothing when the wait is over, tests and controls go on side by side, up to so many. At a
 * loss of 20 % each way a silence is proven by about a dozen.
 */
export const MOST_TEST_SENDS = 40;
export const MOST_CONTROLS = 120;
/** Until one was answered, further checks at the other address draw one each. */
const PATH_CHECKS = 5;
export const MOST_PATH_CHECKS = 20;
/** How often a page is asked again that gave up before its browser heard from the server. */
export const MOST_ASKED_AGAIN = 4;
/** While the server waits for packets it is woken at least so often, to see whether it stood still. */
const WATCH_MS = 100;
/** Errors of an ICE agent: they tell that a check came in (RFC 8445 §7.3). */
const AGENT_ERRORS: ReadonlySet<number> = new Set([400, 401, 487]);

export interface BrowserSessionOptions {
  readonly filtering: PeerConnection;
  readonly mapping: readonly PeerConnection[];
  /** The primary endpoint, as clients know it. */
  readonly server: Endpoint;
  /** Where the filtering tests come from: the other port and, if there is one, the other address. */
  readonly testRoles: readonly ServerRole[];
  readonly startedAt: number;
}

export class BrowserSession implements Machine<SessionInput, SessionAction, SessionEvent> {
  readonly connections: readonly PeerConnection[];

  private readonly options: BrowserSessionOptions;
  private readonly filtering: PeerConnection;
  private readonly actions: SessionAction[] = [];
  private event: SessionEvent | undefined;
  private ended = false;
  private readonly clock: AwakeClock;
  private heardBrowser = false;
  private askedAgain = 0;
  /** The one source that the filtering connection is measured at. */
  private source: Endpoint | undefined;
  /** Of the clock, as `provenMs` is. */
  private firstCheckMs: number | undefined;
  private awaitingResponse: TransactionId | undefined;
  private controls = 0;
  private provenMs: number | undefined;
  private roundTripMs = Infinity;
  private readonly tests: OwnCheck[] = [];
  private ticks = 0;
  private nextTickAt = 0;
  private advancedAt: number;
  private lastTestAt = 0;
  /** How often each test is sent, unless it is heard: the first round, or all. */
  private testSends = TEST_SENDS;
  private filteringDone = false;
  /** Checks at the other address that entitle to one of ours. */
  private readonly credits: { readonly connection: PeerConnection; readonly source: Endpoint }[] = [];
  private pathChecks = 0;
  private isPathProven = false;

  constructor(options: BrowserSessionOptions) {
    this.options = options;
    this.clock = new AwakeClock(options.startedAt);
    this.advancedAt = options.startedAt;
    this.filtering = options.filtering;
    this.connections = [options.filtering, ...options.mapping];
  }

  handleInput(input: SessionInput, now: number): void {
    if (this.ended) return;
    this.noteWake(now);
    if (input.kind === 'browser') this.takeStats(input.stats);
    else if (input.message.class === 'request') this.handleCheck(input, now);
    else this.handleAnswer(input, now);
    this.advance(now);
  }

  handleTimeout(now: number): void {
    if (this.ended) return;
    this.noteWake(now);
    this.advance(now);
  }

  pollAction(): SessionAction | undefined {
    return this.actions.shift();
  }

  pollTimeout(): number | undefined {
    if (this.ended) return undefined;
    const deadline = this.clock.timeAt(SESSION_MS);
    const next = Math.max(this.nextStepAt(), this.clock.settledAt);
    // What is past and awaits the page's word is no reason to wake.
    return next <= this.advancedAt ? deadline : Math.min(next, this.advancedAt + WATCH_MS, deadline);
  }

  pollEvent(): SessionEvent | undefined {
    const { event } = this;
    this.event = undefined;
    return event;
  }

  private noteWake(now: number): void {
    const due = this.pollTimeout();
    if (due !== undefined) this.clock.noteWake(due, now);
  }

  private takeStats(stats: Readonly<Record<string, IceBrowserStats>>): void {
    this.heardBrowser = true;
    for (const connection of this.connections) connection.browser = stats[connection.name];
  }

  private handleCheck({ role, source, message }: SessionInput & { kind: 'datagram' }, now: number): void {
    const check = decodeCheck(message);
    const connection = this.connections.find(({ ours }) => ours.ufrag === check?.receiverUfrag);
    if (check === undefined || connection === undefined) return;
    if (check.senderUfrag !== connection.theirs.ufrag) return;
    if (!isAuthentic(message, connection.ours.password)) return;
    if (connection === this.filtering) {
      if (this.source !== undefined && role === PP && !sameEndpoint(this.source, source)) return;
      connection.recordArrival(role, source, check.priority, this.elapsed(now));
      if (role === PP) this.answerFilteringCheck(source, check.transactionId, now);
      return;
    }
    connection.recordArrival(role, source, check.priority, this.elapsed(now));
    const mostCredits = this.provenMs === undefined || this.isPathProven ? PATH_CHECKS : MOST_PATH_CHECKS;
    if (role !== AA || this.credits.length >= mostCredits) return;
    this.credits.push({ connection, source });
    this.checkPath(now);
  }

  private answerFilteringCheck(source: Endpoint, transactionId: TransactionId, now: number): void {
    this.source ??= source;
    const awakeMs = this.clock.awakeMs(now);
    this.firstCheckMs ??= awakeMs;
    if (this.provenMs !== undefined) {
      this.actions.push({ role: PP, to: source, bytes: this.filtering.respond(transactionId, source) });
      return;
    }
    this.awaitingResponse = transactionId;
    if (awakeMs < this.firstCheckMs + CONTROL_MS && this.controls < MOST_UNPROVEN_CONTROLS)
      this.sendControl(source, now);
  }

  private handleAnswer({ role, source, message }: SessionInput & { kind: 'datagram' }, now: number): void {
    const answer = decodeCheckAnswer(message);
    if (answer === undefined) return;
    for (const connection of this.connections) {
      const check = connection.findCheck(answer.transactionId);
      if (check === undefined) continue;
      if (check.role !== role) return;
      const isTest = this.tests.includes(check);
      if (answer.kind === 'success') {
        if (!isAuthentic(message, connection.theirs.password)) return;
      } else if (!isTest || !AGENT_ERRORS.has(answer.code)) return;
      connection.recordAnswer(check, answer, source, this.elapsed(now));
      if (connection !== this.filtering) this.isPathProven = true;
      else if (!isTest) this.proveRoundTrip(check, now);
      return;
    }
  }

  /** `source` has answered what only it can have heard. */
  private proveRoundTrip(control: OwnCheck, now: number): void {
    // The shortest: others may have waited to be read.
    this.roundTripMs = Math.min(this.roundTripMs, this.elapsed(now) - control.sentMs[0]!);
    if (this.provenMs !== undefined || this.source === undefined) return;
    this.provenMs = this.clock.awakeMs(now);
    this.nextTickAt = now;
    if (this.awaitingResponse !== undefined) {
      const bytes = this.filtering.respond(this.awaitingResponse, this.source);
      this.actions.push({ role: PP, to: this.source, bytes });
    }
    for (const role of this.options.testRoles) this.tests.push(this.filtering.openCheck(role, this.source));
    this.checkPath(now);
  }

  /** Sends what is due, and tells if there is no more to learn. */
  private advance(now: number): void {
    this.advancedAt = now;
    if (this.provenMs !== undefined && !this.filteringDone && now >= this.nextTickAt) this.tick(now);
    if (this.isMeasured(now) && this.heardBrowser && this.isStillDone(now)) {
      if (this.asksAgain()) return;
      this.ended = true;
      this.event = { kind: 'measured', evidence: this.evidenceAt(now) };
    } else if (now >= this.clock.timeAt(SESSION_MS)) {
      this.ended = true;
      this.event = { kind: 'expired' };
    }
  }

  /** Whether the page has given up on what its browser must have learnt since: that a pair succeeded, and of which kind. */
  private asksAgain(): boolean {
    const isTold = this.provenMs === undefined || this.filtering.browser?.localType !== undefined;
    if (isTold || this.askedAgain === MOST_ASKED_AGAIN) return false;
    this.askedAgain++;
    this.heardBrowser = false;
    this.event = { kind: 'ask-again' };
    return true;
  }

  /** Controls that were on their way when the filtering was done may be lost by now: then it is not, and goes on. */
  private isStillDone(now: number): boolean {
    if (this.provenMs === undefined || this.isFilteringDone(now)) return true;
    this.filteringDone = false;
    this.tick(now);
    return false;
  }

  private tick(now: number): void {
    this.nextTickAt = now + CONTROL_PACE_MS;
    this.filteringDone = this.isFilteringDone(now);
    if (this.filteringDone) return;
    if (this.hasSentTests() && this.hasWaited(now)) this.testSends = MOST_TEST_SENDS;
    const isTestTick = this.ticks % (TEST_PACE_MS / CONTROL_PACE_MS) === 0;
    this.ticks++;
    if (isTestTick) {
      for (const test of this.tests) {
        if (test.sentMs.length >= this.testSends || this.isHeard(test)) continue;
        this.sendCheck(this.filtering, test, now);
        this.lastTestAt = now;
      }
    }
    const isSecondRound = this.testSends === MOST_TEST_SENDS;
    if (this.ticks <= CONTROLS_BESIDE_TESTS || isSecondRound) this.sendControl(this.source!, now);
  }

  private isHeard({ answers, role }: OwnCheck): boolean {
    return answers.length > 0 || this.filtering.hasReached(role);
  }

  private hasSentTests(): boolean {
    return this.tests.every((test) => test.sentMs.length >= this.testSends || this.isHeard(test));
  }

  /** Whether what was sent last would have been answered. */
  private hasWaited(now: number): boolean {
    return now >= Math.max(this.clock.settledAt, this.lastTestAt + iceWaitMs(this.roundTripMs));
  }

  private isFilteringDone(now: number): boolean {
    if (this.tests.every((test) => this.isHeard(test))) return true;
    if (this.tests.some((test) => test.role === AA && this.isHeard(test))) return true;
    if (now < this.clock.settledAt) return false;
    if (this.clock.awakeMs(now) >= FILTERING_MS) return true;
    const isOver = this.hasSentTests() && this.hasWaited(now);
    if (this.testSends === TEST_SENDS && !isOver) return false;
    if (this.testSends === MOST_TEST_SENDS && isOver) return true;
    return assessIceChecks(observe(this.evidenceAt(now))).filtering.filtering !== 'unknown';
  }

  private isMeasured(now: number): boolean {
    if (now < this.clock.settledAt) return false;
    const { mapping } = this.options;
    const awakeMs = this.clock.awakeMs(now);
    if (this.firstCheckMs === undefined) return awakeMs >= FIRST_CHECK_MS;
    if (this.provenMs === undefined) return awakeMs >= this.firstCheckMs + CONTROL_MS;
    if (!this.filteringDone) return false;
    return mapping.every((connection) => connection.hasReachedAll()) || awakeMs >= this.provenMs + MAPPING_MS;
  }

  /** When something is due next if no packet comes. */
  private nextStepAt(): number {
    const { clock } = this;
    if (this.firstCheckMs === undefined) return clock.timeAt(FIRST_CHECK_MS);
    if (this.provenMs === undefined) return clock.timeAt(this.firstCheckMs + CONTROL_MS);
    return this.filteringDone ? clock.timeAt(this.provenMs + MAPPING_MS) : this.nextTickAt;
  }

  private sendControl(to: Endpoint, now: number): void {
    if (this.controls >= MOST_CONTROLS) return;
    this.controls++;
    this.sendCheck(this.filtering, this.filtering.openCheck(PP, to), now);
  }

  /**
   * Whether the other address gets through to the browser at all: checks from there to where the
   * browser has sent to it from, which no NAT keeps out.
   */
  private checkPath(now: number): void {
    if (this.provenMs === undefined) return;
    for (const { connection, source } of this.credits.slice(this.pathChecks)) {
      this.pathChecks++;
      if (source.address !== this.source!.address) continue;
      this.sendCheck(connection, connection.openCheck(AA, source), now);
    }
  }

  private sendCheck(connection: PeerConnection, check: OwnCheck, now: number): void {
    const bytes = connection.sendCheck(check, this.elapsed(now));
    this.actions.push({ role: check.role, to: check.to, bytes, transactionId: check.transactionId });
  }

  private evidenceAt(now: number): Evidence[] {
    const { server } = this.options;
    return [
      {
        kind: 'run',
        family: server.address.includes(':') ? 'ipv6' : 'ipv4',
        servers: [server],
        untilMs: this.elapsed(now),
        timeoutMs: SESSION_MS,
        paceMs: TEST_PACE_MS,
      },
      ...this.connections.map((connection) => connection.toEvidence()),
    ];
  }

  /** Since the session began, to the microsecond. */
  private elapsed(now: number): number {
    return Math.round((now - this.options.startedAt) * 1000) / 1000;
  }
}
