/**
 * The puncher: makes a hole by the plans that it is given, holds it open, and makes it again when it is
 * lost (MEASURING.md §4). A machine without I/O; every punch ends in an event.
 */
import type { Endpoint } from '../../shared/endpoint.ts';
import type { Machine } from '../../shared/machine.ts';
import { Attempt } from './attempt.ts';
import { Attempts } from './attempts.ts';
import { Exchange } from './exchange.ts';
import { Goodbye } from './goodbye.ts';
import { Hold, LOSS_MS } from './hold.ts';
import {
  failureOf,
  type OpenHole,
  pathOf,
  type PuncherAction,
  type PuncherEvent,
  type PuncherInput,
  type PunchFailure,
  RENEW_MS,
  type StopCode,
} from './io.ts';
import type { Path } from './paths.ts';
import { SendLimits } from './send-limits.ts';
import { punchSession } from './session.ts';
import type { RandomBytes } from './volley.ts';

export interface PuncherOptions {
  readonly random: RandomBytes;
}

/** Makes a puncher that waits for its first plan. */
export function createPuncher({
  random,
}: PuncherOptions): Machine<PuncherInput, PuncherAction, PuncherEvent> {
  return new Puncher(random);
}

type PlanInput = Extract<PuncherInput, { kind: 'plan' }>;

class Puncher implements Machine<PuncherInput, PuncherAction, PuncherEvent> {
  readonly #random: RandomBytes;
  readonly #actions: PuncherAction[] = [];
  readonly #events: PuncherEvent[] = [];
  readonly #attempts = new Attempts();
  #state: 'waiting' | 'punching' | 'open' | 'closing' | 'over' = 'waiting';
  #given: PlanInput | undefined;
  #exchange: Exchange | undefined;
  #limits: SendLimits | undefined;
  #attempt: Attempt | undefined;
  #hold: Hold | undefined;
  #goodbye: Goodbye | undefined;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  handleInput(input: PuncherInput, now: number): void {
    if (this.#state === 'over') {
      if (input.kind === 'socket-opened') this.#close(input.socket);
      return;
    }
    switch (input.kind) {
      case 'plan':
        if (this.#state !== 'closing') this.#begin(input, now);
        break;
      case 'datagram':
        this.#hear(input.socket, input.from, input.bytes, now);
        break;
      case 'socket-opened':
        // What comes too late is of no use.
        if (this.#state !== 'punching' || !this.#attempt!.handleOpened(input.socket))
          this.#close(input.socket);
        return;
      case 'relay-found':
        if (this.#state === 'punching') this.#attempt!.handleRelay(input.remote, now);
        break;
      case 'relay-failed':
        if (this.#state === 'punching') this.#attempt!.handleNoRelay(input, now);
        break;
      case 'socket-failed':
        // One of many; those that are there have to do.
        return;
      case 'stop':
        this.#stop(input.code ?? 'stopped', now);
        return;
    }
    this.#settle(now);
  }

  handleTimeout(now: number): void {
    const { planBy } = this.#attempts;
    if (this.#state === 'waiting' && planBy !== undefined && now >= planBy)
      this.#fail(failureOf('no-plan'), now);
    if (this.#state === 'punching') this.#attempt!.handleTimeout(now);
    if (this.#state === 'open') this.#hold!.handleTimeout(now);
    if (this.#state === 'closing') this.#goodbye!.handleTimeout(now);
    this.#settle(now);
  }

  pollAction(): PuncherAction | undefined {
    return this.#actions.shift();
  }

  pollEvent(): PuncherEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    switch (this.#state) {
      case 'waiting':
        return this.#attempts.planBy;
      case 'punching':
        return this.#attempt!.nextAt();
      case 'open':
        return this.#hold!.nextAt;
      case 'closing':
        return this.#goodbye!.nextAt;
      case 'over':
        return undefined;
    }
  }

  /** A plan that comes while the hole is open is the peer's, who has lost it. */
  #begin(given: PlanInput, now: number): void {
    if (this.#state === 'open') this.#lose(now);
    else if (this.#state === 'punching') this.#endAttempt();
    const { plan, key, sockets } = given;
    const startAt = now + plan.startInMs;
    this.#attempts.begin(plan, startAt);
    const act = (action: PuncherAction): void => void this.#actions.push(action);
    this.#limits = new SendLimits(plan.limits, now, this.#limits);
    const exchange = new Exchange(punchSession(key, plan.role), this.#limits, this.#random, act);
    this.#given = given;
    this.#exchange = exchange;
    this.#attempt = new Attempt({
      plan,
      startAt,
      serial: this.#attempts.begun,
      mains: sockets,
      relay: given.relay,
      exchange,
      random: this.#random,
      act,
    });
    this.#state = 'punching';
  }

  #hear(socket: string, from: Endpoint, bytes: Uint8Array, now: number): void {
    if (this.#exchange === undefined) return;
    const heard = this.#exchange.read(socket, bytes);
    if (heard === undefined) return;
    if (heard.kind === 'goodbye') this.#hearGoodbye(now);
    else if (this.#state === 'closing') return;
    else if (heard.kind === 'check') this.#attempt!.handleCheck(socket, from, heard.check, now);
    else if (this.#state === 'open') this.#hold!.handleAnswer(heard.sent, now);
    else this.#attempt!.handleAnswer(heard.sent, from, now);
  }

  #hearGoodbye(now: number): void {
    if (this.#state === 'punching') this.#fail(failureOf('given-up'), now);
    else if (this.#state === 'open') {
      this.#exchange!.sayGoodbye(this.#hold!.path, now);
      this.#events.push({ kind: 'closed' });
      this.#end();
    } else this.#end();
  }

  /** What follows from what has just happened. */
  #settle(now: number): void {
    if (this.#state === 'punching') {
      const { agreed, deadlineAt, failure } = this.#attempt!;
      const guesses = this.#attempt!.takeGuesses(now);
      if (guesses !== undefined) this.#events.push({ kind: 'guessing', ...guesses });
      if (agreed !== undefined) this.#open(agreed, now);
      else if (now >= deadlineAt) this.#giveUp(failure, now);
    }
    if (this.#state === 'open' && this.#hold!.isLost) {
      // The other side may notice as much later as its next keepalive is away.
      const patienceMs = this.#given!.plan.keepaliveMs + LOSS_MS + RENEW_MS;
      this.#lose(now);
      this.#renew(1, now, patienceMs);
    }
    if (this.#state === 'closing' && this.#goodbye!.isOver(now)) this.#end();
  }

  #open(path: Path, now: number): void {
    const { plan } = this.#given!;
    const exchange = this.#exchange!;
    const attempt = this.#attempt!;
    const hole: OpenHole = {
      socket: path.socket,
      remote: path.remote,
      path: pathOf(path.strategy),
      strategy: path.strategy,
      attempt: plan.attempt,
      packets: this.#attempts.packets + exchange.packets,
      tookMs: this.#attempts.tookMs(now),
      rttMs: attempt.rttMs,
    };
    for (const socket of attempt.extraSockets) if (socket !== path.socket) this.#close(socket);
    exchange.limits.lift();
    this.#hold = new Hold(path, exchange, plan.keepaliveMs, now);
    this.#state = 'open';
    this.#events.push({ kind: 'open', ...hole });
  }

  #giveUp(reason: PunchFailure, now: number): void {
    this.#endAttempt();
    const retrying = this.#attempts.retrying(reason, now);
    if (retrying === undefined) {
      this.#fail(reason, now);
      return;
    }
    this.#events.push(retrying);
    this.#renew(retrying.attempt, now);
  }

  #renew(attempt: number, now: number, patienceMs?: number): void {
    this.#state = 'waiting';
    this.#actions.push(this.#attempts.renew(attempt, now, patienceMs));
  }

  #fail(reason: PunchFailure, now: number): void {
    this.#end();
    this.#events.push(this.#attempts.fail(reason, now));
  }

  #lose(now: number): void {
    this.#events.push({ kind: 'lost', silentMs: now - this.#hold!.aliveAt });
    this.#endAttempt();
    this.#attempts.forgetPackets();
  }

  /** The hole's end is told at once, and its socket closed when the peer knows of it. */
  #stop(code: StopCode, now: number): void {
    if (this.#state === 'closing') return;
    if (this.#state !== 'open') {
      this.#fail(failureOf(code), now);
      return;
    }
    this.#state = 'closing';
    this.#goodbye = new Goodbye(this.#hold!.path, this.#exchange!, now);
    this.#events.push({ kind: 'closed' });
  }

  #end(): void {
    this.#endAttempt();
    this.#state = 'over';
  }

  /** Never the same ports again (MEASURING.md §7): all sockets are closed, the main ones as well. */
  #endAttempt(): void {
    if (this.#attempt === undefined) return;
    const mains = Object.values(this.#given!.sockets);
    const closed = this.#hold?.path.socket;
    const extra = this.#attempt.extraSockets.filter((socket) => closed === undefined || socket === closed);
    for (const socket of new Set([...mains, ...extra])) this.#close(socket);
    this.#attempts.end(this.#exchange!.packets);
    this.#attempt = undefined;
    this.#exchange = undefined;
    this.#hold = undefined;
  }

  #close(socket: string): void {
    this.#actions.push({ kind: 'close-socket', socket });
  }
}
