/** A member of a room on a real connection and real sockets: runs its machine, and answers those who use it. */
import { randomBytes } from 'node:crypto';
import type { Socket as TcpSocket } from 'node:net';
import type { BrokerPeer, Plan } from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { MemberAction, MemberEvent, MemberHello, MemberInput } from '../broker/io.ts';
import { createMember } from '../broker/member.ts';
import { leftError } from '../broker/requests.ts';
import type { Hole } from '../hole.ts';
import type {
  Foresight,
  JoinOptions,
  Membership,
  MembershipEvent,
  PunchCallOptions,
  TcpPunchCallOptions,
  UdpPunchCallOptions,
} from '../join.ts';
import { aborted } from './aborted.ts';
import { AskDesk } from './ask-desk.ts';
import { type GatherAction, Gatherings, type GatheringOptions } from './gatherings.ts';
import { PeerPunches } from './peer-punches.ts';
import { RoomConnection, type RoomConnectionOptions } from './room-connection.ts';
import { RoomRequests } from './room-requests.ts';
import { createRunner, type MachineRunner } from './run-machine.ts';

export interface SessionOptions<Raw>
  extends GatheringOptions<Raw>, Pick<RoomConnectionOptions, 'api' | 'relocate'> {
  readonly hello: MemberHello;
  readonly psk?: string;
  readonly onAsk?: JoinOptions<Raw>['onAsk'];
  readonly onEvent?: JoinOptions<Raw>['onEvent'];
  readonly signal?: AbortSignal;
  /** Only looks on: it opens no sockets, and can't be introduced. */
  readonly isVisitor?: boolean;
}

/** Connects, and resolves once others can be introduced; a visitor, once it is in the room. Rejects with whatever keeps it from that, leaving nothing open. */
export async function openSession<Raw>(options: SessionOptions<Raw>): Promise<Membership<Raw>> {
  const session = new RoomSession(options);
  await session.start();
  return session;
}

class RoomSession<Raw> implements Membership<Raw> {
  name: string;
  number = 0;
  room = '';
  readonly left: Promise<NatprobeError | undefined>;
  readonly #options: SessionOptions<Raw>;
  readonly #runner: MachineRunner<MemberInput>;
  readonly #connection: RoomConnection;
  readonly #requests: RoomRequests;
  readonly #gatherings: Gatherings<Raw>;
  readonly #punches: PeerPunches<Raw>;
  readonly #asks: AskDesk;
  readonly #readers = new Set<ReadableStreamDefaultController<Hole<Raw | TcpSocket>>>();
  readonly #registered = Promise.withResolvers<undefined>();
  #isRegistered = false;
  #isOver = false;
  #resolveLeft: (error: NatprobeError | undefined) => void;

  constructor(options: SessionOptions<Raw>) {
    this.#options = options;
    this.name = options.hello.name;
    const left = Promise.withResolvers<NatprobeError | undefined>();
    this.left = left.promise;
    this.#resolveLeft = left.resolve;
    const deliver = (input: MemberInput): void => this.#runner.deliver(input);
    this.#requests = new RoomRequests(deliver);
    this.#gatherings = new Gatherings(options);
    this.#connection = new RoomConnection({
      api: options.api,
      ...(options.relocate && { relocate: options.relocate }),
      onMoved: (servers) => this.#gatherings.moveTo(servers),
      deliver,
    });
    this.#punches = new PeerPunches<Raw>({
      open: options.open,
      introduce: (peer, { attempt, transport }, waiting) =>
        this.#requests.add(
          { about: 'introduction', peer, attempt, transport },
          { onAnswer: () => undefined, ...waiting },
        ),
      cancel: (request) => this.#requests.cancel(request),
      report: (introduction, outcome) => deliver({ kind: 'outcome', introduction, outcome }),
      tellRelayed: (introduction, endpoint) =>
        deliver({ kind: 'relayed', introduction, ...(endpoint && { endpoint }) }),
      withdraw: (introduction) => deliver({ kind: 'withdraw', introduction }),
      tell: (event) => this.#tell(event),
    });
    this.#asks = new AskDesk({
      isWelcome: (peer) => this.#punches.isUnderWay(peer),
      ...(options.onAsk && { onAsk: options.onAsk }),
      answer: (introduction, isYes) => deliver({ kind: isYes ? 'consent' : 'refuse', introduction }),
      tell: (event) => this.#tell(event),
    });
    this.#runner = createRunner<MemberInput, MemberAction, MemberEvent>(
      createMember({ hello: options.hello, random: randomBytes }),
      {
        perform: (action) => this.#perform(action),
        emit: (event) => this.#handle(event),
        fail: (error) => {
          // A bug: whoever waits is told, and nothing is left open.
          this.#registered.reject(error);
          this.#punches.end();
          this.#end(new NatprobeError('ERR_ABORTED', 'the room', String(error), { cause: error }));
        },
      },
    );
  }

  async start(): Promise<void> {
    const { signal } = this.#options;
    if (signal?.aborted === true) throw aborted('the room', signal);
    signal?.addEventListener('abort', this.#handleAbort, { once: true });
    this.#runner.start();
    await this.#registered.promise;
  }

  async peers(signal?: AbortSignal): Promise<readonly BrokerPeer[]> {
    const answer = await this.#requests.ask({ about: 'peers' }, signal);
    if (answer.kind !== 'peers') throw new Error(`${answer.kind} in answer to peers`);
    return answer.peers;
  }

  async foresee(
    peer: string | number,
    { transport = 'udp', signal }: PunchCallOptions = {},
  ): Promise<Foresight> {
    const answer = await this.#requests.ask({ about: 'foresee', peer, transport }, signal);
    if (answer.kind !== 'prediction') throw new Error(`${answer.kind} in answer to foresee`);
    const { peer: asked, prediction, budget, reasons } = answer;
    return { peer: asked, prediction, budget, reasons };
  }

  punch(peer: string | number, options?: UdpPunchCallOptions): Promise<Hole<Raw>>;
  punch(peer: string | number, options: TcpPunchCallOptions): Promise<Hole<TcpSocket>>;
  punch(peer: string | number, options?: PunchCallOptions): Promise<Hole<Raw | TcpSocket>>;
  punch(peer: string | number, options: PunchCallOptions = {}): Promise<Hole<Raw | TcpSocket>> {
    return this.#punches.punch(peer, options);
  }

  holes(): AsyncIterable<Hole<Raw | TcpSocket>> {
    let reader: ReadableStreamDefaultController<Hole<Raw | TcpSocket>>;
    return new ReadableStream<Hole<Raw | TcpSocket>>({
      start: (controller) => {
        reader = controller;
        if (this.#isOver) reader.close();
        else this.#readers.add(reader);
      },
      cancel: () => void this.#readers.delete(reader),
    });
  }

  async leave(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#handleAbort);
    this.#punches.end();
    if (!this.#isOver) this.#runner.deliver({ kind: 'leave' });
    await this.left;
  }

  readonly #handleAbort = (): void => {
    this.#registered.reject(aborted('the room', this.#options.signal));
    void this.leave();
  };

  #perform(action: MemberAction): void {
    switch (action.kind) {
      case 'connect':
        void this.#connection.connect(action.connection);
        return;
      case 'send':
        this.#connection.send(action.connection, action.message);
        return;
      case 'close':
        this.#connection.close(action.connection);
        return;
      case 'gather':
        if (this.#options.isVisitor !== true) void this.#gather(action);
        return;
      case 'release':
        this.#gatherings.release(action.gathering);
        return;
      case 'punch':
        this.#punch(action.plan, action.gathering, action.request);
        return;
    }
  }

  async #gather(action: GatherAction): Promise<void> {
    const { gathering } = action;
    try {
      const candidates = await this.#gatherings.gather(action);
      this.#runner.deliver({ kind: 'gathered', gathering, candidates });
    } catch (error) {
      if (!(error instanceof NatprobeError)) throw error;
      this.#runner.deliver({ kind: 'not-gathered', gathering, error });
    }
  }

  #punch(plan: Plan, gathering: number, request: number | undefined): void {
    if (request !== undefined) this.#requests.settle(request);
    const { psk } = this.#options;
    this.#punches.begin(plan, {
      sockets:
        plan.plan.transport === 'tcp'
          ? { transport: 'tcp', ports: this.#gatherings.takePorts(gathering) }
          : { transport: 'udp', mains: this.#gatherings.mains(gathering) },
      own: this.#connection.keys,
      ...(psk !== undefined && { psk }),
      ...(request !== undefined && { request }),
    });
  }

  #handle(event: MemberEvent): void {
    switch (event.kind) {
      case 'joined': {
        const { name, number, room, isNew } = event;
        Object.assign(this, { name, number, room });
        if (isNew) this.#punches.renumber();
        if (this.#options.isVisitor === true) this.#registered.resolve(undefined);
        this.#tell(isNew ? { kind: 'joined', name, number, room } : { kind: 'resumed' });
        return;
      }
      case 'registered':
        this.#isRegistered = true;
        this.#registered.resolve(undefined);
        this.#tell({ kind: 'registered' });
        return;
      case 'unregistered':
        // At first there is somebody to be told; later on it is tried again.
        if (!this.#isRegistered) this.#giveUp(event.error);
        else this.#tell(event);
        return;
      case 'lost':
      case 'trouble':
        this.#tell(event);
        return;
      case 'waiting': {
        const ask = this.#requests.find(event.request);
        if (ask?.about === 'introduction') this.#tell({ kind: 'waiting', peer: ask.peer });
        return;
      }
      case 'peers':
      case 'prediction':
        this.#requests.answer(event);
        return;
      case 'refused':
        this.#requests.refuse(event.request, event.error);
        return;
      case 'asked':
        this.#asks.ask(event.introduction, event.peer, event.timeoutMs);
        return;
      case 'withdrawn':
        this.#asks.withdraw(event.introduction);
        return;
      case 'relayed':
        this.#punches.hearRelayed(event.introduction, event.endpoint);
        return;
      case 'given-up':
        this.#punches.giveUp(event.introduction);
        return;
      case 'ended':
        this.#end(event.error);
        return;
    }
  }

  #giveUp(error: NatprobeError): void {
    this.#registered.reject(error);
    void this.leave();
  }

  /** Open holes stay open where the connection to the broker is what has ended. */
  #end(error: NatprobeError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#runner.stop();
    this.#connection.end();
    this.#gatherings.end();
    this.#requests.end(error ?? leftError());
    this.#registered.reject(error ?? leftError());
    for (const reader of this.#readers) reader.close();
    this.#readers.clear();
    this.#tell({ kind: 'left', ...(error !== undefined && { error }) });
    this.#resolveLeft(error);
  }

  #tell(event: MembershipEvent<Raw>): void {
    if (event.kind === 'hole' || event.kind === 'tcp-hole')
      for (const reader of this.#readers) reader.enqueue(event.hole);
    this.#options.onEvent?.(event);
  }
}
