/** The punches of one member: those that it asks for and those of others, at most one with each peer. */
import type { Socket as TcpSocket } from 'node:net';
import type { BrokerPeer, Plan, Transport } from '../../shared/broker/messages.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import { type ErrorCode, NatprobeError } from '../../shared/errors.ts';
import { errorOf } from '../../shared/thrown.ts';
import type { ReportedOutcome } from '../broker/io.ts';
import type { Hole, PunchReport } from '../hole.ts';
import { type MembershipEvent, PunchFailedError, type PunchCallOptions } from '../join.ts';
import { agreeKey, type KeyPair } from '../punch/key-agreement.ts';
import { aborted, unlessAborted } from './aborted.ts';
import type { OpenPunchSocket } from './punch-socket.ts';
import type { Punching } from './punching.ts';
import { type PlanSockets, type PunchStart, startPunching } from './start-punching.ts';

export interface PeerPunchesOptions<Raw> {
  readonly open: OpenPunchSocket<Raw>;
  /** Asks the broker, and returns the number of that request; its plan comes to `begin`. */
  readonly introduce: (
    peer: string | number,
    how: { readonly attempt: number; readonly transport: Transport },
    waiting: { onRefused(error: NatprobeError): void },
  ) => number;
  /** Nobody waits for that request any more. */
  readonly cancel: (request: number) => void;
  readonly report: (introduction: number, outcome: ReportedOutcome) => void;
  /** The peer hears of the endpoint that a relay gave this side, or that it gave none. */
  readonly tellRelayed: (introduction: number, endpoint: Endpoint | undefined) => void;
  /** A punch is ended before it is known how it goes: the peer hears of it. */
  readonly withdraw: (introduction: number) => void;
  readonly tell: (event: MembershipEvent<Raw>) => void;
}

/** What a plan is carried out with. */
export interface PlanMeans<Raw> {
  readonly sockets: PlanSockets<Raw>;
  readonly own: KeyPair;
  readonly psk?: string;
  /** That the plan answers, if this side asked. */
  readonly request?: number;
}

interface Caller<Raw> {
  resolve(hole: Hole<Raw | TcpSocket>): void;
  reject(error: Error): void;
}

interface PeerPunch<Raw> {
  readonly punching: Punching<PunchStart<Raw>>;
  readonly callers: Set<Caller<Raw>>;
  plan: Plan;
  /** In which numbering of the room the peer has its number. */
  numbering: number;
  hole: Hole<Raw | TcpSocket> | undefined;
  /** The request for another plan. */
  renewal: number | undefined;
  renewalTimer: NodeJS.Timeout | undefined;
  /** Its callers have gone: nobody is told how it ends. */
  isAbandoned: boolean;
}

type Opened<Raw> = Extract<MembershipEvent<Raw>, { kind: 'hole' | 'tcp-hole' }>;

/** These pass, within the time that a punch waits for its next plan. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_NO_PEER',
  'ERR_PEER_AWAY',
  'ERR_NOT_REGISTERED',
  'ERR_INTRODUCTIONS',
  'ERR_NOT_PREPARED',
]);
const RENEWAL_RETRY_MS = 1000;

export class PeerPunches<Raw> {
  readonly #options: PeerPunchesOptions<Raw>;
  readonly #punches = new Set<PeerPunch<Raw>>();
  readonly #callers = new Map<number, Caller<Raw>>();
  #numbering = 0;

  constructor(options: PeerPunchesOptions<Raw>) {
    this.#options = options;
  }

  punch(
    peer: string | number,
    { transport = 'udp', signal }: PunchCallOptions,
  ): Promise<Hole<Raw | TcpSocket>> {
    return unlessAborted('the punch', signal, (resolve, reject) => {
      const request = this.#options.introduce(
        peer,
        { attempt: 1, transport },
        {
          onRefused: (error) => {
            this.#callers.delete(request);
            reject(error);
          },
        },
      );
      const caller = { resolve, reject };
      this.#callers.set(request, caller);
      return () => {
        this.#callers.delete(request);
        this.#options.cancel(request);
        this.#abandon(caller);
      };
    });
  }

  /** Carries out a plan: of a punch that is under way with that peer, or of a new one. */
  begin(plan: Plan, { sockets, own, psk, request }: PlanMeans<Raw>): void {
    const caller = request === undefined ? undefined : this.#callers.get(request);
    if (request !== undefined) this.#callers.delete(request);
    let key: Uint8Array;
    try {
      const { introduction } = plan;
      const peerPublicKey = plan.plan.peer.publicKey;
      key = agreeKey({ own, peerPublicKey, introduction, ...(psk !== undefined && { psk }) });
    } catch (error) {
      if (!(error instanceof NatprobeError)) throw error;
      const { introduction } = plan;
      this.#options.report(introduction, { outcome: 'failed', packets: 0, timeMs: 0, reason: error.message });
      if (caller === undefined) this.#options.tell({ kind: 'trouble', error });
      else caller.reject(error);
      return;
    }
    const { attempt, attempts } = plan.plan;
    const { peer, prediction } = plan;
    this.#options.tell({ kind: 'planned', peer, isOwn: plan.side === 'a', prediction, attempt, attempts });
    const start = { plan, key, sockets };
    const punch = this.#findFor(plan);
    if (punch === undefined) {
      this.#start(start, caller);
      return;
    }
    if (caller !== undefined) punch.callers.add(caller);
    punch.plan = plan;
    punch.numbering = this.#numbering;
    this.#dropRenewal(punch);
    punch.punching.begin(start);
  }

  /** What a relay gave the peer for that punch. */
  hearRelayed(introduction: number, endpoint: Endpoint | undefined): void {
    this.#findBy(introduction)?.punching.hearRelayed?.(introduction, endpoint);
  }

  /** The peer has ended that punch: if it is the latest with that peer, it is over. */
  giveUp(introduction: number): void {
    this.#findBy(introduction)?.punching.stop('given-up');
  }

  /** Whether a punch or a hole with that peer is there. */
  isUnderWay(peer: BrokerPeer): boolean {
    return this.#findWith(peer) !== undefined;
  }

  /** The room has begun anew, and its peers have other numbers. */
  renumber(): void {
    this.#numbering++;
  }

  /** Ends all punches, and closes all holes. */
  end(): void {
    for (const { punching } of [...this.#punches]) punching.stop();
  }

  /** What is under way with that peer over the same transport; a connection that stands is not made again. */
  #findFor({ peer, plan: { transport } }: Plan): PeerPunch<Raw> | undefined {
    return [...this.#punches].find(
      (punch) =>
        punch.plan.plan.transport === transport &&
        (transport === 'udp' || punch.hole === undefined) &&
        this.#isWith(punch, peer),
    );
  }

  #findBy(introduction: number): PeerPunch<Raw> | undefined {
    return [...this.#punches].find(({ plan }) => plan.introduction === introduction);
  }

  #findWith(peer: BrokerPeer): PeerPunch<Raw> | undefined {
    return [...this.#punches].find((punch) => this.#isWith(punch, peer));
  }

  #isWith({ plan, numbering }: PeerPunch<Raw>, peer: BrokerPeer): boolean {
    return numbering === this.#numbering ? plan.peer.number === peer.number : plan.peer.name === peer.name;
  }

  #start(start: PunchStart<Raw>, caller: Caller<Raw> | undefined): void {
    const punching = startPunching<Raw>(start, {
      open: this.#options.open,
      onRenew: (attempt) => {
        if (punch.plan.side === 'a') this.#renew(punch, attempt);
      },
      onRetrying: (attempt, { text }) =>
        this.#options.tell({ kind: 'retrying', peer: punch.plan.peer, attempt, reason: text }),
      onGuessing: ({ strategy, sent, of }) =>
        this.#options.tell({ kind: 'guessing', peer: punch.plan.peer, strategy, sent, of }),
      onTrouble: (error) => this.#options.tell({ kind: 'trouble', error }),
      onOpen: (hole) => this.#handleOpen(punch, { kind: 'hole', hole }),
      onTcpOpen: (hole) => this.#handleOpen(punch, { kind: 'tcp-hole', hole }),
      onFailed: (report) => this.#handleFailed(punch, report),
      onOutcome: (introduction, report) => {
        if (report.code === 'stopped') this.#options.withdraw(introduction);
        else this.#options.report(introduction, outcomeOf(report));
      },
      onRelayed: (introduction, endpoint) => this.#options.tellRelayed(introduction, endpoint),
      onError: (error) => this.#handleError(punch, error),
    });
    const punch: PeerPunch<Raw> = {
      punching,
      callers: new Set(caller === undefined ? [] : [caller]),
      plan: start.plan,
      numbering: this.#numbering,
      hole: undefined,
      renewal: undefined,
      renewalTimer: undefined,
      isAbandoned: false,
    };
    this.#punches.add(punch);
  }

  #handleOpen(punch: PeerPunch<Raw>, opened: Opened<Raw>): void {
    const hole: Hole<Raw | TcpSocket> = opened.hole;
    punch.hole = hole;
    hole.on('reopened', () => this.#resolveCallers(punch, hole));
    hole.on('failed', (report) => {
      this.#remove(punch);
      this.#rejectCallers(punch, new PunchFailedError(report));
    });
    hole.on('closed', (reason) => {
      this.#remove(punch);
      this.#rejectCallers(punch, reason ?? aborted('the punch'));
    });
    const isOwn = punch.callers.size > 0;
    this.#resolveCallers(punch, hole);
    if (!isOwn) this.#options.tell(opened);
  }

  #handleFailed(punch: PeerPunch<Raw>, report: PunchReport): void {
    this.#remove(punch);
    if (punch.isAbandoned) return;
    if (punch.callers.size === 0) this.#options.tell({ kind: 'failed', report });
    else if (report.code === 'stopped') this.#rejectCallers(punch, aborted('the punch'));
    else this.#rejectCallers(punch, new PunchFailedError(report));
  }

  #handleError(punch: PeerPunch<Raw>, error: unknown): void {
    this.#remove(punch);
    this.#rejectCallers(punch, errorOf(error));
  }

  #resolveCallers({ callers }: PeerPunch<Raw>, hole: Hole<Raw | TcpSocket>): void {
    for (const caller of callers) caller.resolve(hole);
    callers.clear();
  }

  #rejectCallers({ callers }: PeerPunch<Raw>, error: Error): void {
    for (const caller of callers) caller.reject(error);
    callers.clear();
  }

  /** That caller waits no more; a punch without a hole that nobody else waits for is stopped. */
  #abandon(caller: Caller<Raw>): void {
    for (const punch of [...this.#punches]) {
      if (!punch.callers.delete(caller) || punch.callers.size > 0 || punch.hole !== undefined) continue;
      punch.isAbandoned = true;
      punch.punching.stop();
    }
  }

  #renew(punch: PeerPunch<Raw>, attempt: number): void {
    const { peer, plan } = punch.plan;
    punch.renewal = this.#options.introduce(
      punch.numbering === this.#numbering ? peer.number : peer.name,
      { attempt, transport: plan.transport },
      {
        onRefused: (error) => {
          punch.renewal = undefined;
          if (!this.#punches.has(punch)) return;
          if (PASSING.has(error.code))
            punch.renewalTimer = setTimeout(() => this.#renew(punch, attempt), RENEWAL_RETRY_MS);
          else this.#options.tell({ kind: 'trouble', error });
        },
      },
    );
  }

  #remove(punch: PeerPunch<Raw>): void {
    this.#punches.delete(punch);
    if (punch.renewal !== undefined) this.#options.cancel(punch.renewal);
    this.#dropRenewal(punch);
  }

  #dropRenewal(punch: PeerPunch<Raw>): void {
    clearTimeout(punch.renewalTimer);
    punch.renewal = punch.renewalTimer = undefined;
  }
}

function outcomeOf({ outcome, strategy, path, packets, timing, reason }: PunchReport): ReportedOutcome {
  return {
    outcome,
    strategy,
    packets,
    timeMs: timing.totalMs,
    ...(path !== undefined && { path }),
    ...(reason !== undefined && { reason }),
  };
}
