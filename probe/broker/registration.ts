/**
 * What is registered with the broker, and what is on its way there: the sockets that the next plan is
 * for, renewed while they wait, and replaced once a plan has used them (MEASURING.md §4 and §7).
 */
import type { Transport } from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { GatheredCandidates, MemberOutlet } from './io.ts';

/** Keeps a mapping of the usual lifetime open, and the candidates young: half of the shortest that is usual, 30 s. */
const RENEW_MS = 15_000;
/** Of the time until candidates are stale. */
const RENEW_SHARE = 2 / 3;
const ANSWER_MS = 10_000;
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 15_000;
/** A plan may come a little after the broker has stopped waiting. */
const PREPARED_GRACE_MS = 5000;

/** The sockets that are registered, or were with the session before. */
interface Mains {
  readonly gathering: number;
  isUsed: boolean;
}

interface Prepared {
  readonly gathering: number;
  readonly expiresAt: number;
}

export class Registration {
  readonly #outlet: MemberOutlet;
  #lastGathering = 0;
  #nonce: string | undefined;
  #mains: Mains | undefined;
  #isRegistered = false;
  /** What becomes the mains once it is registered; the same gathering where they are renewed. */
  #job: number | undefined;
  readonly #prepared = new Map<number, Prepared>();
  #gatherAt: number | undefined;
  /** While the candidates of the job are with the broker. */
  #answerBy: number | undefined;
  #failures = 0;

  constructor(outlet: MemberOutlet) {
    this.#outlet = outlet;
  }

  get isRegistered(): boolean {
    return this.#isRegistered;
  }

  /** A connection goes on with a session, or begins one; either way the candidates are sent anew. */
  begin(nonce: string): void {
    this.#nonce = nonce;
    this.#failures = 0;
    this.#gather();
  }

  /** What was on its way is void: nobody knows whether it arrived. */
  lose(): void {
    this.#nonce = undefined;
    this.#isRegistered = false;
    this.#dropJob();
    for (const { gathering } of this.#prepared.values()) this.#release(gathering);
    this.#prepared.clear();
    this.#gatherAt = undefined;
  }

  /** All sockets are let go of. */
  end(): void {
    this.lose();
    if (this.#mains !== undefined) this.#release(this.#mains.gathering);
    this.#mains = undefined;
  }

  /** Fresh candidates are wanted for one introduction. */
  prepare(introduction: number, transport: Transport, timeoutMs: number, now: number): void {
    if (this.#prepared.has(introduction)) return;
    const gathering = ++this.#lastGathering;
    this.#prepared.set(introduction, { gathering, expiresAt: now + timeoutMs + PREPARED_GRACE_MS });
    this.#outlet.act({
      kind: 'gather',
      gathering,
      isFresh: true,
      nonce: this.#nonce!,
      transport,
      introduction,
    });
  }

  /** That introduction won't come; false if nothing was prepared for it. */
  withdraw(introduction: number): boolean {
    const prepared = this.#prepared.get(introduction);
    if (prepared === undefined) return false;
    this.#prepared.delete(introduction);
    this.#release(prepared.gathering);
    return true;
  }

  handleGathered(gathering: number, candidates: GatheredCandidates, now: number): void {
    const introduction = this.#introductionOf(gathering);
    if (introduction === undefined && gathering !== this.#job) return;
    this.#outlet.say({
      kind: 'candidates',
      ...candidates,
      ...(introduction !== undefined && { introduction }),
    });
    if (introduction === undefined) this.#answerBy = now + ANSWER_MS;
  }

  handleNotGathered(gathering: number, error: NatprobeError, now: number): void {
    const introduction = this.#introductionOf(gathering);
    if (introduction !== undefined) {
      this.withdraw(introduction);
      this.#outlet.tell({ kind: 'trouble', error });
    } else if (gathering === this.#job) this.#fail(error, now);
  }

  /** The broker has taken the candidates of the job; it says nothing about those for one introduction. */
  handleRegistered(renewInMs: number, now: number): void {
    const gathering = this.#job;
    if (gathering === undefined || this.#answerBy === undefined) return;
    if (this.#mains?.gathering !== gathering) {
      if (this.#mains !== undefined) this.#release(this.#mains.gathering);
      this.#mains = { gathering, isUsed: false };
    }
    this.#job = this.#answerBy = undefined;
    this.#failures = 0;
    this.#gatherAt = now + Math.min(RENEW_MS, renewInMs * RENEW_SHARE);
    if (!this.#isRegistered) this.#outlet.tell({ kind: 'registered' });
    this.#isRegistered = true;
    if (this.#mains.isUsed) this.#gather();
  }

  /** The broker has not taken candidates. Those for an introduction end that, and whoever asked for it hears of it. */
  handleRefused(error: NatprobeError, now: number): void {
    if (this.#answerBy !== undefined) this.#fail(error, now);
  }

  /** The sockets that a plan is for: those prepared for it, else the registered ones, which are used then. */
  gatheringFor(introduction: number): number | undefined {
    const prepared = this.#prepared.get(introduction);
    if (prepared !== undefined) return prepared.gathering;
    if (this.#mains !== undefined) this.#mains.isUsed = true;
    return this.#mains?.gathering;
  }

  /** After the plan was handed out: lets go of what was for it alone, or gathers for whoever comes next. */
  settlePlan(introduction: number): void {
    if (this.#prepared.has(introduction)) this.withdraw(introduction);
    else if (this.#job === undefined) this.#gather();
  }

  handleTimeout(now: number): void {
    for (const [introduction, { expiresAt }] of [...this.#prepared])
      if (now >= expiresAt) this.withdraw(introduction);
    if (this.#answerBy !== undefined && now >= this.#answerBy)
      this.#fail(new NatprobeError('ERR_BROKER_LATE', 'candidates'), now);
    if (this.#gatherAt !== undefined && now >= this.#gatherAt) this.#gather();
  }

  dueTimes(): (number | undefined)[] {
    return [
      this.#gatherAt,
      this.#answerBy,
      ...[...this.#prepared.values()].map(({ expiresAt }) => expiresAt),
    ];
  }

  /** From the registered sockets while they wait for a plan, else from fresh ones. */
  #gather(): void {
    if (this.#nonce === undefined) return;
    this.#gatherAt = undefined;
    const isFresh = this.#mains === undefined || this.#mains.isUsed;
    const gathering = isFresh ? ++this.#lastGathering : this.#mains!.gathering;
    this.#job = gathering;
    this.#outlet.act({ kind: 'gather', gathering, isFresh, nonce: this.#nonce, transport: 'udp' });
  }

  /** Sockets that don't get through any more are given up: the network may be another one. */
  #fail(error: NatprobeError, now: number): void {
    this.#dropJob();
    if (this.#mains !== undefined) this.#mains.isUsed = true;
    this.#gatherAt = now + Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++);
    this.#isRegistered = false;
    this.#outlet.tell({ kind: 'unregistered', error });
  }

  #dropJob(): void {
    if (this.#job !== undefined && this.#job !== this.#mains?.gathering) this.#release(this.#job);
    this.#job = this.#answerBy = undefined;
  }

  #release(gathering: number): void {
    this.#outlet.act({ kind: 'release', gathering });
  }

  #introductionOf(gathering: number): number | undefined {
    return [...this.#prepared].find(([, prepared]) => prepared.gathering === gathering)?.[0];
  }
}
