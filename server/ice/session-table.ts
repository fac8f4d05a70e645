/** All browsers that are being measured, told apart by ufrag and transaction id. No I/O. */
import { type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { CREDENTIAL_BYTES, iceCredentials } from '../../shared/ice/credentials.ts';
import { encodeAnswer, type IceOffer } from '../../shared/ice/sdp.ts';
import type { IceBrowserStats } from '../../shared/nat/ice-evidence.ts';
import { AA, PA, PP, type ServerRole } from '../../shared/role.ts';
import { decodeMessage, type TransactionId } from '../../shared/stun/message.ts';
import type { RoleEndpoints } from '../answer/role-endpoints.ts';
import { BrowserSession, type SessionAction, type SessionEvent } from './browser-session.ts';
import { PeerConnection, type RandomBytes, rolesOf } from './peer-connection.ts';
import { recogniseIce } from './recognise.ts';

export interface SessionLimits {
  /** Sessions at a time, in all and for one HTTP client. */
  readonly most: number;
  readonly mostPerClient: number;
}

export const DEFAULT_SESSION_LIMITS: SessionLimits = { most: 512, mostPerClient: 8 };

export interface SessionTableOptions {
  /** The server's endpoints as clients know them. */
  readonly endpoints: RoleEndpoints;
  /** Where nothing is ever sent: the server's own sockets. */
  readonly own: readonly Endpoint[];
  readonly random: RandomBytes;
  readonly limits?: SessionLimits;
}

/** What the page offers. */
export interface BrowserOffers {
  readonly filtering: IceOffer;
  /** One or more; a second one tells a NAT whose mapping depends on the destination from a collision. */
  readonly mapping: readonly IceOffer[];
}

export interface BegunSession {
  /** 128 random bits: who knows it may speak for the page. */
  readonly id: string;
  /** SDP, as the offers. */
  readonly answers: { readonly filtering: string; readonly mapping: readonly string[] };
}

interface LiveSession {
  readonly id: string;
  readonly client: string;
  readonly session: BrowserSession;
  readonly ufrags: readonly string[];
  readonly transactions: TransactionId[];
}

/** The event of one session, which then is no more unless its page is asked again. */
export interface TableEvent {
  readonly id: string;
  readonly event: SessionEvent;
}

export class BrowserSessions {
  private readonly options: SessionTableOptions;
  private readonly limits: SessionLimits;
  private readonly own: ReadonlySet<string>;
  private readonly sessions = new Map<string, LiveSession>();
  private readonly byUfrag = new Map<string, LiveSession>();
  private readonly byTransaction = new Map<string, LiveSession>();
  private readonly actions: SessionAction[] = [];
  private readonly events: TableEvent[] = [];

  constructor(options: SessionTableOptions) {
    this.options = options;
    this.limits = options.limits ?? DEFAULT_SESSION_LIMITS;
    this.own = new Set(options.own.map(formatEndpoint));
  }

  get size(): number {
    return this.sessions.size;
  }

  /** Throws ERR_BROWSER_SESSIONS where there are too many, of this client (`client` says who that is) or in all. */
  begin(offers: BrowserOffers, client: string, now: number): BegunSession {
    const ofClient = [...this.sessions.values()].filter((live) => live.client === client).length;
    if (ofClient >= this.limits.mostPerClient || this.sessions.size >= this.limits.most) {
      const whose = ofClient >= this.limits.mostPerClient ? 'for your address' : 'in all';
      throw new NatprobeError('ERR_BROWSER_SESSIONS', 'the page', `a limit ${whose}`);
    }
    const { endpoints, random } = this.options;
    const tieBreaker = toBigInt(random(8));
    const roles = rolesOf(endpoints);
    const open = (name: string, purpose: 'filtering' | 'mapping', offer: IceOffer): PeerConnection =>
      new PeerConnection({
        name,
        purpose,
        offer,
        ours: iceCredentials(random(CREDENTIAL_BYTES)),
        endpoints,
        offered: purpose === 'filtering' ? [PP] : roles,
        tieBreaker,
        random,
      });
    const filtering = open('filtering', 'filtering', offers.filtering);
    const mapping = offers.mapping.map((offer, index) => open(mappingName(index), 'mapping', offer));
    const session = new BrowserSession({
      filtering,
      mapping,
      server: endpoints[0],
      testRoles: [PA, AA].filter((role) => endpoints[role] !== undefined),
      startedAt: now,
    });
    const id = Buffer.from(random(16)).toString('base64url');
    const ufrags = session.connections.map(({ ours }) => ours.ufrag);
    const live: LiveSession = { id, client, session, ufrags, transactions: [] };
    this.sessions.set(id, live);
    for (const ufrag of ufrags) this.byUfrag.set(ufrag, live);
    return {
      id,
      answers: {
        filtering: this.answer(filtering, offers.filtering),
        mapping: mapping.map((connection, index) => this.answer(connection, offers.mapping[index]!)),
      },
    };
  }

  /** What the page found out, by connection. Throws ERR_NO_BROWSER_SESSION if there is none of that id. */
  handleBrowser(id: string, stats: Readonly<Record<string, IceBrowserStats>>, now: number): void {
    const live = this.sessions.get(id);
    if (live === undefined) throw new NatprobeError('ERR_NO_BROWSER_SESSION', 'the page');
    live.session.handleInput({ kind: 'browser', stats }, now);
    this.drain(live);
  }

  /** Takes a datagram if it is a live session's; false leaves it to others. Quick where there is no session. */
  handleDatagram(role: ServerRole, bytes: Uint8Array, source: Endpoint, now: number): boolean {
    if (this.sessions.size === 0) return false;
    const name = recogniseIce(bytes);
    if (name === undefined) return false;
    const live = name.kind === 'check' ? this.byUfrag.get(name.ufrag) : this.byTransaction.get(name.id);
    if (live === undefined) return false;
    const decoded = decodeMessage(bytes);
    if (decoded.kind !== 'message' || source.port === 0 || this.own.has(formatEndpoint(source))) return true;
    live.session.handleInput({ kind: 'datagram', role, source, message: decoded.message }, now);
    this.drain(live);
    return true;
  }

  handleTimeout(now: number): void {
    for (const live of [...this.sessions.values()]) {
      const due = live.session.pollTimeout();
      if (due === undefined || due > now) continue;
      live.session.handleTimeout(now);
      this.drain(live);
    }
  }

  pollTimeout(): number | undefined {
    let next: number | undefined;
    for (const { session } of this.sessions.values()) {
      const due = session.pollTimeout();
      if (due !== undefined && (next === undefined || due < next)) next = due;
    }
    return next;
  }

  pollAction(): SessionAction | undefined {
    return this.actions.shift();
  }

  pollEvent(): TableEvent | undefined {
    return this.events.shift();
  }

  private drain(live: LiveSession): void {
    for (let action = live.session.pollAction(); action; action = live.session.pollAction()) {
      this.actions.push(action);
      if (action.transactionId === undefined || this.byTransaction.has(action.transactionId)) continue;
      live.transactions.push(action.transactionId);
      this.byTransaction.set(action.transactionId, live);
    }
    const event = live.session.pollEvent();
    if (event === undefined) return;
    this.events.push({ id: live.id, event });
    if (event.kind === 'ask-again') return;
    this.sessions.delete(live.id);
    for (const ufrag of live.ufrags) this.byUfrag.delete(ufrag);
    for (const transactionId of live.transactions) this.byTransaction.delete(transactionId);
  }

  private answer({ ours, offered }: PeerConnection, { mid, bundled }: IceOffer): string {
    const { endpoints, random } = this.options;
    return encodeAnswer({
      credentials: ours,
      mid,
      bundled,
      // Of no certificate: nobody ever gets as far as DTLS.
      fingerprint: random(32),
      candidates: offered.map((role) => endpoints[role]!),
      sessionId: toBigInt(random(7)),
    });
  }
}

/** The name of the page's mapping connection number `index`. */
export function mappingName(index: number): string {
  return index === 0 ? 'mapping' : `mapping ${index + 1}`;
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}
