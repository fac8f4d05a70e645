/** Two TCP punchers behind two simulated NATs, with a rendezvous that plans for them. */
import type {
  OpenConnection,
  TcpPuncherAction,
  TcpPuncherEvent,
  TcpPuncherInput,
} from '../../probe/punch/tcp-io.ts';
import { createTcpPuncher } from '../../probe/punch/tcp-puncher.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import type { Side } from '../../shared/punch/plain.ts';
import type { PlannedSide, PunchPlan } from '../../shared/punch/plan.ts';
import { planTcpPunch } from '../../shared/punch/tcp-plan.ts';
import type { TimedEvent } from './event-queue.ts';
import type { Network } from './network.ts';
import {
  buildTcpWorldOfTwo,
  type TcpHost,
  type TcpSetup,
  type TcpSocket,
  type TcpSocketEvents,
} from './tcp-hosts.ts';

export type KnownTcpSide = Omit<PlannedSide, 'candidates' | 'publicKey' | 'rttMs' | 'seenAgoMs'>;

export interface TcpPunchOptions extends TcpSetup {
  readonly knownOf: Readonly<Record<Side, KnownTcpSide>>;
  /** How late one side may be against the other, drawn anew for each attempt. */
  readonly skewMs?: number;
}

export interface TcpPunchRun {
  readonly events: Readonly<Record<Side, readonly TcpPuncherEvent[]>>;
  /** The connection as either side has it, if both have. */
  readonly opened: Readonly<Record<Side, OpenConnection>> | undefined;
  /** Whether what each side wrote came through, and nothing else. */
  readonly carries: boolean;
  /** From the first start to the end of both. */
  readonly tookMs: number;
  readonly predicted: number;
}

const SIDES: readonly Side[] = ['a', 'b'];
const KEYS = { same: Buffer.alloc(32, 7) };
const REGISTRATION_MS = 100;
const LIMIT_MS = 60_000;

export function punchOverTcp(options: TcpPunchOptions): TcpPunchRun {
  return new Match(options).run();
}

class Match {
  readonly #options: TcpPunchOptions;
  readonly #network: Network;
  readonly #peers: Readonly<Record<Side, Peer>>;
  #predicted = 0;
  #startAt = 0;
  #planned = 0;

  constructor(options: TcpPunchOptions) {
    this.#options = options;
    const { network, hosts } = buildTcpWorldOfTwo(options);
    this.#network = network;
    const peerOf = (side: Side): Peer => new Peer(network, hosts[side], (attempt) => this.#register(attempt));
    this.#peers = { a: peerOf('a'), b: peerOf('b') };
  }

  run(): TcpPunchRun {
    const network = this.#network;
    this.#register(1);
    while (network.now < LIMIT_MS && !SIDES.every((side) => this.#peers[side].end !== undefined))
      network.run(network.now + 5);
    const { a, b } = this.#peers;
    const settledAt = Math.max(a.settledAt, b.settledAt);
    if (a.end?.kind === 'open') a.write('from a');
    if (b.end?.kind === 'open') b.write('from b');
    network.run(network.now + 10_000);
    const opened = a.end?.kind === 'open' && b.end?.kind === 'open' ? { a: a.end, b: b.end } : undefined;
    return {
      events: { a: a.events, b: b.events },
      opened,
      carries: a.text === 'from b' && b.text === 'from a',
      tookMs: settledAt - this.#startAt,
      predicted: this.#predicted,
    };
  }

  /** Both are told at once, whoever asks first. */
  #register(attempt: number): void {
    if (attempt <= this.#planned) return;
    this.#planned = attempt;
    const network = this.#network;
    const { rttMs, skewMs = 0, knownOf } = this.#options;
    network.schedule(network.now + REGISTRATION_MS, () => {
      const sideOf = (side: Side): PlannedSide => ({
        ...knownOf[side],
        candidates: [{ kind: 'public', endpoint: this.#peers[side].register() }],
        publicKey: '',
        rttMs,
        seenAgoMs: rttMs,
      });
      const plans = planTcpPunch(sideOf('a'), sideOf('b'), attempt);
      if (attempt === 1) this.#predicted = plans.prediction.probability;
      for (const side of SIDES) {
        const at = network.now + rttMs / 2 + skewMs * network.random.fraction();
        if (attempt === 1) this.#startAt = Math.max(this.#startAt, at + plans[side].startInMs);
        network.schedule(at, () => this.#peers[side].begin(plans[side]));
      }
    });
  }
}

const FIRST_PORT = 5000;

/** Drives one puncher on its host. */
class Peer {
  readonly events: TcpPuncherEvent[] = [];
  end: Extract<TcpPuncherEvent, { kind: 'open' | 'failed' }> | undefined;
  settledAt = 0;
  text = '';
  readonly #network: Network;
  readonly #host: TcpHost;
  readonly #onRenew: (attempt: number) => void;
  readonly #machine;
  readonly #sockets = new Map<string, TcpSocket>();
  #port = FIRST_PORT;
  #accepted = 0;
  #isListening = false;
  #timer: TimedEvent | undefined;

  constructor(network: Network, host: TcpHost, onRenew: (attempt: number) => void) {
    this.#network = network;
    this.#host = host;
    this.#onRenew = onRenew;
    const random = network.random.fork();
    this.#machine = createTcpPuncher({ random: (length) => random.bytes(length) });
  }

  /** On a port that it has not had before. */
  register(): Endpoint {
    this.#port += 1;
    return this.#host.register(this.#port);
  }

  begin(plan: PunchPlan): void {
    this.#tell({ kind: 'plan', plan, key: KEYS.same, sockets: { ipv4: 'port' } });
  }

  write(text: string): void {
    if (this.end?.kind !== 'open') return;
    this.#host.write(this.#sockets.get(this.end.connection)!, Buffer.from(text));
  }

  #tell(input: TcpPuncherInput): void {
    this.#machine.handleInput(input, this.#network.now);
    this.#settle();
  }

  #settle(): void {
    const network = this.#network;
    for (let action = this.#machine.pollAction(); action; action = this.#machine.pollAction())
      this.#act(action);
    for (let event = this.#machine.pollEvent(); event; event = this.#machine.pollEvent()) {
      this.events.push(event);
      if (event.kind === 'retrying') continue;
      this.end = event;
      this.settledAt = network.now;
      if (event.kind === 'open') this.text += Buffer.from(event.early).toString();
    }
    if (this.#timer !== undefined) network.cancel(this.#timer);
    const at = this.#machine.pollTimeout();
    this.#timer =
      at === undefined
        ? undefined
        : network.schedule(at, () => {
            this.#machine.handleTimeout(network.now);
            this.#settle();
          });
  }

  #act(action: TcpPuncherAction): void {
    switch (action.kind) {
      case 'connect':
        this.#sockets.set(
          action.connection,
          this.#host.connect(this.#port, action.to, this.#eventsOf(action.connection)),
        );
        return;
      case 'listen':
        this.#isListening = true;
        this.#host.listen(this.#port, (socket) => {
          const connection = `accepted-${++this.#accepted}`;
          this.#sockets.set(connection, socket);
          this.#tell({ kind: 'accepted', connection, from: socket.remote });
          return { ...this.#eventsOf(connection), onConnected: () => undefined };
        });
        return;
      case 'send':
        this.#host.write(this.#sockets.get(action.connection)!, action.bytes);
        return;
      case 'close': {
        const socket = this.#sockets.get(action.connection);
        this.#sockets.delete(action.connection);
        if (socket !== undefined) this.#host.close(socket);
        return;
      }
      case 'close-socket':
        if (this.#isListening) this.#host.listen(this.#port, undefined);
        this.#isListening = false;
        return;
      case 'renew':
        this.#onRenew(action.attempt);
    }
  }

  /** As with real sockets nothing is told from within the machine's call. */
  #eventsOf(connection: string): TcpSocketEvents {
    const tell = (input: TcpPuncherInput) => () => {
      if (this.#sockets.has(connection) && this.end === undefined) this.#tell(input);
    };
    return {
      onConnected: tell({ kind: 'connected', connection }),
      onRefused: tell({ kind: 'connect-failed', connection, reason: 'refused' }),
      onClosed: tell({ kind: 'closed', connection }),
      onData: (bytes) => {
        if (this.end === undefined) tell({ kind: 'data', connection, bytes })();
        else if (this.end.kind === 'open' && this.end.connection === connection)
          this.text += Buffer.from(bytes).toString();
      },
    };
  }
}
