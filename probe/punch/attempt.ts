/** One attempt at a hole, by one plan: until a path to the peer is agreed on, or the plan's time is out. */
import { type Endpoint, type Family, familyOf, formatEndpoint, sameEndpoint } from '../../shared/endpoint.ts';
import type { Check } from '../../shared/ice/check.ts';
import type { PunchPlan, PunchStep } from '../../shared/punch/plan.ts';
import type { StrategyName } from '../../shared/punch/strategy.ts';
import type { Exchange, SentCheck } from './exchange.ts';
import type { FailureCode, Guessing, PuncherAction, PuncherInput, PunchFailure } from './io.ts';
import { CHECK_PACE_MS, type Path, PathTable, scheduleNext } from './paths.ts';
import { Relaying } from './relaying.ts';
import { StepQueue } from './step-queue.ts';
import { planVolley, type RandomBytes, type Shot, type SpreadSocket } from './volley.ts';

export interface AttemptOptions {
  readonly plan: PunchPlan;
  readonly startAt: number;
  /** Which of its puncher's attempts it is, lost holes counted in: its sockets are named by it. */
  readonly serial: number;
  readonly mains: Readonly<Partial<Record<Family, string>>>;
  readonly relay: Extract<PuncherInput, { kind: 'plan' }>['relay'];
  readonly exchange: Exchange;
  readonly random: RandomBytes;
  readonly act: (action: PuncherAction) => void;
}

/** What is heard is checked for so long, and after that each time that it is heard. */
const ANSWERED_WITHIN_MS = 2000;
/** Where a filter lets in whatever the peer guesses, most of what is heard leads nowhere: more than these cost a packet each. */
const MOST_CHECKED = 8;
/** A nomination shortly before the end is waited for: the other side may count on it already. */
const NOMINATED_WITHIN_MS = 1000;
/** Where something was heard by a guess further guesses wait for so long: it is likely that one was right. */
const HOLD_FIRE_MS = 300;
/** For whoever watches: no more often. */
const TELL_GUESSES_MS = 100;

export class Attempt {
  readonly #options: AttemptOptions;
  readonly #paths = new PathTable();
  readonly #relaying: Relaying;
  /** Only those that check. */
  readonly #steps: StepQueue;
  /** The sockets that each spreading step has asked for, by its index among the steps. */
  readonly #spread = new Map<PunchStep, string[]>();
  readonly #asked = new Set<string>();
  readonly #opened = new Set<string>();
  /** Undefined until the start. */
  #shots: Shot[] | undefined;
  #nextShot = 0;
  #guessesTold = 0;
  #guessesToldAt: number;
  #heardPaths = 0;
  #heldUntil = -Infinity;
  /** Which strategy has sent to an endpoint, where it wasn't told of it. */
  readonly #guessed = new Map<string, StrategyName>();
  #nominated: Path | undefined;
  #nominatedAt: number | undefined;
  #nominateAt: number | undefined;
  #agreed: Path | undefined;
  #rttMs = 0;

  constructor(options: AttemptOptions) {
    this.#options = options;
    this.#relaying = new Relaying(options);
    const { plan, startAt } = options;
    this.#guessesToldAt = startAt;
    const checks = plan.steps.filter(({ action }) => action.kind === 'check');
    this.#steps = new StepQueue(checks, startAt);
    for (const [index, step] of plan.steps.entries()) this.#openSpread(step, index);
  }

  /** The path that both agreed on. */
  get agreed(): Path | undefined {
    return this.#agreed;
  }

  get rttMs(): number {
    return this.#rttMs;
  }

  get deadlineAt(): number {
    const planned = this.#options.startAt + this.#options.plan.timeMs;
    const atLast = Math.max(planned, this.#relaying.deadlineAt ?? planned);
    return this.#nominatedAt === undefined
      ? atLast
      : Math.max(atLast, this.#nominatedAt + NOMINATED_WITHIN_MS);
  }

  /** Sockets besides the main ones. */
  get extraSockets(): string[] {
    return [...this.#opened];
  }

  /** Why there is no hole, as far as seen. */
  get failure(): PunchFailure {
    return this.#relaying.explain(this.#failureCode);
  }

  get #failureCode(): FailureCode {
    if (this.#options.plan.steps.length === 0) return 'no-way';
    if (this.#paths.first(({ echoedAt }) => echoedAt !== undefined) !== undefined) return 'not-agreed';
    if (this.#paths.first(({ heardAt }) => heardAt !== undefined) !== undefined) return 'one-way';
    return this.#options.exchange.limits.isSpent ? 'too-many-packets' : 'nothing-heard';
  }

  /** How far the guesses are; undefined where that has hardly changed since it was taken. */
  takeGuesses(now: number): Guessing | undefined {
    const sent = this.#nextShot;
    if (sent === this.#guessesTold || now < this.#guessesToldAt + TELL_GUESSES_MS) return undefined;
    this.#guessesTold = sent;
    this.#guessesToldAt = now;
    return { strategy: this.#shots![sent - 1]!.strategy, sent, of: this.#shots!.length };
  }

  /** False if it is none of this attempt's. */
  handleOpened(socket: string): boolean {
    if (!this.#asked.has(socket)) return false;
    this.#opened.add(socket);
    // One that was late for the start still has its turn.
    for (const [step, sockets] of this.#spread)
      if (this.#shots !== undefined && sockets.includes(socket)) {
        const late = [{ socket, number: sockets.indexOf(socket) }];
        this.#shots.push(...planVolley(step, this.#options.mains, late, this.#options.random));
      }
    return true;
  }

  /** A check of the peer, authenticated; it may come before the start, from who started earlier. */
  handleCheck(socket: string, from: Endpoint, check: Check, now: number): void {
    const { exchange } = this.#options;
    const path =
      this.#agreed === undefined ? this.#paths.add(socket, from, this.#strategyOf(socket, from)) : undefined;
    if (path === undefined) {
      exchange.answer(socket, from, check, now);
      return;
    }
    // Once for each path: a peer may be heard all the time where nothing gets back to it.
    if (path.heardAt === undefined) {
      path.isOneOfMany = ++this.#heardPaths > MOST_CHECKED;
      if (!path.isOneOfMany && this.#isGuessed(socket, from)) this.#heldUntil = now + HOLD_FIRE_MS;
      if (!path.isOneOfMany) path.untilAt = Math.max(path.untilAt, now + ANSWERED_WITHIN_MS);
    }
    path.heardAt = now;
    path.ttl = undefined;
    // Of many a check alone: what gets through is answered, and then so is the peer.
    if (!path.isOneOfMany || path.echoedAt !== undefined) exchange.answer(socket, from, check, now);
    if (check.nominates && this.#options.plan.role === 'controlled') {
      this.#nominated = path;
      this.#nominatedAt ??= now;
    }
    if (path.echoedAt === undefined) this.#check(path, now);
    this.#agree(now);
  }

  /** An answer to a check of ours, authenticated: what was sent there arrived, and so did this. */
  handleAnswer(sent: SentCheck, from: Endpoint, now: number): void {
    const path = this.#paths.add(sent.socket, sent.to, sent.strategy);
    if (path === undefined) return;
    path.echoedAt ??= now;
    path.nextAt = undefined;
    this.#rttMs = now - sent.sentAt;
    // A NAT may show another source than it takes packets for: what comes from there is tried as well.
    if (!sameEndpoint(from, sent.to)) {
      const alias = this.#paths.add(sent.socket, from, sent.strategy);
      if (alias !== undefined && alias.echoedAt === undefined) {
        alias.untilAt = Math.max(alias.untilAt, now + ANSWERED_WITHIN_MS);
        alias.nextAt ??= now;
      }
    }
    if (sent.nominates && path === this.#nominated) this.#agreed = path;
    this.#agree(now);
  }

  /** The peer is reached there, by way of a relay. */
  handleRelay(remote: Endpoint, now: number): void {
    const socket = this.#options.mains[familyOf(remote.address)];
    if (socket === undefined || this.#agreed !== undefined || !this.#relaying.handleFound()) return;
    const path = this.#paths.add(socket, remote, 'relay');
    if (path === undefined) return;
    path.untilAt = this.deadlineAt;
    path.nextAt = now;
  }

  handleNoRelay(failed: Extract<PuncherInput, { kind: 'relay-failed' }>, now: number): void {
    this.#relaying.handleFailed(failed, now);
  }

  /** Does what is due. */
  handleTimeout(now: number): void {
    if (now < this.#options.startAt || this.#agreed !== undefined) return;
    this.#shots ??= this.#planShots();
    this.#beginSteps(now);
    if (this.#nominated === undefined) this.#relaying.handleTimeout(now);
    if (this.#nominateAt !== undefined && this.#nominateAt <= now) this.#nominate(this.#nominated!, now);
    for (let path = this.#paths.due(now); path !== undefined; path = this.#paths.due(now))
      this.#check(path, now);
    this.#shoot(now);
  }

  nextAt(): number | undefined {
    const { startAt } = this.#options;
    if (this.#agreed !== undefined) return undefined;
    if (this.#shots === undefined) return startAt;
    const shotMs = this.#nextShotMs();
    const relayAt = this.#nominated === undefined ? this.#relaying.nextAt() : undefined;
    const times = [
      this.#steps.nextAt(),
      shotMs === undefined ? undefined : startAt + shotMs,
      this.#paths.nextAt(),
      this.#nominateAt,
      relayAt,
    ];
    return Math.min(this.deadlineAt, ...times.filter((at) => at !== undefined));
  }

  #openSpread(step: PunchStep, index: number): void {
    const { action } = step;
    if (action.kind !== 'spread') return;
    const family = familyOf(action.to.address);
    const sockets = Array.from(
      { length: action.sockets },
      (_, number) => `punch-${this.#options.serial}-${index}-${number}`,
    );
    this.#spread.set(step, sockets);
    for (const [number, socket] of sockets.entries()) {
      this.#asked.add(socket);
      this.#options.act({
        kind: 'open-socket',
        socket,
        family,
        ...(action.localPorts !== undefined && {
          localPorts: shareOf(action.localPorts, number, action.sockets),
        }),
      });
    }
  }

  #planShots(): Shot[] {
    const { plan, mains, random } = this.#options;
    const shots = plan.steps.flatMap((step) => {
      return planVolley(step, mains, this.#openedFor(step), random);
    });
    return shots.sort((one, other) => one.atMs - other.atMs);
  }

  #openedFor(step: PunchStep): SpreadSocket[] {
    const sockets = this.#spread.get(step) ?? [];
    return sockets
      .map((socket, number) => ({ socket, number }))
      .filter(({ socket }) => this.#opened.has(socket));
  }

  #beginSteps(now: number): void {
    const { startAt, mains } = this.#options;
    for (const { action, strategy, untilMs } of this.#steps.takeDue(now)) {
      if (action.kind !== 'check') continue;
      for (const to of action.to) {
        const socket = mains[familyOf(to.address)];
        const path = socket === undefined ? undefined : this.#paths.add(socket, to, strategy);
        if (path !== undefined && path.heardAt === undefined) {
          path.ttl = action.ttl;
          path.untilAt = startAt + untilMs;
          path.intervalMs = CHECK_PACE_MS;
          path.nextAt = now;
        }
      }
    }
  }

  #check(path: Path, now: number): void {
    const { exchange } = this.#options;
    const { socket, remote, strategy, ttl, isOneOfMany } = path;
    exchange.check({ socket, to: remote, strategy }, { ttl, isGuess: isOneOfMany }, now);
    scheduleNext(path, now);
  }

  /** When the next guess is due, from the start; undefined if there is none or there is no need. */
  #nextShotMs(): number | undefined {
    const { startAt, exchange } = this.#options;
    const shot = this.#shots?.[this.#nextShot];
    if (shot === undefined || this.#nominated !== undefined || exchange.limits.isSpent) return undefined;
    return Math.max(shot.atMs, this.#heldUntil - startAt, exchange.limits.nextAt(true) - startAt);
  }

  #shoot(now: number): void {
    const { startAt, exchange } = this.#options;
    for (let atMs = this.#nextShotMs(); atMs !== undefined && startAt + atMs <= now;) {
      const { socket, to, strategy, ttl } = this.#shots![this.#nextShot++]!;
      // What the plan's own sockets send to is told: who is heard from there was not hit by a guess.
      if (!this.#opened.has(socket)) this.#guessed.set(formatEndpoint(to), strategy);
      exchange.check({ socket, to, strategy }, { isGuess: true, ttl }, now);
      atMs = this.#nextShotMs();
    }
  }

  #isGuessed(socket: string, from: Endpoint): boolean {
    return this.#opened.has(socket) || this.#guessed.has(formatEndpoint(from));
  }

  /** What of the plan made the peer send from there, as far as that can be told. */
  #strategyOf(socket: string, from: Endpoint): StrategyName {
    for (const [{ strategy }, sockets] of this.#spread) if (sockets.includes(socket)) return strategy;
    const guessed = this.#guessed.get(formatEndpoint(from));
    if (guessed !== undefined) return guessed;
    const { steps } = this.#options.plan;
    const isThere = ({ address }: Endpoint): boolean => address === from.address;
    const there = steps.find(({ action }) => action.kind === 'check' && action.to.some(isThere));
    return (there ?? steps.at(-1))?.strategy ?? 'plain';
  }

  /** The controlling side nominates the first path that passes both ways, once; the other waits for that. */
  #agree(now: number): void {
    if (this.#agreed !== undefined) return;
    if (this.#options.plan.role === 'controlled') {
      if (this.#nominated?.echoedAt !== undefined) this.#agreed = this.#nominated;
      return;
    }
    if (this.#nominated !== undefined) return;
    const path = this.#paths.first(({ echoedAt }) => echoedAt !== undefined);
    if (path === undefined) return;
    this.#nominated = path;
    this.#nominatedAt = now;
    this.#nominate(path, now);
  }

  #nominate(path: Path, now: number): void {
    const { socket, remote, strategy } = path;
    this.#options.exchange.check({ socket, to: remote, strategy }, { nominates: true }, now);
    this.#nominateAt = now + CHECK_PACE_MS;
  }
}

/** Of a range of ports the part that one of several sockets may have, so that none takes another's. */
function shareOf(
  { first, last }: { readonly first: number; readonly last: number },
  number: number,
  sockets: number,
): { first: number; last: number } {
  const count = last - first + 1;
  const edge = (index: number): number => first + Math.floor((index * count) / sockets);
  return { first: edge(number), last: Math.max(edge(number), edge(number + 1) - 1) };
}
