/** The prober: paces a plan, puts it on the wire, and files what comes back as evidence until the plan is done. */
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import type { Machine } from '../../shared/machine.ts';
import {
  isPlain,
  SOCKET_PURPOSES,
  type SocketEvidence,
  type SocketPurpose,
} from '../../shared/nat/evidence.ts';
import { type Observations, observe } from '../../shared/nat/observations.ts';
import type { AttributeValue } from '../../shared/stun/attributes/attribute.ts';
import type { Nat64Prefix } from '../../shared/nat64.ts';
import { type TransactionId, transactionIdOf } from '../../shared/stun/message.ts';
import {
  EnclosureLog,
  type EnclosureRequest,
  type Enclosures,
  encodeEnclosureRequest,
} from './enclosures.ts';
import { EvidenceLog } from './evidence-log.ts';
import { chooseFreshPort, PORT_TRIES } from './fresh-ports.ts';
import type { ClassifierAction, ClassifierInput } from './io.ts';
import type { Plan, Request } from './request.ts';
import { decodeReply, decodeRequestId, encodeBindingRequest, plainFiller } from './requests.ts';

export interface ProberOptions {
  readonly family: Family;
  /** Primary endpoints of the servers, at least one. */
  readonly servers: readonly Endpoint[];
  /** The servers are IPv4 ones, and this machine has no way to IPv4 but through the NAT64 at this prefix. */
  readonly nat64?: Nat64Prefix;
  /** For the first socket; all others use fresh ports. */
  readonly localPort?: number;
  /** The time budget of the whole run. */
  readonly timeoutMs: number;
  /** The least time between two packets that open a NAT binding: 5 to 20, or 100 to be gentle (RFC 5780 §5). */
  readonly paceMs: number;
  /** Unpredictable bytes: they are the transaction ids, which are all that keeps forged answers out. */
  readonly random: (length: number) => Uint8Array;
  /** What the plain requests of mapping sockets ask for besides, and those over TCP but for witnesses. */
  readonly enclosures?: EnclosureRequest;
}

/** What a prober is to find out. */
export interface Inquiry<Event> {
  /** Opened at the start; the others on first use. Without the first there is no run. */
  readonly sockets: readonly [string, ...string[]];
  /** Asked after each input and timeout. */
  readonly plan: (observations: Observations, failedSockets: ReadonlySet<string>) => Plan;
  /** Where a socket is to be bound, given those that are open; the prober chooses what is left out. */
  readonly bindingOf?: (socket: string, open: readonly SocketEvidence[]) => LocalBinding;
  /** Now and then while the run lasts. */
  readonly reportProgress: (observations: Observations) => Event;
  /** Once, at the end. `socketError` is the system's code if the first socket could not be opened. */
  readonly conclude: (
    observations: Observations,
    socketError: string | undefined,
    enclosures: Enclosures | undefined,
  ) => Event;
}

/** What of a socket's local endpoint is wished. A port that is taken is replaced by another. */
export interface LocalBinding {
  readonly address?: string;
  readonly port?: number;
}

/** A slot this long or longer is for gentle running: one packet in it, not three. */
const GENTLE_PACE_MS = 50;
/** A TCP attempt is given up after this: time for three SYNs (RFC 6298 §2.1). */
const TCP_TIMEOUT_MS = 3500;
/** Or at the end of a shorter time budget, if it had this long: what is sooner tells nothing. */
const TCP_FAIR_CHANCE_MS = 1000;
const PROGRESS_INTERVAL_MS = 200;
/** The socket that is connected to one endpoint alone, so that the system reports ICMP errors. */
const REFUSAL_SOCKET = 'refusal';

export class Prober<Event> implements Machine<ClassifierInput, ClassifierAction, Event> {
  readonly #options: ProberOptions;
  readonly #inquiry: Inquiry<Event>;
  readonly #log: EvidenceLog;
  /** Where something is asked for besides. */
  readonly #enclosures: EnclosureLog | undefined;
  readonly #actions: ClassifierAction[] = [];
  readonly #events: Event[] = [];
  readonly #sockets = new Map<string, 'opening' | 'open' | 'failed'>();
  readonly #failedSockets = new Set<string>();
  /** By attempt. */
  readonly #tcpTransactions: TransactionId[] = [];
  readonly #portTries = new Map<string, number>();
  #startedAt: number | undefined;
  #slotAtMs = 0;
  #wakeMs: number | undefined = 0;
  #progressAtMs = 0;
  #socketError: string | undefined;
  #done = false;

  constructor(options: ProberOptions, inquiry: Inquiry<Event>) {
    this.#options = options;
    this.#inquiry = inquiry;
    this.#log = new EvidenceLog(options);
    this.#enclosures = options.enclosures && new EnclosureLog();
    for (const socket of inquiry.sockets) this.#openSocket(socket);
  }

  handleInput(input: ClassifierInput, now: number): void {
    if (this.#done) return;
    const nowMs = this.#sinceStart(now);
    switch (input.kind) {
      case 'socket-opened':
        this.#handleOpened(input.socket, input.local);
        break;
      case 'socket-failed':
        this.#handleFailed(input.socket, input.code);
        break;
      case 'datagram': {
        if (!this.#fileDatagram(input, nowMs)) return;
        break;
      }
      case 'refused':
        this.#log.addRefusal({ kind: 'refusal', to: input.to, atMs: nowMs, reason: input.reason });
        break;
      case 'tcp-connected':
      case 'tcp-answered':
      case 'tcp-failed':
        this.#handleTcp(input, nowMs);
        break;
      case 'stop':
        this.#finish(observe(this.#log.snapshot(nowMs)));
        return;
    }
    this.#advance(nowMs);
  }

  handleTimeout(now: number): void {
    if (this.#done) return;
    this.#advance(this.#sinceStart(now));
  }

  /** False for what belongs to nothing that was sent. */
  #fileDatagram(
    { socket, from, bytes }: Extract<ClassifierInput, { kind: 'datagram' }>,
    nowMs: number,
  ): boolean {
    const decoded = decodeReply(bytes, from, nowMs);
    if (decoded !== undefined) {
      const { transactionId, reply } = decoded;
      if (!this.#log.addReply(socket, transactionId, reply)) return false;
      const server = this.#log.answeredBy(transactionId, from);
      if (reply.kind === 'response' && server !== undefined) {
        this.#enclosures?.add(bytes, transactionId, server, reply.mapped);
      }
      return true;
    }
    const requestId = decodeRequestId(bytes);
    return requestId !== undefined && this.#log.addHeardRequest(socket, requestId, from, nowMs);
  }

  pollAction(): ClassifierAction | undefined {
    return this.#actions.shift();
  }

  pollTimeout(): number | undefined {
    if (this.#done || this.#startedAt === undefined || this.#wakeMs === undefined) return undefined;
    return this.#startedAt + this.#wakeMs;
  }

  pollEvent(): Event | undefined {
    return this.#events.shift();
  }

  #sinceStart(now: number): number {
    this.#startedAt ??= now;
    return now - this.#startedAt;
  }

  #advance(nowMs: number): void {
    this.#expireTcp(nowMs);
    const observations = observe(this.#log.snapshot(nowMs));
    const plan = this.#inquiry.plan(observations, this.#failedSockets);
    if (plan.finished || this.#socketError !== undefined) {
      this.#finish(observations);
      return;
    }
    if (plan.wantsTcp) this.#askOverTcp(nowMs);
    const sent = nowMs >= this.#slotAtMs && this.#sendSlot(plan.requests, nowMs);
    this.#reportProgress(observations);
    const wakes = [this.#options.timeoutMs, ...this.#log.tcp.map(({ atMs }) => atMs + TCP_TIMEOUT_MS)];
    if (plan.wakeMs !== undefined) wakes.push(plan.wakeMs);
    if (sent || (plan.requests.length > 0 && nowMs < this.#slotAtMs)) wakes.push(this.#slotAtMs);
    const later = wakes.filter((wake) => wake > nowMs);
    this.#wakeMs = later.length === 0 ? undefined : Math.min(...later);
  }

  /**
   * Sends what fits into one pacing slot: at most one packet that opens a NAT binding, since small
   * routers drop bursts of those, and two more on flows that are open already.
   */
  #sendSlot(requests: readonly Request[], nowMs: number): boolean {
    const { paceMs } = this.#options;
    const limit = paceMs >= GENTLE_PACE_MS ? 1 : 3;
    let sent = 0;
    let opened = false;
    for (const request of requests) {
      if (!this.#isOpen(request.socket)) continue;
      const opens = !this.#log.hasFlow(request);
      if (opens && opened) continue;
      opened ||= opens;
      this.#send(request, nowMs);
      if (++sent === limit) break;
    }
    if (sent > 0) this.#slotAtMs = nowMs + paceMs;
    return sent > 0;
  }

  #send(request: Request, nowMs: number): void {
    const { family } = this.#options;
    const transactionId = this.#transactionId();
    const before = this.#log.addSend(request, transactionId, nowMs);
    // Every second one is bare, should some server not take what it doesn't know.
    const filler = isPlain(request) && before % 2 === 0 ? [plainFiller(family)] : [];
    const enclosures = this.#enclosuresOf(request);
    const bytes = encodeBindingRequest(family, transactionId, request, [...filler, ...enclosures]);
    this.#actions.push({ kind: 'send', socket: request.socket, to: request.to, bytes });
  }

  #enclosuresOf(request: Request): AttributeValue[] {
    const { family, enclosures } = this.#options;
    if (enclosures === undefined || !isPlain(request) || purposeOf(request.socket) !== 'mapping') return [];
    return encodeEnclosureRequest(family, enclosures);
  }

  #transactionId(): TransactionId {
    return transactionIdOf(this.#options.random(12));
  }

  /** Opens the socket on its first use; true once it can send. */
  #isOpen(socket: string): boolean {
    if (!this.#sockets.has(socket)) this.#openSocket(socket);
    return this.#sockets.get(socket) === 'open';
  }

  #openSocket(socket: string): void {
    const { family, servers, localPort } = this.#options;
    const given = localPort !== undefined && socket === this.#inquiry.sockets[0];
    const wish = this.#inquiry.bindingOf?.(socket, this.#log.sockets);
    const port = given ? localPort : this.#choosePort(socket, wish?.port);
    this.#sockets.set(socket, 'opening');
    this.#actions.push({
      kind: 'open-socket',
      socket,
      family,
      port,
      given,
      towards: servers[0]!,
      ...(wish?.address === undefined ? {} : { localAddress: wish.address }),
    });
  }

  #choosePort(socket: string, wished: number | undefined): number {
    const tries = this.#portTries.get(socket) ?? 0;
    this.#portTries.set(socket, tries + 1);
    if (tries === 0 && wished !== undefined) return wished;
    if (tries >= PORT_TRIES) return 0;
    return chooseFreshPort(purposeOf(socket), this.#options.random);
  }

  #handleOpened(socket: string, local: Endpoint): void {
    this.#sockets.set(socket, 'open');
    if (socket === REFUSAL_SOCKET) {
      const to = this.#options.servers[0]!;
      const bytes = encodeBindingRequest(this.#options.family, this.#transactionId(), {});
      // Sent twice: the first ICMP error is reported on the next use of the socket.
      for (let i = 0; i < 2; i++) this.#actions.push({ kind: 'send', socket, to, bytes });
      return;
    }
    this.#log.addSocket({ kind: 'socket', socket, purpose: purposeOf(socket), local });
  }

  #handleFailed(socket: string, code: string): void {
    const tries = this.#portTries.get(socket) ?? Infinity;
    if (code === 'EADDRINUSE' && tries <= PORT_TRIES) {
      this.#openSocket(socket);
      return;
    }
    this.#sockets.set(socket, 'failed');
    this.#failedSockets.add(socket);
    if (socket === this.#inquiry.sockets[0]) this.#socketError = code;
  }

  /** One more attempt at each server. The first time the system is also asked for ICMP errors. */
  #askOverTcp(nowMs: number): void {
    const { family, servers, enclosures } = this.#options;
    const service = encodeEnclosureRequest(family, { service: enclosures?.service === true });
    for (const to of servers) {
      const transactionId = this.#transactionId();
      const bytes = encodeBindingRequest(family, transactionId, {}, service);
      this.#actions.push({ kind: 'connect-tcp', attempt: String(this.#log.tcp.length), to, bytes });
      this.#tcpTransactions.push(transactionId);
      this.#log.addTcp(to, nowMs);
    }
    if (this.#sockets.has(REFUSAL_SOCKET)) return;
    this.#sockets.set(REFUSAL_SOCKET, 'opening');
    this.#actions.push({ kind: 'open-connected-socket', socket: REFUSAL_SOCKET, to: servers[0]! });
  }

  #handleTcp(input: Extract<ClassifierInput, { attempt: string }>, nowMs: number): void {
    const index = Number(input.attempt);
    const attempt = this.#log.tcp[index];
    if (attempt === undefined || attempt.outcome === 'timeout') return;
    const sinceMs = nowMs - attempt.atMs;
    if (input.kind === 'tcp-connected')
      this.#log.updateTcp(index, { outcome: 'connected', connectMs: sinceMs });
    else if (input.kind === 'tcp-answered') {
      this.#log.updateTcp(index, { outcome: 'answered', answerMs: sinceMs - (attempt.connectMs ?? 0) });
      this.#enclosures?.add(input.bytes, this.#tcpTransactions[index]!, attempt.to, undefined);
    } else if (input.reason === 'refused') {
      this.#log.updateTcp(index, { outcome: 'refused', connectMs: sinceMs });
    } else if (attempt.outcome === 'pending') {
      this.#log.updateTcp(index, { outcome: 'unreachable' });
    }
  }

  #expireTcp(nowMs: number): void {
    const firstAtMs = this.#log.tcp[0]?.atMs ?? Infinity;
    const outOfTime = nowMs >= this.#options.timeoutMs && nowMs >= firstAtMs + TCP_FAIR_CHANCE_MS;
    for (const [index, { atMs, outcome }] of this.#log.tcp.entries()) {
      if (outcome !== 'pending') continue;
      if (outOfTime || nowMs >= atMs + TCP_TIMEOUT_MS) this.#log.updateTcp(index, { outcome: 'timeout' });
    }
  }

  #reportProgress(observations: Observations): void {
    if (observations.nowMs < this.#progressAtMs + PROGRESS_INTERVAL_MS) return;
    this.#progressAtMs = observations.nowMs;
    this.#events.push(this.#inquiry.reportProgress(observations));
  }

  #finish(observations: Observations): void {
    this.#done = true;
    for (const [socket, state] of this.#sockets) {
      if (state !== 'failed') this.#actions.push({ kind: 'close-socket', socket });
    }
    this.#events.push(this.#inquiry.conclude(observations, this.#socketError, this.#enclosures?.take()));
  }
}

function purposeOf(socket: string): SocketPurpose {
  const purpose = SOCKET_PURPOSES.find((name) => socket === name || socket.startsWith(`${name}-`));
  if (purpose === undefined) throw new RangeError(`a socket for nothing: ${socket}`);
  return purpose;
}
