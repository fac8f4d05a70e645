/**
 * The puncher over TCP: makes a connection by the plans that it is given, and proves that it is the
 * peer's (MEASURING.md §4). A machine without I/O; every punch ends in an event.
 */
import type { Machine } from '../../shared/machine.ts';
import { Attempts } from './attempts.ts';
import { Exchange } from './exchange.ts';
import { type FailureCode, failureOf, pathOf } from './io.ts';
import { SendLimits } from './send-limits.ts';
import { punchSession } from './session.ts';
import { TcpAttempt, type TcpLine } from './tcp-attempt.ts';
import type { TcpPuncherAction, TcpPuncherEvent, TcpPuncherInput } from './tcp-io.ts';
import type { PuncherOptions } from './puncher.ts';
import type { RandomBytes } from './volley.ts';

export type TcpPuncherMachine = Machine<TcpPuncherInput, TcpPuncherAction, TcpPuncherEvent>;

/** Makes a puncher that waits for its first plan. */
export function createTcpPuncher({ random }: PuncherOptions): TcpPuncherMachine {
  return new TcpPuncher(random);
}

type PlanInput = Extract<TcpPuncherInput, { kind: 'plan' }>;

class TcpPuncher implements TcpPuncherMachine {
  readonly #random: RandomBytes;
  readonly #actions: TcpPuncherAction[] = [];
  readonly #events: TcpPuncherEvent[] = [];
  readonly #attempts = new Attempts();
  #state: 'waiting' | 'punching' | 'over' = 'waiting';
  #given: PlanInput | undefined;
  #exchange: Exchange | undefined;
  #attempt: TcpAttempt | undefined;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  handleInput(input: TcpPuncherInput, now: number): void {
    if (input.kind === 'plan') {
      if (this.#state !== 'over') this.#begin(input, now);
    } else if (input.kind === 'stop') this.#fail(input.code ?? 'stopped', now);
    else if (this.#attempt !== undefined) this.#tell(this.#attempt, input, now);
    // What was under way when an attempt ended is of no use any more.
    else if (input.kind === 'connected' || input.kind === 'accepted')
      this.#actions.push({ kind: 'close', connection: input.connection });
    this.#settle(now);
  }

  handleTimeout(now: number): void {
    const { planBy } = this.#attempts;
    if (planBy !== undefined && now >= planBy) this.#fail('no-plan', now);
    this.#attempt?.handleTimeout(now);
    this.#settle(now);
  }

  pollAction(): TcpPuncherAction | undefined {
    return this.#actions.shift();
  }

  pollEvent(): TcpPuncherEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    return this.#attempt?.nextAt() ?? this.#attempts.planBy;
  }

  #begin(given: PlanInput, now: number): void {
    this.#endAttempt();
    const { plan, key, sockets } = given;
    const startAt = now + plan.startInMs;
    this.#attempts.begin(plan, startAt);
    const exchange = new Exchange(
      punchSession(key, plan.role),
      new SendLimits(plan.limits, now),
      this.#random,
      (action) => {
        if (action.kind === 'send')
          this.#actions.push({ kind: 'send', connection: action.socket, bytes: action.bytes });
      },
    );
    const act = (action: TcpPuncherAction): void => void this.#actions.push(action);
    this.#given = given;
    this.#exchange = exchange;
    this.#attempt = new TcpAttempt({ plan, startAt, sockets, exchange, random: this.#random, act });
    this.#state = 'punching';
  }

  #tell(attempt: TcpAttempt, input: Exclude<TcpPuncherInput, { kind: 'plan' | 'stop' }>, now: number): void {
    switch (input.kind) {
      case 'connected':
        attempt.handleConnected(input.connection, now);
        return;
      case 'connect-failed':
        attempt.handleFailed(input.connection, input.reason, now);
        return;
      case 'accepted':
        attempt.handleAccepted(input.connection, input.from, now);
        return;
      case 'data':
        attempt.handleData(input.connection, input.bytes, now);
        return;
      case 'closed':
        attempt.handleClosed(input.connection, now);
    }
  }

  /** What follows from what has just happened. */
  #settle(now: number): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    if (attempt.agreed !== undefined) this.#open(attempt.agreed, now);
    else if (now >= attempt.deadlineAt) this.#giveUp(attempt.failure, now);
  }

  #open(line: TcpLine, now: number): void {
    const { rttMs } = this.#attempt!;
    const { plan } = this.#given!;
    this.#endAttempt(line);
    this.#state = 'over';
    this.#events.push({
      kind: 'open',
      connection: line.name,
      remote: line.remote,
      path: pathOf(line.strategy),
      strategy: line.strategy,
      attempt: plan.attempt,
      packets: this.#attempts.packets,
      tookMs: this.#attempts.tookMs(now),
      rttMs,
      early: line.framer.takeRest(),
    });
  }

  #giveUp(code: FailureCode, now: number): void {
    this.#endAttempt();
    const retrying = this.#attempts.retrying(failureOf(code), now);
    if (retrying === undefined) {
      this.#fail(code, now);
      return;
    }
    this.#state = 'waiting';
    this.#events.push(retrying);
    this.#actions.push(this.#attempts.renew(retrying.attempt, now));
  }

  #fail(code: FailureCode, now: number): void {
    if (this.#state === 'over') return;
    this.#endAttempt();
    this.#state = 'over';
    this.#events.push(this.#attempts.fail(failureOf(code), now));
  }

  /** Closes everything but `kept`: the next attempt has fresh ports (MEASURING.md §7). */
  #endAttempt(kept?: TcpLine): void {
    if (this.#attempt === undefined) return;
    for (const line of this.#attempt.lines)
      if (line !== kept) this.#actions.push({ kind: 'close', connection: line.name });
    for (const socket of Object.values(this.#given!.sockets))
      this.#actions.push({ kind: 'close-socket', socket });
    this.#attempts.end(this.#attempt.connections + this.#exchange!.packets);
    this.#attempt = undefined;
    this.#exchange = undefined;
  }
}
