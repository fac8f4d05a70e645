/** A member of a room on a real connection and real sockets: runs its machine, and answers those who use it. */
import { randomBytes } from 'node:crypto';
import type { Socket as TcpSocket } from 'node:net';
import type { BrokerPeer, Plan } from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { MemberAction, MemberEvent, MemberHello, MemberInput, MemberRequest } from '../broker/io.ts';
import { createMember } from '../broker/member.ts';
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
import { keyPairOf, type KeyPair, PRIVATE_KEY_BYTES } from '../punch/key-agreement.ts';
import { aborted } from './aborted.ts';
import { AskDesk } from './ask-desk.ts';
import { type BrokerConnection, connectBroker } from './broker-connection.ts';
import { type GatherAction, Gatherings, type GatheringOptions } from './gatherings.ts';
import { PeerPunches } from './peer-punches.ts';
import type { Addresses } from './resolve.ts';
import { createRunner, type MachineRunner } from './run-machine.ts';

/** The API of a broker, and the STUN endpoints of its server. */
export interface BrokerPlace {
  readonly api: URL;
  readonly servers: Addresses;
}

export interface SessionOptions<Raw> extends GatheringOptions<Raw> {
  readonly api: URL;
  /** Where to go on once a connection is lost, in that turn of looking; there again if absent. */
  readonly relocate?: (turn: number) => Promise<BrokerPlace>;
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

type Answer = Extract<MemberEvent, { kind: 'peers' | 'prediction' }>;

/** Who waits for the end of a request. */
interface Waiting {
  readonly ask: MemberRequest;
  onAnswer(answer: Answer): void;
  onRefused(error: NatprobeError): void;
}

class RoomSession<Raw> implements Membership<Raw> {
  name: string;
  number = 0;
  room = '';
  readonly left: Promise<NatprobeError | undefined>;
  readonly #options: SessionOptions<Raw>;
  readonly #runner: MachineRunner<MemberInput>;
  readonly #gatherings: Gatherings<Raw>;
  readonly #punches: PeerPunches<Raw>;
  readonly #asks: AskDesk;
  readonly #readers = new Set<ReadableStreamDefaultController<Hole<Raw | TcpSocket>>>();
  readonly #waiting = new Map<number, Waiting>();
  readonly #registered = Promise.withResolvers<undefined>();
  #lastRequest = 0;
  #connection: { readonly number: number; readonly link: BrokerConnection; keys?: KeyPair } | undefined;
  #isRegistered = false;
  #isOver = false;
  #resolveLeft: (error: NatprobeError | undefined) => void;

  constructor(options: SessionOptions<Raw>) {
    this.#options = options;
    this.name = options.hello.name;
    const left = Promise.withResolvers<NatprobeError | undefined>();
    this.left = left.promise;
    this.#resolveLeft = left.resolve;
    this.#gatherings = new Gatherings(options);
    this.#punches = new PeerPunches<Raw>({
      open: options.open,
      introduce: (peer, { attempt, transport }, waiting) =>
        this.#request(
          { about: 'introduction', peer, attempt, transport },
          { onAnswer: () => undefined, ...waiting },
        ),
      cancel: (request) => this.#cancel(request),
      report: (introduction, outcome) => this.#runner.deliver({ kind: 'outcome', introduction, outcome }),
      tellRelayed: (introduction, endpoint) =>
        this.#runner.deliver({ kind: 'relayed', introduction, ...(endpoint && { endpoint }) }),
      withdraw: (introduction) => this.#runner.deliver({ kind: 'withdraw', introduction }),
      tell: (event) => this.#tell(event),
    });
    this.#asks = new AskDesk({
      isWelcome: (peer) => this.#punches.isUnderWay(peer),
      ...(options.onAsk && { onAsk: options.onAsk }),
      answer: (introduction, isYes) =>
        this.#runner.deliver({ kind: isYes ? 'consent' : 'refuse', introduction }),
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
    const answer = await this.#ask({ about: 'peers' }, signal);
    if (answer.kind !== 'peers') throw new Error(`${answer.kind} in answer to peers`);
    return answer.peers;
  }

  async foresee(
    peer: string | number,
    { transport = 'udp', signal }: PunchCallOptions = {},
  ): Promise<Foresight> {
    const answer = await this.#ask({ about: 'foresee', peer, transport }, signal);
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

  #ask(ask: MemberRequest, signal: AbortSignal | undefined): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(aborted('the room', signal));
        return;
      }
      const handleAbort = (): void => {
        this.#cancel(request);
        reject(aborted('the room', signal));
      };
      const over = (): void => signal?.removeEventListener('abort', handleAbort);
      signal?.addEventListener('abort', handleAbort, { once: true });
      const request = this.#request(ask, {
        onAnswer: (answer) => {
          over();
          resolve(answer);
        },
        onRefused: (error) => {
          over();
          reject(error);
        },
      });
    });
  }

  /** The number of the request; its end is told to `waiting`, unless it is cancelled, and after this has returned. */
  #request(ask: MemberRequest, waiting: Omit<Waiting, 'ask'>): number {
    const request = ++this.#lastRequest;
    this.#waiting.set(request, { ask, ...waiting });
    if (this.#isOver) queueMicrotask(() => this.#refuse(request, leftError()));
    else
      queueMicrotask(() => {
        if (this.#waiting.has(request)) this.#runner.deliver({ kind: 'request', request, ask });
      });
    return request;
  }

  #cancel(request: number): void {
    if (this.#waiting.delete(request)) this.#runner.deliver({ kind: 'cancel', request });
  }

  #refuse(request: number, error: NatprobeError): void {
    const waiting = this.#waiting.get(request);
    this.#waiting.delete(request);
    waiting?.onRefused(error);
  }

  #perform(action: MemberAction): void {
    switch (action.kind) {
      case 'connect':
        void this.#connectSomewhere(action.connection);
        return;
      case 'send':
        if (this.#connection?.number === action.connection) this.#connection.link.send(action.message);
        return;
      case 'close':
        if (this.#connection?.number === action.connection) this.#connection.link.close();
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

  async #connectSomewhere(connection: number): Promise<void> {
    const { api, relocate } = this.#options;
    if (connection === 1 || relocate === undefined) {
      this.#connect(connection, api);
      return;
    }
    try {
      const place = await relocate(connection - 2);
      if (this.#isOver) return;
      this.#gatherings.moveTo(place.servers);
      this.#connect(connection, place.api);
    } catch (error) {
      if (!(error instanceof NatprobeError)) throw error;
      this.#runner.deliver({ kind: 'closed', connection, error });
    }
  }

  #connect(connection: number, api: URL): void {
    const link = connectBroker(api, {
      onOpen: () => {
        const keys = keyPairOf(randomBytes(PRIVATE_KEY_BYTES));
        this.#connection = { number: connection, link, keys };
        this.#runner.deliver({ kind: 'opened', connection, publicKey: keys.publicKey });
      },
      onFrame: (text) => this.#runner.deliver({ kind: 'frame', connection, text }),
      onClosed: (error) => this.#runner.deliver({ kind: 'closed', connection, error }),
    });
    this.#connection = { number: connection, link };
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
    if (request !== undefined) this.#waiting.delete(request);
    const { psk } = this.#options;
    this.#punches.begin(plan, {
      sockets:
        plan.plan.transport === 'tcp'
          ? { transport: 'tcp', ports: this.#gatherings.takePorts(gathering) }
          : { transport: 'udp', mains: this.#gatherings.mains(gathering) },
      own: this.#connection!.keys!,
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
        const ask = this.#waiting.get(event.request)?.ask;
        if (ask?.about === 'introduction') this.#tell({ kind: 'waiting', peer: ask.peer });
        return;
      }
      case 'peers':
      case 'prediction': {
        const waiting = this.#waiting.get(event.request);
        this.#waiting.delete(event.request);
        waiting?.onAnswer(event);
        return;
      }
      case 'refused':
        this.#refuse(event.request, event.error);
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
    this.#connection?.link.close();
    this.#gatherings.end();
    for (const request of [...this.#waiting.keys()]) this.#refuse(request, error ?? leftError());
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

function leftError(): NatprobeError {
  return new NatprobeError('ERR_ABORTED', 'the room', 'it has been left');
}
