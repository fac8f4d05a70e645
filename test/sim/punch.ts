/** Two punchers behind two NATs of the simulator, with a rendezvous that sees their sockets and plans for them. */
import { createPuncher } from '../../probe/punch/puncher.ts';
import type { OpenHole, PuncherAction, PuncherEvent, PuncherInput } from '../../probe/punch/io.ts';
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import type { Machine } from '../../shared/machine.ts';
import { type PlannedSide, planPunch, type PunchPlan } from '../../shared/punch/plan.ts';
import type { Side } from '../../shared/punch/plain.ts';
import type { TimedEvent } from './event-queue.ts';
import type { Host, UdpSocket } from './host.ts';
import type { PunchWorld } from './punch-world.ts';

/** What is known of a side before it registers. */
export type KnownSide = Omit<PlannedSide, 'candidates' | 'publicKey' | 'rttMs' | 'seenAgoMs'>;

export interface PunchOptions {
  readonly a: KnownSide;
  readonly b: KnownSide;
  /** How late one side may be against the other, drawn anew for each. */
  readonly skewMs?: number;
  /** Both hear of each other's private addresses. */
  readonly near?: boolean;
  /** When to look, if it isn't over; after the first plan. */
  readonly deadlineMs?: number;
}

export interface PunchRun {
  readonly a: readonly PuncherEvent[];
  readonly b: readonly PuncherEvent[];
  /** The hole as either side has it, if both have. */
  readonly holes: Readonly<Record<Side, OpenHole>> | undefined;
  /** Whether a datagram each way got through it. */
  readonly carries: boolean;
  /** From when both had first started until both had it, or had failed. */
  readonly tookMs: number;
  /** What both sent. */
  readonly packets: number;
  readonly predicted: number;
  readonly plans: Readonly<Record<Side, PunchPlan>>;
}

/** Several packets, as they may be lost, and the time for them. */
const REGISTRATIONS = 6;
const REGISTRATION_MS = 200;
/** More than a burst of losses takes, but for one in 50,000. */
const DATA_PACKETS = 40;
const FIRST_PORT = 5000;
const SIDES: readonly Side[] = ['a', 'b'];

/** Punches until both sides have a hole or have failed. */
export function punchIn(world: PunchWorld, options: PunchOptions): PunchRun {
  return new PunchMatch(world, options).run();
}

/** A punch that goes on: what happens to the hole can be watched. */
export class PunchMatch {
  readonly world: PunchWorld;
  readonly peers: Readonly<Record<Side, Peer>>;
  readonly #options: PunchOptions;
  readonly #seen = new Map<string, Endpoint>();
  #plans: Record<Side, PunchPlan> | undefined;
  #predicted = 0;
  #startAt = 0;
  #isRegistering = false;
  readonly #rendezvous: UdpSocket;

  constructor(world: PunchWorld, options: PunchOptions) {
    this.world = world;
    this.#options = options;
    this.#rendezvous = world.rendezvous.openSocket(
      { address: world.rendezvous.addressOf('ipv4')!, port: 3478 },
      {
        onDatagram: (bytes, from) => this.#seen.set(Buffer.from(bytes).toString(), from),
      },
    )!;
    // The side that asked asks again; the other one waits for its plan.
    const peerOf = (side: Side): Peer =>
      new Peer(world.hosts[side], world.hosts6?.[side], side, (attempt) => {
        if (side === 'a') this.#register(attempt);
      });
    this.peers = { a: peerOf('a'), b: peerOf('b') };
  }

  run(): PunchRun {
    const { network } = this.world;
    const begunAt = network.now;
    this.#register(1);
    const deadlineAt = begunAt + (this.#options.deadlineMs ?? 30_000);
    while (network.now < deadlineAt && !SIDES.every((side) => this.peers[side].isSettled))
      network.run(Math.min(deadlineAt, network.now + 5));
    const settledAt = Math.max(...SIDES.map((side) => this.peers[side].settledAt ?? network.now));
    const { a, b } = this.peers;
    const holes = a.hole !== undefined && b.hole !== undefined ? { a: a.hole, b: b.hole } : undefined;
    return {
      a: a.events,
      b: b.events,
      holes,
      carries: holes !== undefined && this.carries(),
      tookMs: settledAt - this.#startAt,
      packets: a.sent + b.sent,
      predicted: this.#predicted,
      plans: this.#plans!,
    };
  }

  /** Ends what goes on; the world can have another. */
  stop(): void {
    for (const side of SIDES) this.peers[side].stop();
    this.#rendezvous.close();
  }

  /** Fresh sockets on both sides, then a plan for both. */
  #register(attempt: number): void {
    if (this.#isRegistering) return;
    this.#isRegistering = true;
    const { network } = this.world;
    const sockets = SIDES.map((side) => this.peers[side].openMain());
    const keyOf = (side: Side): string => `${side} ${sockets[SIDES.indexOf(side)]!.local.port}`;
    const tellRendezvous = (): void => {
      for (const [index, side] of SIDES.entries())
        for (let turn = 0; turn < REGISTRATIONS; turn++)
          network.schedule(network.now + turn * 10, () =>
            sockets[index]!.send(this.#rendezvous.local, Buffer.from(keyOf(side))),
          );
      network.schedule(network.now + REGISTRATION_MS, () => {
        const [a, b] = SIDES.map((side) => this.#seen.get(keyOf(side)));
        if (a === undefined || b === undefined) {
          tellRendezvous();
          return;
        }
        this.#isRegistering = false;
        this.#plan(attempt, { a, b });
      });
    };
    tellRendezvous();
  }

  #plan(attempt: number, seen: Readonly<Record<Side, Endpoint>>): void {
    const { network, rttMs } = this.world;
    const random = network.random.fork();
    const { near = false, skewMs = 0 } = this.#options;
    const sideOf = (side: Side): PlannedSide => {
      const { main, main6 } = this.peers[side];
      const { local } = main;
      return {
        ...this.#options[side],
        candidates: [
          { kind: 'public', endpoint: seen[side] },
          // Nothing is translated there.
          ...(main6 === undefined ? [] : [{ kind: 'ipv6', endpoint: main6.local } as const]),
          ...(near ? [{ kind: 'private', endpoint: local } as const] : []),
        ],
        publicKey: '',
        rttMs: rttMs / 2,
        seenAgoMs: REGISTRATION_MS,
      };
    };
    const plans = planPunch(sideOf('a'), sideOf('b'), attempt);
    if (attempt === 1) this.#predicted = plans.prediction.probability;
    this.#plans = { a: plans.a, b: plans.b };
    for (const side of SIDES) {
      const arrivesAt = network.now + rttMs / 4 + skewMs * random.fraction();
      if (attempt === 1) this.#startAt = Math.max(this.#startAt, arrivesAt + plans[side].startInMs);
      network.schedule(arrivesAt, () => this.peers[side].begin(plans[side]));
    }
  }

  /** Whether data get through the hole both ways, from the one's socket to the other's. */
  carries(): boolean {
    const { network } = this.world;
    const heard = { a: false, b: false };
    for (const side of SIDES)
      this.peers[side].onData = (socket) => (heard[side] ||= socket === this.peers[side].hole!.socket);
    for (let index = 0; index < DATA_PACKETS; index++) for (const side of SIDES) this.peers[side].sendData();
    network.run(network.now + 2 * this.world.rttMs + 10);
    return heard.a && heard.b;
  }
}

const KEY = Buffer.alloc(32, 7);

/** Drives one puncher on its host. */
export class Peer {
  readonly events: PuncherEvent[] = [];
  /** Told the socket that data came to. */
  onData: ((socket: string) => void) | undefined;
  hole: OpenHole | undefined;
  settledAt: number | undefined;
  /** What it sent, and when. */
  readonly sentAt: number[] = [];
  readonly #host: Host;
  readonly #host6: Host | undefined;
  readonly #side: Side;
  readonly #onRenew: (attempt: number) => void;
  readonly #machine: Machine<PuncherInput, PuncherAction, PuncherEvent>;
  readonly #sockets = new Map<string, UdpSocket>();
  #timer: TimedEvent | undefined;
  #mainName = '';
  #mains = 0;

  constructor(host: Host, host6: Host | undefined, side: Side, onRenew: (attempt: number) => void) {
    this.#host = host;
    this.#host6 = host6;
    this.#side = side;
    this.#onRenew = onRenew;
    const random = host.network.random.fork();
    this.#machine = createPuncher({ random: (length) => random.bytes(length) });
  }

  get sent(): number {
    return this.sentAt.length;
  }

  get isSettled(): boolean {
    return this.settledAt !== undefined;
  }

  get main(): UdpSocket {
    return this.#sockets.get(this.#mainName)!;
  }

  /** Of IPv6, if it has that. */
  get main6(): UdpSocket | undefined {
    return this.#sockets.get(`${this.#mainName} ipv6`);
  }

  /** A fresh main socket a family, on a port that it has not had before; returns that of IPv4. */
  openMain(): UdpSocket {
    for (;;) {
      this.#mainName = `main ${++this.#mains}`;
      const port = FIRST_PORT + this.#mains;
      const socket = this.#open(this.#mainName, 'ipv4', port);
      // The last attempt's sockets may still have some of these ports.
      if (socket === undefined) continue;
      this.#open(`${this.#mainName} ipv6`, 'ipv6', port);
      return socket;
    }
  }

  begin(plan: PunchPlan): void {
    const sockets = {
      ipv4: this.#mainName,
      ...(this.main6 !== undefined && { ipv6: `${this.#mainName} ipv6` }),
    };
    this.#tell({ kind: 'plan', plan, key: KEY, sockets });
  }

  stop(): void {
    this.#tell({ kind: 'stop' });
  }

  /** As a machine that is switched off. */
  vanish(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
    if (this.#timer !== undefined) this.#host.network.cancel(this.#timer);
  }

  sendData(): void {
    this.#sockets.get(this.hole!.socket)!.send(this.hole!.remote, Buffer.from(`data of ${this.#side}`));
  }

  #tell(input: PuncherInput): void {
    this.#machine.handleInput(input, this.#host.network.now);
    this.#settle();
  }

  #settle(): void {
    const { network } = this.#host;
    for (let action = this.#machine.pollAction(); action; action = this.#machine.pollAction())
      this.#act(action);
    for (let event = this.#machine.pollEvent(); event; event = this.#machine.pollEvent()) {
      this.events.push(event);
      if (event.kind === 'open') this.hole = event;
      if (event.kind === 'lost') [this.hole, this.settledAt] = [undefined, undefined];
      if (event.kind === 'open' || event.kind === 'failed') this.settledAt = network.now;
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

  #act(action: PuncherAction): void {
    const { network } = this.#host;
    switch (action.kind) {
      case 'send':
        this.sentAt.push(network.now);
        this.#sockets.get(action.socket)!.send(action.to, action.bytes, action.ttl);
        return;
      case 'open-socket': {
        const { localPorts, family } = action;
        const port = localPorts === undefined ? 0 : network.random.integer(localPorts.first, localPorts.last);
        const socket = this.#open(action.socket, family, port);
        const kind = socket === undefined ? 'socket-failed' : 'socket-opened';
        network.schedule(network.now, () => this.#tell({ kind, socket: action.socket }));
        return;
      }
      case 'close-socket':
        this.#sockets.get(action.socket)?.close();
        this.#sockets.delete(action.socket);
        return;
      case 'renew':
        this.#onRenew(action.attempt);
        return;
      case 'relay':
        throw new Error('it turned to a relay, and was told of none');
    }
  }

  #open(name: string, family: Family, port: number): UdpSocket | undefined {
    const host = family === 'ipv4' ? this.#host : this.#host6;
    if (host === undefined) return undefined;
    const local = { address: host.addressOf(family)!, port };
    const socket = host.openSocket(local, {
      onDatagram: (bytes, from) => {
        if (Buffer.from(bytes).toString().startsWith('data of')) this.onData?.(name);
        else this.#tell({ kind: 'datagram', socket: name, from, bytes });
      },
    });
    if (socket !== undefined) this.#sockets.set(name, socket);
    return socket;
  }
}
