/** One peer as the broker knows it: its name, held by a token, and all that a plan takes. */
import { behaviourOfPeer, hasCountedPorts, soundPorts } from '../../shared/broker/behaviour.ts';
import type { BrokerPeer, Consent, Hello, Transport } from '../../shared/broker/messages.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import type { PunchBehaviour } from '../../shared/punch/behaviour.ts';
import type { PlannedSide, PunchCandidate } from '../../shared/punch/plan.ts';
import type { Allowance } from './allowance.ts';
import type { Room } from './rooms.ts';

export interface WitnessedEndpoint {
  readonly endpoint: Endpoint;
  /** By the machine's clock. */
  readonly seenAt: number;
  readonly goodUntil: number;
}

/** What a peer says of itself that plans take. */
export type PeerTraits = Pick<Hello, 'consent' | 'publicKey' | 'behaviours' | 'natLayers' | 'lifetimeMs'>;

/** Canonical, and checked where that takes a check. */
export interface SessionCandidates {
  readonly witnessed: Readonly<Record<Transport, readonly WitnessedEndpoint[]>>;
  readonly mapped: readonly Endpoint[];
  readonly private: readonly Endpoint[];
}

const NO_CANDIDATES: SessionCandidates = { witnessed: { udp: [], tcp: [] }, mapped: [], private: [] };

/** So many round trips are remembered, of which the quickest counts: the others waited somewhere. */
const ROUND_TRIPS = 4;
/** Of a new connection, one after another. */
const FIRST_ROUND_TRIPS = 3;
/** None counts for more, nor if there was none yet: who answers late makes nobody else wait. */
const LONGEST_RTT_MS = 2000;

export interface SessionIdentity {
  readonly room: Room;
  readonly number: number;
  readonly name: string;
  readonly tokenHash: Buffer;
  /** Hexadecimal. */
  readonly nonce: string;
  /** What it may ask for. */
  readonly introductions: Allowance;
}

export class PeerSession {
  readonly identity: SessionIdentity;
  candidates = NO_CANDIDATES;
  /** Undefined while the connection is lost, and of a peer that is at another server. */
  connection: number | undefined;
  /** The other server that has it, if one has. */
  server: string | undefined;
  /** Whom limits go by, of its last connection. */
  client = '';
  private known: PeerTraits;
  private behaviour: PunchBehaviour | undefined;
  private roundTripsMs: number[] = [];

  constructor(identity: SessionIdentity, traits: PeerTraits) {
    this.identity = identity;
    this.known = traits;
  }

  /** Begins, or goes on, over a connection. */
  attach(connection: number, client: string, traits: PeerTraits): void {
    this.connection = connection;
    this.begin(client, traits);
  }

  /** Begins, or goes on, at another server. */
  attachAt(server: string, client: string, traits: PeerTraits): void {
    this.server = server;
    this.begin(client, traits);
  }

  get traits(): PeerTraits {
    return this.known;
  }

  get consent(): Consent {
    return this.known.consent;
  }

  /** Whether messages get to it. */
  get isThere(): boolean {
    return this.connection !== undefined || this.server !== undefined;
  }

  get introductions(): Allowance {
    return this.identity.introductions;
  }

  /** The quickest of the last ones; undefined if there was none yet. */
  get rttMs(): number | undefined {
    return this.roundTripsMs.length === 0 ? undefined : Math.min(...this.roundTripsMs);
  }

  addRoundTrip(ms: number): void {
    this.roundTripsMs = [...this.roundTripsMs, ms].slice(-ROUND_TRIPS);
  }

  /** Whether the next one is measured at once: the first finds a machine that is busy with joining. */
  get wantsRoundTrip(): boolean {
    return this.roundTripsMs.length < FIRST_ROUND_TRIPS;
  }

  isRegistered(now: number): boolean {
    return this.registeredForMs(now) > 0;
  }

  /** As its candidates are now; 0 if it isn't. */
  registeredForMs(now: number): number {
    const { udp, tcp } = this.candidates.witnessed;
    return Math.max(0, ...[...udp, ...tcp].map(({ goodUntil }) => goodUntil - now));
  }

  /** Whether what was seen of its sockets longer than `afterMs` ago no longer tells where its next ports will be. */
  havePortsMoved(now: number, afterMs: number): boolean {
    const [first] = this.known.behaviours;
    if (first === undefined || !hasCountedPorts(first)) return false;
    return this.candidates.witnessed.udp.some(({ seenAt }) => now - seenAt > afterMs);
  }

  /** What others in the room are told. */
  get peer(): BrokerPeer {
    const { number, name } = this.identity;
    return { number, name, type: this.known.behaviours[0]!.type };
  }

  /** As a plan for it and its peer takes it; `told` is what the peer is told of its candidates. */
  sideToPlan(
    told: readonly PunchCandidate[],
    { witnessed }: SessionCandidates,
    transport: Transport,
    now: number,
  ): PlannedSide {
    const { publicKey, behaviours, natLayers, lifetimeMs } = this.known;
    const ports = soundPorts(behaviours[0]!);
    const seenAt = witnessed[transport].find(({ goodUntil }) => now < goodUntil)?.seenAt ?? now;
    return {
      // Reckoned once, since models of ports take a while.
      behaviour: (this.behaviour ??= behaviourOfPeer(behaviours)),
      candidates: told,
      publicKey,
      rttMs: Math.min(LONGEST_RTT_MS, this.rttMs ?? Infinity),
      seenAgoMs: now - seenAt,
      ...(ports !== undefined && { ports }),
      ...(natLayers !== undefined && { natLayers }),
      ...(lifetimeMs !== undefined && { lifetimeMs }),
    };
  }

  private begin(client: string, traits: PeerTraits): void {
    // A peer at another server is described each time that it is asked for, mostly as before.
    if (JSON.stringify(traits.behaviours) !== JSON.stringify(this.known.behaviours))
      this.behaviour = undefined;
    this.client = client;
    this.known = traits;
    this.roundTripsMs = [];
  }
}
