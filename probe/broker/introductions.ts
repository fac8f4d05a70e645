/**
 * What comes of a member's introductions: whoever wants one is to be answered, plans are handed out with
 * the sockets that they are for, and of each punch the broker hears how it went, or that nobody wants it.
 */
import type { ClientMessage, Plan, ServerMessage } from '../../shared/broker/messages.ts';
import type { MemberInput, MemberOutlet, ReportedOutcome } from './io.ts';
import { Outcomes } from './outcomes.ts';
import type { Registration } from './registration.ts';
import type { Requests } from './requests.ts';

export interface IntroductionOptions {
  readonly outlet: MemberOutlet;
  readonly registration: Registration;
  readonly requests: Requests;
}

export class Introductions {
  readonly #options: IntroductionOptions;
  /** The questions that are not answered. */
  readonly #asks = new Set<number>();
  readonly #outcomes = new Outcomes();

  constructor(options: IntroductionOptions) {
    this.#options = options;
  }

  /** Somebody wants to be introduced. */
  ask({ introduction, peer, timeoutMs }: Extract<ServerMessage, { kind: 'ask' }>): void {
    this.#asks.add(introduction);
    this.#options.outlet.tell({ kind: 'asked', introduction, peer, timeoutMs });
  }

  answer(input: Extract<MemberInput, { kind: 'consent' | 'refuse' }>): void {
    if (this.#asks.delete(input.introduction)) this.#options.outlet.say(input);
  }

  /** Nobody waits for a plan whose request is no more: its peer is told. */
  handlePlan(plan: Plan, connection: number): void {
    const { introduction, id: request } = plan;
    const { registration, requests, outlet } = this.#options;
    this.#outcomes.expect(plan);
    const gathering = registration.gatheringFor(introduction);
    const isWanted = request === undefined || requests.take(request);
    if (gathering !== undefined && isWanted)
      outlet.act({ kind: 'punch', plan, gathering, connection, ...(request !== undefined && { request }) });
    else if (isWanted)
      this.report(introduction, {
        outcome: 'failed',
        packets: 0,
        timeMs: 0,
        reason: 'no sockets for it',
      });
    else this.withdraw(introduction);
    registration.settlePlan(introduction);
  }

  /** How a punch went. */
  report(introduction: number, outcome: ReportedOutcome): void {
    this.#outcomes.add(introduction, outcome);
  }

  /** That punch is no more wanted here; its peer is told, if it is not over. */
  withdraw(introduction: number): void {
    if (this.#outcomes.drop(introduction)) this.giveUp(introduction);
  }

  /** A punch that nobody here wants any more, or the question whether the peer wants it. */
  giveUp(introduction: number): void {
    this.#options.outlet.say({ kind: 'refuse', introduction });
  }

  /** The broker, or the peer, wants it no more. */
  handleWithdrawn(introduction: number): void {
    this.#outcomes.drop(introduction);
    const wasUndecided = this.#withdraw(introduction);
    if (!wasUndecided) this.#options.outlet.tell({ kind: 'given-up', introduction });
  }

  /** Nobody is to be answered any more. */
  withdrawAsks(): void {
    for (const introduction of [...this.#asks]) this.#withdraw(introduction);
  }

  /** What the broker has not been told of the punches. */
  takeOutcomes(): ClientMessage[] {
    return this.#outcomes.take();
  }

  /** The broker knows nothing of earlier plans. */
  forgetOutcomes(): void {
    this.#outcomes.forget();
  }

  /** False if it wasn't asked for, or is decided. */
  #withdraw(introduction: number): boolean {
    const wasPrepared = this.#options.registration.withdraw(introduction);
    const wasAsked = this.#asks.delete(introduction);
    if (wasAsked) this.#options.outlet.tell({ kind: 'withdrawn', introduction });
    return wasPrepared || wasAsked;
  }
}
