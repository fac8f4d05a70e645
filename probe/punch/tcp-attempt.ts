/** One attempt at a connection, by one plan: until both have agreed on one, or the plan's time is out. */
import { type Endpoint, familyOf, formatEndpoint } from '../../shared/endpoint.ts';
import type { PunchPlan, PunchStep } from '../../shared/punch/plan.ts';
import type { StrategyName } from '../../shared/punch/strategy.ts';
import { StreamFramer } from '../../shared/stun/framing.ts';
import type { Exchange } from './exchange.ts';
import type { FailureCode } from './io.ts';
import { StepQueue } from './step-queue.ts';
import type { TcpConnectFailure, TcpPuncherAction, TcpPuncherInput } from './tcp-io.ts';
import type { RandomBytes } from './volley.ts';

export interface TcpAttemptOptions {
  readonly plan: PunchPlan;
  readonly startAt: number;
  readonly sockets: Extract<TcpPuncherInput, { kind: 'plan' }>['sockets'];
  readonly exchange: Exchange;
  readonly random: RandomBytes;
  readonly act: (action: TcpPuncherAction) => void;
}

/** A connection that stands, or may. */
export interface TcpLine {
  readonly name: string;
  readonly remote: Endpoint;
  readonly strategy: StrategyName;
  readonly framer: StreamFramer;
  /** The way that it was tried for; absent for one that came in. */
  readonly way: Way | undefined;
  /** By when it has to be the peer's; undefined until it stands. */
  provenBy: number | undefined;
  /** A check of the peer's came. */
  isHeard: boolean;
  /** One of ours was answered. */
  isEchoed: boolean;
}

/** From a port of ours to an endpoint. */
interface Way {
  readonly socket: string;
  readonly to: Endpoint;
  readonly strategy: StrategyName;
  readonly beganAt: number;
  readonly untilAt: number;
  readonly everyMs: number | undefined;
  /** When to connect; undefined while that is under way, or is not to be tried again. */
  nextAt: number | undefined;
}

/** For a round trip and a half by satellite, and a segment lost. */
const PROOF_MS = 3000;
/** A check is some hundred bytes. */
const MAX_MESSAGE_BYTES = 1024;
/** Strangers may come in as well; no more of them are listened to at a time. */
const MOST_UNPROVEN = 16;
/** So much of the pause before another try is left to chance: two sides that just miss each other don't do so always. */
const JITTER_SHARE = 0.25;

export class TcpAttempt {
  readonly #options: TcpAttemptOptions;
  readonly #ways = new Map<string, Way>();
  readonly #lines = new Map<string, TcpLine>();
  readonly #steps: StepQueue;
  #connections = 0;
  #nominated: TcpLine | undefined;
  #agreed: TcpLine | undefined;
  #rttMs = 0;
  #wasProven = false;
  #wasRefused = false;
  #metStranger = false;

  constructor(options: TcpAttemptOptions) {
    this.#options = options;
    this.#steps = new StepQueue(options.plan.steps, options.startAt);
  }

  /** The connection that both agreed on. */
  get agreed(): TcpLine | undefined {
    return this.#agreed;
  }

  get rttMs(): number {
    return this.#rttMs;
  }

  /** Connections begun. */
  get connections(): number {
    return this.#connections;
  }

  get deadlineAt(): number {
    return this.#options.startAt + this.#options.plan.timeMs;
  }

  /** All that stand, or may yet. */
  get lines(): Iterable<TcpLine> {
    return this.#lines.values();
  }

  /** Why there is no connection, as far as seen. */
  get failure(): FailureCode {
    if (this.#options.plan.steps.length === 0) return 'no-tcp-way';
    if (this.#wasProven) return 'not-agreed';
    if (this.#metStranger) return 'not-the-peer';
    if (this.#options.exchange.limits.isSpent) return 'too-many-packets';
    return this.#wasRefused ? 'refused' : 'nothing-heard';
  }

  handleConnected(name: string, now: number): void {
    const line = this.#lines.get(name);
    if (line !== undefined) this.#prove(line, now);
  }

  handleFailed(name: string, reason: TcpConnectFailure, now: number): void {
    this.#wasRefused ||= reason === 'refused';
    this.#drop(this.#lines.get(name), now);
  }

  handleAccepted(name: string, from: Endpoint, now: number): void {
    const unproven = [...this.#lines.values()].filter(({ way, isHeard }) => way === undefined && !isHeard);
    if (unproven.length >= MOST_UNPROVEN) {
      this.#options.act({ kind: 'close', connection: name });
      return;
    }
    const line = newLine(name, from, this.#strategyOf(from), undefined);
    this.#lines.set(name, line);
    this.#prove(line, now);
  }

  handleClosed(name: string, now: number): void {
    this.#drop(this.#lines.get(name), now);
  }

  handleData(name: string, bytes: Uint8Array, now: number): void {
    const line = this.#lines.get(name);
    if (line === undefined) return;
    line.framer.push(bytes);
    for (let message = line.framer.next(); message !== undefined; message = line.framer.next()) {
      if (!this.#hear(line, message, now)) {
        this.#reject(line);
        return;
      }
      // What comes after the last message of the punch is the application's.
      if (this.#agreed !== undefined) return;
    }
    if (line.framer.failed !== undefined) this.#reject(line);
  }

  /** Does what is due. */
  handleTimeout(now: number): void {
    if (now < this.#options.startAt) return;
    this.#beginSteps(now);
    for (const line of [...this.#lines.values()])
      if (line.provenBy === undefined) {
        if (line.way !== undefined && line.way.untilAt <= now) this.#takeBack(line);
      } else if (line.provenBy <= now) this.#reject(line);
    for (const way of this.#ways.values())
      if (way.nextAt !== undefined && way.nextAt <= now) this.#connect(way, now);
  }

  nextAt(): number {
    const { startAt } = this.#options;
    const others = [
      ...[...this.#ways.values()].map(({ nextAt }) => nextAt),
      ...[...this.#lines.values()].map(({ provenBy, way }) => provenBy ?? way?.untilAt),
      this.#steps.nextAt(),
    ].filter((at) => at !== undefined);
    return Math.max(startAt, Math.min(this.deadlineAt, ...others));
  }

  #beginSteps(now: number): void {
    const { act, sockets } = this.#options;
    for (const step of this.#steps.takeDue(now)) {
      const { action } = step;
      if (action.kind === 'connect') for (const to of action.to) this.#addWay(step, to, action.everyMs);
      else if (action.kind === 'guess')
        for (const port of action.ports) this.#addWay(step, { address: action.address, port });
      else if (action.kind === 'listen') {
        const socket = sockets[action.family];
        if (socket !== undefined) act({ kind: 'listen', socket });
      }
    }
  }

  #addWay({ strategy, atMs, untilMs }: PunchStep, to: Endpoint, everyMs?: number): void {
    const { startAt, sockets } = this.#options;
    const socket = sockets[familyOf(to.address)];
    const key = formatEndpoint(to);
    if (socket === undefined || this.#ways.has(key)) return;
    const beganAt = startAt + atMs;
    const untilAt = startAt + untilMs;
    this.#ways.set(key, { socket, to, strategy, beganAt, untilAt, everyMs, nextAt: beganAt });
  }

  #connect(way: Way, now: number): void {
    const { exchange, plan, act } = this.#options;
    if (!exchange.limits.take(now, true)) {
      way.nextAt = exchange.limits.isSpent ? undefined : Math.max(now + 1, exchange.limits.nextAt(true));
      return;
    }
    way.nextAt = undefined;
    const name = `connection-${plan.attempt}-${++this.#connections}`;
    this.#lines.set(name, newLine(name, way.to, way.strategy, way));
    act({ kind: 'connect', connection: name, socket: way.socket, to: way.to });
  }

  #prove(line: TcpLine, now: number): void {
    line.provenBy = now + PROOF_MS;
    this.#check(line, false, now);
  }

  /** False if it was not the peer. */
  #hear(line: TcpLine, message: Uint8Array, now: number): boolean {
    const { exchange, plan } = this.#options;
    const heard = exchange.read(line.name, message);
    // Over TCP the end of the connection says goodbye.
    if (heard === undefined || heard.kind === 'goodbye') return false;
    this.#wasProven = true;
    if (heard.kind === 'check') {
      exchange.answer(line.name, line.remote, heard.check, now);
      line.isHeard = true;
      if (heard.check.nominates && plan.role === 'controlled') this.#agreed = line;
    } else {
      line.isEchoed = true;
      this.#rttMs = now - heard.sent.sentAt;
      if (heard.sent.nominates) this.#agreed = line;
    }
    this.#nominate(now);
    return true;
  }

  /**
   * The controlling side names the first connection that is proven both ways, once. By then each side
   * has answered the other's check, so that this check and its answer are the last messages.
   */
  #nominate(now: number): void {
    if (this.#nominated !== undefined || this.#options.plan.role !== 'controlling') return;
    this.#nominated = [...this.#lines.values()].find(({ isHeard, isEchoed }) => isHeard && isEchoed);
    if (this.#nominated !== undefined) this.#check(this.#nominated, true, now);
  }

  #check({ name, remote, strategy }: TcpLine, nominates: boolean, now: number): void {
    this.#options.exchange.check({ socket: name, to: remote, strategy }, { nominates }, now);
  }

  /** The call has had its time, and nobody has answered. */
  #takeBack({ name }: TcpLine): void {
    this.#lines.delete(name);
    this.#options.act({ kind: 'close', connection: name });
  }

  /** Who doesn't prove to be the peer is not asked again. */
  #reject(line: TcpLine): void {
    this.#metStranger = true;
    this.#lines.delete(line.name);
    if (this.#nominated === line) this.#nominated = undefined;
    this.#options.act({ kind: 'close', connection: line.name });
  }

  /** It is gone: the way is tried again at one of its times, which both sides share. */
  #drop(line: TcpLine | undefined, now: number): void {
    if (line === undefined) return;
    this.#lines.delete(line.name);
    if (this.#nominated === line) {
      this.#nominated = undefined;
      this.#nominate(now);
    }
    const { way } = line;
    if (way?.everyMs === undefined) return;
    const tries = Math.floor((now - way.beganAt) / way.everyMs) + 1;
    const jitterMs = (this.#options.random(1)[0]! / 256) * JITTER_SHARE * way.everyMs;
    const nextAt = way.beganAt + tries * way.everyMs + jitterMs;
    if (nextAt < way.untilAt) way.nextAt = nextAt;
  }

  /** What of the plan made the peer call from there, as far as that can be told. */
  #strategyOf({ address }: Endpoint): StrategyName {
    const { steps } = this.#options.plan;
    const there = steps.find(
      ({ action }) => action.kind === 'connect' && action.to.some((to) => to.address === address),
    );
    return (there ?? steps[0])?.strategy ?? 'plain';
  }
}

function newLine(name: string, remote: Endpoint, strategy: StrategyName, way: Way | undefined): TcpLine {
  return {
    name,
    remote,
    strategy,
    way,
    framer: new StreamFramer(MAX_MESSAGE_BYTES),
    provenBy: undefined,
    isHeard: false,
    isEchoed: false,
  };
}
