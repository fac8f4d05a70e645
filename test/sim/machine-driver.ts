import type {
  ClassifierAction,
  ClassifierInput,
  ClassifierResult,
  InquiryEvent,
} from '../../probe/classify/io.ts';
import type { Verdict } from '../../shared/nat/verdict.ts';
import { familyOf, type Endpoint } from '../../shared/endpoint.ts';
import type { Machine } from '../../shared/machine.ts';
import type { TimedEvent } from './event-queue.ts';
import type { Host, SocketEvents, UdpSocket } from './host.ts';
import { connectTcp, type TcpOutcome } from './tcp.ts';

/** A machine of the prober: the classifier, or another inquiry. */
export type ProbeMachine<Progress, Result> = Machine<
  ClassifierInput,
  ClassifierAction,
  InquiryEvent<Progress, Result>
>;
export type ClassifierMachine = ProbeMachine<Verdict, ClassifierResult>;

/** What a run came to. Times are virtual milliseconds. */
export interface MachineRun<Result = ClassifierResult> {
  /** Undefined if the machine wasn't done by the deadline. */
  readonly result: Result | undefined;
  readonly tookMs: number;
  /** UDP datagrams that the machine sent and heard. */
  readonly sent: number;
  readonly heard: number;
}

/** Runs `machine` on `host` until it is done, or for `deadlineMs` at most; it is told to stop after `stopAfterMs`. */
export function runMachine<Progress, Result>(
  host: Host,
  machine: ProbeMachine<Progress, Result>,
  deadlineMs: number,
  stopAfterMs = Infinity,
): MachineRun<Result> {
  return new MachineDriver(host, machine).run(deadlineMs, stopAfterMs);
}

class MachineDriver<Progress, Result> {
  readonly #host: Host;
  readonly #machine: ProbeMachine<Progress, Result>;
  readonly #sockets = new Map<string, UdpSocket>();
  #timer: TimedEvent | undefined;
  #result: Result | undefined;
  /** After the end nothing more is told, whatever is still on its way. */
  #isOver = false;
  #sent = 0;
  #heard = 0;

  constructor(host: Host, machine: ProbeMachine<Progress, Result>) {
    this.#host = host;
    this.#machine = machine;
  }

  run(deadlineMs: number, stopAfterMs: number): MachineRun<Result> {
    const { network } = this.#host;
    const startedAt = network.now;
    this.#settle();
    if (stopAfterMs < deadlineMs)
      network.schedule(startedAt + stopAfterMs, () => this.#tell({ kind: 'stop' }));
    if (this.#result === undefined) network.run(startedAt + deadlineMs);
    this.#isOver = true;
    if (this.#timer !== undefined) network.cancel(this.#timer);
    for (const socket of this.#sockets.values()) socket.close();
    return {
      result: this.#result,
      tookMs: network.now - startedAt,
      sent: this.#sent,
      heard: this.#heard,
    };
  }

  #tell(input: ClassifierInput): void {
    if (this.#isOver) return;
    this.#machine.handleInput(input, this.#host.network.now);
    this.#settle();
  }

  /** After each call of the machine: does what it asks for, and arms its timer. */
  #settle(): void {
    const { network } = this.#host;
    for (let action = this.#machine.pollAction(); action; action = this.#machine.pollAction())
      this.#act(action);
    for (let event = this.#machine.pollEvent(); event; event = this.#machine.pollEvent()) {
      if (event.kind !== 'done') continue;
      this.#result = event.result;
      this.#isOver = true;
      network.stop();
    }
    if (this.#timer !== undefined) network.cancel(this.#timer);
    const timeoutAt = this.#machine.pollTimeout();
    this.#timer =
      timeoutAt === undefined
        ? undefined
        : network.schedule(timeoutAt, () => {
            this.#machine.handleTimeout(network.now);
            this.#settle();
          });
  }

  #act(action: ClassifierAction): void {
    switch (action.kind) {
      case 'open-socket':
        this.#openSocket(
          action.socket,
          action.localAddress ?? this.#host.addressOf(action.family),
          action.port,
        );
        return;
      case 'open-connected-socket':
        this.#openSocket(action.socket, this.#host.addressOf(familyOf(action.to.address)), 0, action.to);
        return;
      case 'send':
        this.#sent += 1;
        this.#sockets.get(action.socket)!.send(action.to, action.bytes);
        return;
      case 'connect-tcp':
        connectTcp(this.#host, action.to, action.bytes, (outcome) =>
          this.#tell(tcpInput(action.attempt, outcome)),
        );
        return;
      case 'close-socket':
        this.#sockets.get(action.socket)?.close();
        this.#sockets.delete(action.socket);
    }
  }

  /** As with a real socket the outcome is told later, not from within the machine's call. */
  #openSocket(name: string, address: string | undefined, port: number, peer?: Endpoint): void {
    const host = this.#host;
    const events: SocketEvents = {
      onDatagram: (bytes, from) => {
        this.#heard += 1;
        this.#tell({ kind: 'datagram', socket: name, from, bytes });
      },
      onRefused: (to, reason) => this.#tell({ kind: 'refused', to, reason }),
    };
    const missing =
      address === undefined ? 'ENETUNREACH' : host.hasAddress(address) ? undefined : 'EADDRNOTAVAIL';
    const socket =
      missing === undefined ? host.openSocket({ address: address!, port }, events, peer) : undefined;
    const input: ClassifierInput =
      socket === undefined
        ? { kind: 'socket-failed', socket: name, code: missing ?? 'EADDRINUSE' }
        : { kind: 'socket-opened', socket: name, local: socket.local };
    if (socket !== undefined) this.#sockets.set(name, socket);
    host.network.schedule(host.network.now, () => this.#tell(input));
  }
}

function tcpInput(attempt: string, outcome: TcpOutcome): ClassifierInput {
  switch (outcome.kind) {
    case 'connected':
      return { kind: 'tcp-connected', attempt };
    case 'answered':
      return { kind: 'tcp-answered', attempt, bytes: outcome.bytes };
    case 'refused':
    case 'closed':
      return { kind: 'tcp-failed', attempt, reason: outcome.kind };
  }
}
