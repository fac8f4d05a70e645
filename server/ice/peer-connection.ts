/** One ICE connection with a browser, from the peer's end: its credentials, and a record of both ends' checks. */
import { type Endpoint, sameEndpoint } from '../../shared/endpoint.ts';
import { candidatePriority } from '../../shared/ice/candidate.ts';
import { type CheckAnswer, encodeCheck, encodeCheckResponse } from '../../shared/ice/check.ts';
import type { IceCredentials } from '../../shared/ice/credentials.ts';
import type { IceOffer } from '../../shared/ice/sdp.ts';
import type { IceBrowserStats, IceCheckAnswer, IceCheckEvidence } from '../../shared/nat/ice-evidence.ts';
import { SERVER_ROLES, type ServerRole } from '../../shared/role.ts';
import { type TransactionId, transactionIdOf } from '../../shared/stun/message.ts';
import type { RoleEndpoints } from '../answer/role-endpoints.ts';

/** Randomness, as an argument: that many bytes, as nobody can guess them. */
export type RandomBytes = (length: number) => Uint8Array;

export interface PeerConnectionOptions {
  readonly name: string;
  readonly purpose: IceCheckEvidence['purpose'];
  readonly offer: IceOffer;
  readonly ours: IceCredentials;
  /** The server's endpoints as clients know them. */
  readonly endpoints: RoleEndpoints;
  /** Those of them that are candidates. */
  readonly offered: readonly ServerRole[];
  readonly tieBreaker: bigint;
  readonly random: RandomBytes;
}

/** A transaction of ours. */
export interface OwnCheck {
  readonly transactionId: TransactionId;
  readonly role: ServerRole;
  readonly to: Endpoint;
  readonly sentMs: number[];
  readonly answers: IceCheckAnswer[];
}

interface Arrival {
  readonly atMs: number;
  readonly role: ServerRole;
  readonly from: Endpoint;
  readonly priority: number;
  count: number;
}

/** Further sources are not recorded: no browser has so many sockets and mappings. */
const MOST_ARRIVALS = 64;
/** Answers to one check that are recorded. */
const MOST_ANSWERS = 8;

export class PeerConnection {
  readonly name: string;
  readonly purpose: IceCheckEvidence['purpose'];
  readonly ours: IceCredentials;
  readonly theirs: IceCredentials;
  readonly offered: readonly ServerRole[];
  browser: IceBrowserStats | undefined;

  private readonly options: PeerConnectionOptions;
  private readonly arrivals: Arrival[] = [];
  private readonly checks: OwnCheck[] = [];

  constructor(options: PeerConnectionOptions) {
    this.options = options;
    this.name = options.name;
    this.purpose = options.purpose;
    this.ours = options.ours;
    this.theirs = options.offer.credentials;
    this.offered = options.offered;
  }

  recordArrival(role: ServerRole, from: Endpoint, priority: number, atMs: number): void {
    const known = this.arrivals.find(
      (arrival) => arrival.role === role && arrival.priority === priority && sameEndpoint(arrival.from, from),
    );
    if (known !== undefined) known.count++;
    else if (this.arrivals.length < MOST_ARRIVALS)
      this.arrivals.push({ atMs, role, from, priority, count: 1 });
  }

  /** Whether one socket of the browser has reached every endpoint offered to it. */
  hasReachedAll(): boolean {
    const bySocket = Map.groupBy(this.arrivals, ({ priority }) => priority);
    return [...bySocket.values()].some(
      (arrivals) => new Set(arrivals.map(({ role }) => role)).size === this.offered.length,
    );
  }

  hasReached(role: ServerRole): boolean {
    return this.arrivals.some((arrival) => arrival.role === role);
  }

  /** A transaction of its own, not yet sent. */
  openCheck(role: ServerRole, to: Endpoint): OwnCheck {
    const transactionId = transactionIdOf(this.options.random(12));
    const check: OwnCheck = { transactionId, role, to, sentMs: [], answers: [] };
    this.checks.push(check);
    return check;
  }

  /** The bytes of one more sending of `check`, which is recorded as sent now. */
  sendCheck(check: OwnCheck, atMs: number): Uint8Array {
    check.sentMs.push(atMs);
    return encodeCheck(
      {
        transactionId: check.transactionId,
        receiverUfrag: this.theirs.ufrag,
        senderUfrag: this.ours.ufrag,
        priority: candidatePriority('prflx', 65_535 - check.role),
        // The browser made the offer, so it controls (RFC 8445 §6.1.1).
        role: { kind: 'controlled', tieBreaker: this.options.tieBreaker },
        nominates: false,
      },
      this.theirs.password,
    );
  }

  /** The response to a check of the browser. */
  respond(transactionId: TransactionId, source: Endpoint): Uint8Array {
    return encodeCheckResponse(transactionId, source, this.ours.password);
  }

  findCheck(transactionId: TransactionId): OwnCheck | undefined {
    return this.checks.find((check) => check.transactionId === transactionId);
  }

  recordAnswer(check: OwnCheck, answer: CheckAnswer, from: Endpoint, atMs: number): void {
    if (check.answers.length === MOST_ANSWERS) return;
    check.answers.push({ atMs, from, ...(answer.kind === 'error' && { code: answer.code }) });
  }

  toEvidence(): IceCheckEvidence {
    const { endpoints } = this.options;
    return {
      kind: 'ice-check',
      connection: this.name,
      purpose: this.purpose,
      offered: this.offered.map((role) => endpoints[role]!),
      received: this.arrivals.map(({ atMs, role, from, priority, count }) => ({
        atMs,
        at: endpoints[role]!,
        from,
        priority,
        count,
      })),
      checks: this.checks.map(({ transactionId, role, to, sentMs, answers }) => ({
        from: endpoints[role]!,
        to,
        transactionId,
        sentMs: [...sentMs],
        answers: [...answers],
      })),
      ...(this.browser && { browser: this.browser }),
    };
  }
}

/** The roles that a server has, which are two or four. */
export function rolesOf(endpoints: RoleEndpoints): ServerRole[] {
  return SERVER_ROLES.filter((role) => endpoints[role] !== undefined);
}
