/**
 * One member of a room as a machine without I/O: it joins, stays registered, comes back after a lost
 * connection with its token, asks to be introduced, and hands out the plans that come.
 */
import { decodeServerMessage } from '../../shared/broker/decode.ts';
import { BROKER_SCHEMA, type ClientMessage, type ServerMessage } from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { Machine } from '../../shared/machine.ts';
import { Absence } from './absence.ts';
import { Introductions } from './introductions.ts';
import type { MemberAction, MemberEvent, MemberHello, MemberInput, MemberOutlet } from './io.ts';
import { errorOfRefusal, isFinal, isParting } from './refusal.ts';
import { Registration } from './registration.ts';
import { leftError, Requests } from './requests.ts';

export interface MemberOptions {
  readonly hello: MemberHello;
  /** That many random bytes: spreads those who all come back at once. */
  readonly random: (length: number) => Uint8Array;
  /** For how long a lost connection is sought again: as long as the broker keeps the name, if not given. */
  readonly patienceMs?: number;
}

/** Makes a member that wants to be connected. */
export function createMember(options: MemberOptions): Machine<MemberInput, MemberAction, MemberEvent> {
  return new Member(options);
}

const WELCOME_MS = 10_000;
/** For the broker to end the connection after a goodbye. */
const GOODBYE_MS = 1000;
/** Heartbeats that may be missed, and for how long the next one may be late. */
const MISSED_BEATS = 2;
const LATE_BEAT_MS = 5000;

type Welcome = Extract<ServerMessage, { kind: 'welcome' }>;

class Member implements Machine<MemberInput, MemberAction, MemberEvent> {
  readonly #hello: MemberHello;
  readonly #patienceMs: number | undefined;
  readonly #absence: Absence;
  readonly #actions: MemberAction[] = [];
  readonly #events: MemberEvent[] = [];
  readonly #registration: Registration;
  readonly #requests: Requests;
  readonly #introductions: Introductions;
  #state: 'connecting' | 'greeting' | 'present' | 'away' | 'leaving' | 'over' = 'connecting';
  #connection = 1;
  /** In `greeting` for the welcome, in `present` for any word, in `away` for another try, in `leaving` for the end. */
  #dueAt: number | undefined;
  #welcome: Welcome | undefined;
  /** What the broker said before the connection ended. */
  #parting: NatprobeError | undefined;

  constructor({ hello, random, patienceMs }: MemberOptions) {
    this.#hello = hello;
    this.#patienceMs = patienceMs;
    this.#absence = new Absence(random);
    const outlet: MemberOutlet = {
      say: (message) => this.#say(message),
      act: (action) => void this.#actions.push(action),
      tell: (event) => void this.#events.push(event),
    };
    this.#registration = new Registration(outlet);
    this.#requests = new Requests(outlet);
    this.#introductions = new Introductions({
      outlet,
      registration: this.#registration,
      requests: this.#requests,
    });
    this.#actions.push({ kind: 'connect', connection: this.#connection });
  }

  handleInput(input: MemberInput, now: number): void {
    if (this.#state === 'over' || this.#state === 'leaving') {
      if (input.kind === 'request') this.#refuseLate(input.request);
      if (this.#state === 'over' || input.kind !== 'closed') return;
    }
    switch (input.kind) {
      case 'opened':
      case 'frame':
      case 'closed':
        // One that was given up may still say something.
        if (input.connection === this.#connection) this.#handleConnection(input, now);
        break;
      case 'gathered':
        this.#registration.handleGathered(input.gathering, input.candidates, now);
        break;
      case 'not-gathered':
        this.#registration.handleNotGathered(input.gathering, input.error, now);
        break;
      case 'request':
        this.#requests.add(input.request, input.ask, now);
        break;
      case 'cancel': {
        const introduction = this.#requests.cancel(input.request);
        if (introduction !== undefined) this.#introductions.giveUp(introduction);
        break;
      }
      case 'consent':
      case 'refuse':
        this.#introductions.answer(input);
        break;
      case 'outcome':
        this.#introductions.report(input.introduction, input.outcome);
        break;
      case 'relayed':
        this.#say(input);
        break;
      case 'withdraw':
        this.#introductions.withdraw(input.introduction);
        break;
      case 'leave':
        this.#leave(now);
        return;
    }
    this.#flush();
  }

  handleTimeout(now: number): void {
    if (this.#state === 'over') return;
    this.#requests.handleTimeout(now);
    this.#registration.handleTimeout(now);
    if (this.#dueAt !== undefined && now >= this.#dueAt) this.#handleDue(now);
    this.#flush();
  }

  pollAction(): MemberAction | undefined {
    return this.#actions.shift();
  }

  pollEvent(): MemberEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    if (this.#state === 'over') return undefined;
    const due = [this.#dueAt, this.#requests.nextDue(), ...this.#registration.dueTimes()];
    const known = due.filter((at) => at !== undefined);
    return known.length === 0 ? undefined : Math.min(...known);
  }

  #handleConnection(input: Extract<MemberInput, { kind: 'opened' | 'frame' | 'closed' }>, now: number): void {
    switch (input.kind) {
      case 'opened':
        if (this.#state === 'connecting') this.#greet(input.publicKey, now);
        break;
      case 'frame':
        if (this.#state === 'greeting' || this.#state === 'present') this.#hear(input.text, now);
        break;
      case 'closed':
        if (this.#state === 'away') break;
        if (this.#state === 'leaving') {
          this.#end(undefined);
          break;
        }
        if (this.#state === 'greeting') this.#absence.missHello();
        this.#lose(this.#parting ?? input.error, now);
        break;
    }
  }

  #greet(publicKey: string, now: number): void {
    const token = this.#welcome?.token;
    this.#state = 'greeting';
    this.#dueAt = now + WELCOME_MS;
    this.#send({
      kind: 'hello',
      schema: BROKER_SCHEMA,
      ...this.#hello,
      publicKey,
      ...(token !== undefined && { token }),
    });
  }

  #hear(text: string, now: number): void {
    let message: ServerMessage;
    try {
      message = decodeServerMessage(text);
    } catch (error) {
      if (!(error instanceof NatprobeError)) throw error;
      this.#end(error);
      return;
    }
    if (this.#state === 'greeting') {
      if (message.kind === 'welcome') this.#enter(message, now);
      else if (message.kind === 'error') this.#handleRefusal(message, now);
      return;
    }
    this.#expectBeat(now);
    this.#handleMessage(message, now);
  }

  #enter(welcome: Welcome, now: number): void {
    const isNew = !welcome.resumed;
    this.#state = 'present';
    this.#welcome = welcome;
    this.#expectBeat(now);
    if (isNew) this.#introductions.forgetOutcomes();
    const { peer: number, name, room, nonce } = welcome;
    this.#events.push({ kind: 'joined', number, name, room, isNew });
    this.#registration.begin(nonce);
  }

  #handleMessage(message: ServerMessage, now: number): void {
    switch (message.kind) {
      case 'heartbeat':
        this.#say({ kind: 'heartbeat', beat: message.beat });
        break;
      case 'registered':
        this.#registration.handleRegistered(message.renewInMs, now);
        break;
      case 'peers': {
        const { id: request, peers } = message;
        if (this.#requests.take(request)) this.#events.push({ kind: 'peers', request, peers });
        break;
      }
      case 'prediction': {
        const { id: request, ...foresight } = message;
        if (this.#requests.take(request)) this.#events.push({ ...foresight, request });
        break;
      }
      case 'waiting':
        this.#requests.wait(message.id, message.introduction, now);
        break;
      case 'prepare':
        this.#registration.prepare(message.introduction, message.transport, message.timeoutMs, now);
        break;
      case 'ask':
        this.#introductions.ask(message);
        break;
      case 'relayed':
        this.#events.push(message);
        break;
      case 'withdrawn':
        this.#introductions.handleWithdrawn(message.introduction);
        break;
      case 'plan':
        this.#introductions.handlePlan(message, this.#connection);
        break;
      case 'error':
        this.#handleRefusal(message, now);
        break;
      case 'welcome':
        break;
    }
  }

  #handleRefusal(refusal: Extract<ServerMessage, { kind: 'error' }>, now: number): void {
    const error = errorOfRefusal(refusal);
    if (refusal.id !== undefined) this.#requests.refuse(refusal.id, error);
    else if (isFinal(error) || this.#state === 'greeting') this.#handleParting(error, now);
    else if (error.code === 'ERR_CANDIDATE') this.#registration.handleRefused(error, now);
    else if (isParting(error)) this.#parting = error;
    // What ends on both sides at once is refused by the one that hears of it last.
    else if (error.code !== 'ERR_NO_INTRODUCTION') this.#events.push({ kind: 'trouble', error });
  }

  /** Said to a hello, or ahead of an end. */
  #handleParting(error: NatprobeError, now: number): void {
    if (this.#welcome === undefined || isFinal(error)) {
      this.#end(error);
      return;
    }
    if (error.code === 'ERR_NAME_TAKEN') this.#absence.handleNameTaken(now, this.#patience());
    this.#lose(error, now);
  }

  /** The name is free once the broker has ended the connection. */
  #leave(now: number): void {
    if (this.#state === 'leaving') return;
    if (this.#state !== 'present') {
      this.#end(undefined);
      return;
    }
    this.#say({ kind: 'bye' });
    this.#release(leftError());
    this.#state = 'leaving';
    this.#dueAt = now + GOODBYE_MS;
  }

  #handleDue(now: number): void {
    if (this.#state === 'leaving') {
      this.#end(undefined);
      return;
    }
    if (this.#state === 'away') {
      if (this.#absence.isOver(now)) this.#end(this.#absence.error());
      else this.#connect();
      return;
    }
    const waited = this.#state === 'greeting' ? 'no welcome' : 'no heartbeat';
    this.#lose(new NatprobeError('ERR_BROKER_LATE', 'the broker', waited), now);
  }

  #connect(): void {
    this.#state = 'connecting';
    this.#dueAt = undefined;
    this.#actions.push({ kind: 'connect', connection: ++this.#connection });
  }

  /** Before the first welcome that is the end; after it the broker keeps the name for a while. */
  #lose(error: NatprobeError, now: number): void {
    if (this.#welcome === undefined) {
      this.#end(error);
      return;
    }
    this.#actions.push({ kind: 'close', connection: this.#connection });
    if (this.#state === 'present') {
      this.#events.push({ kind: 'lost', error });
      this.#registration.lose();
      this.#requests.lose(now);
      this.#introductions.withdrawAsks();
      this.#absence.begin(now, this.#patience());
    }
    this.#parting = undefined;
    this.#state = 'away';
    this.#dueAt = this.#absence.nextAt(error, now);
  }

  #end(error: NatprobeError | undefined): void {
    this.#release(error ?? leftError());
    this.#actions.push({ kind: 'close', connection: this.#connection });
    this.#state = 'over';
    this.#dueAt = undefined;
    this.#events.push({ kind: 'ended', ...(error !== undefined && { error }) });
  }

  /** Nothing is waited for any more. */
  #release(reason: NatprobeError): void {
    this.#registration.end();
    this.#requests.refuseAll(reason);
    this.#introductions.withdrawAsks();
  }

  #refuseLate(request: number): void {
    this.#events.push({ kind: 'refused', request, error: leftError() });
  }

  #patience(): number {
    return this.#patienceMs ?? this.#welcome!.graceMs;
  }

  #expectBeat(now: number): void {
    this.#dueAt = now + MISSED_BEATS * this.#welcome!.heartbeatMs + LATE_BEAT_MS;
  }

  /** Says what can be said now and has not been. */
  #flush(): void {
    if (this.#state !== 'present') return;
    for (const outcome of this.#introductions.takeOutcomes()) this.#send(outcome);
    this.#requests.flush(this.#registration.isRegistered);
  }

  /** To the broker, if it hears it. */
  #say(message: ClientMessage): void {
    if (this.#state === 'present') this.#send(message);
  }

  #send(message: ClientMessage): void {
    this.#actions.push({ kind: 'send', connection: this.#connection, message });
  }
}
