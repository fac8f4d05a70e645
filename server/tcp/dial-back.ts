/**
 * The dial-backs that one TCP connection asks for. They go to its own remote end and nowhere else:
 * a handshake has proven that end, so nobody can be dialled who has not called. They end with it.
 */
import type { Endpoint } from '../../shared/endpoint.ts';
import { ALTERNATE_ADDRESS_BIT, type ServerRole } from '../../shared/role.ts';
import { DIAL_ORIGINS, type DialOrigin } from '../../shared/stun/attributes/dial-back.ts';
import { type DialRequest, encodeDialIndication, readDialRequest } from '../answer/dial-request.ts';
import type { FamilyConfig } from '../config.ts';
import type { ConnectionCount } from './connection-limits.ts';
import type { Dial, DialResult } from './dial.ts';

/** How many dials there may be. A connection has at most one at a time from each of the server's addresses. */
export interface DialLimits {
  /** At once, in all and for one source (as for connections). */
  readonly total: number;
  readonly perSource: number;
  /** While it lasts. */
  readonly perConnection: number;
  /** What may be asked for is cut to these. Under a second no SYN is repeated (RFC 6298 §2.1). */
  readonly leastTimeoutMs: number;
  readonly mostTimeoutMs: number;
}

export const DEFAULT_DIAL_LIMITS: DialLimits = {
  total: 256,
  perSource: 64,
  perConnection: 16,
  leastTimeoutMs: 100,
  mostTimeoutMs: 3000,
};

/** Counts since the start: how dials ended, those declined, and those given up since their asker had gone. */
export type DialCounts = Record<DialResult['outcome'] | 'declined' | 'aborted', number>;

export function createDialCounts(): DialCounts {
  return { connected: 0, refused: 0, unreachable: 0, timeout: 0, failed: 0, declined: 0, aborted: 0 };
}

/** What the connections of a lane share. */
export interface DialContext {
  readonly config: FamilyConfig;
  readonly limits: DialLimits;
  /** Of dials under way; other lanes may share it. */
  readonly underWay: ConnectionCount;
  readonly counts: DialCounts;
  readonly dial: Dial;
}

/** A connection that may ask. */
export interface Asker {
  readonly remote: Endpoint;
  readonly arrival: ServerRole;
  /** Under what its dials are counted. */
  readonly source: string;
  /** Sends an indication on the connection. */
  readonly send: (indication: Uint8Array) => void;
}

export class DialBacks {
  private readonly context: DialContext;
  private readonly asker: Asker;
  /** By origin, each with what gives it up. */
  private readonly dialling = new Map<DialOrigin, () => void>();
  private asked = 0;

  constructor(context: DialContext, asker: Asker) {
    this.context = context;
    this.asker = asker;
  }

  /**
   * What to send ahead of the response to this request: that a dial has begun, or that there will be
   * none; undefined if none was asked for. So who gets a bare response knows a server without dial-backs.
   */
  handleRequest(request: Uint8Array): Uint8Array | undefined {
    const asked = readDialRequest(request);
    if (asked === undefined) return undefined;
    const { transactionId, origin } = asked;
    const role = this.roleOf(origin);
    if (role === undefined) {
      return encodeDialIndication(transactionId, { kind: 'ended', outcome: 'no-address', tookMs: 0 });
    }
    if (!this.admit(origin)) {
      this.context.counts.declined++;
      return encodeDialIndication(transactionId, { kind: 'ended', outcome: 'declined', tookMs: 0 });
    }
    const { leastTimeoutMs, mostTimeoutMs } = this.context.limits;
    const timeoutMs = Math.min(Math.max(asked.timeoutMs, leastTimeoutMs), mostTimeoutMs);
    this.start(asked, role, timeoutMs);
    return encodeDialIndication(transactionId, { kind: 'dialling', origin, timeoutMs });
  }

  /** Gives up what is under way: the connection has ended. */
  close(): void {
    for (const origin of DIAL_ORIGINS) {
      const giveUp = this.dialling.get(origin);
      if (giveUp === undefined) continue;
      giveUp();
      this.context.counts.aborted++;
      this.release(origin);
    }
  }

  /** Any role on the address to dial from; undefined if there is no such address. */
  private roleOf(origin: DialOrigin): ServerRole | undefined {
    const { arrival } = this.asker;
    const role = origin === 'same-address' ? arrival : ((arrival ^ ALTERNATE_ADDRESS_BIT) as ServerRole);
    return this.context.config.bound[role] === undefined ? undefined : role;
  }

  private admit(origin: DialOrigin): boolean {
    const { limits, underWay } = this.context;
    if (this.dialling.has(origin) || this.asked >= limits.perConnection) return false;
    if (!underWay.admit(this.asker.source)) return false;
    this.asked++;
    return true;
  }

  private release(origin: DialOrigin): void {
    this.dialling.delete(origin);
    this.context.underWay.release(this.asker.source);
  }

  private start({ transactionId, origin }: DialRequest, role: ServerRole, timeoutMs: number): void {
    const { config, counts, dial } = this.context;
    const giveUp = dial(config.bound[role]!.address, this.asker.remote, timeoutMs, (result) => {
      const { outcome, tookMs, localPort } = result;
      this.release(origin);
      counts[outcome]++;
      const { address } = config.advertised[role]!;
      this.asker.send(
        encodeDialIndication(transactionId, {
          kind: 'ended',
          outcome,
          tookMs: Math.min(tookMs, 0xffff),
          ...(localPort !== undefined && { dialledFrom: { address, port: localPort } }),
        }),
      );
    });
    this.dialling.set(origin, giveUp);
  }
}
