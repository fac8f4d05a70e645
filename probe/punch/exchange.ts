/** Authenticated checks and their answers between two punchers (RFC 8445 §7), and what they cost. */
import type { Endpoint } from '../../shared/endpoint.ts';
import { candidatePriority } from '../../shared/ice/candidate.ts';
import {
  type Check,
  decodeCheck,
  decodeCheckAnswer,
  encodeCheck,
  encodeCheckResponse,
  isAuthentic,
} from '../../shared/ice/check.ts';
import type { StrategyName } from '../../shared/punch/strategy.ts';
import { decodeMessage, type TransactionId, transactionIdOf } from '../../shared/stun/message.ts';
import { encodeGoodbye, isGoodbye } from './goodbye.ts';
import type { PuncherAction } from './io.ts';
import type { SendLimits } from './send-limits.ts';
import type { PunchSession } from './session.ts';
import type { RandomBytes } from './volley.ts';

/** A check that was sent, which an answer may come to. */
export interface SentCheck {
  readonly socket: string;
  readonly to: Endpoint;
  readonly strategy: StrategyName;
  readonly nominates: boolean;
  readonly sentAt: number;
}

export type Heard =
  | { readonly kind: 'check'; readonly check: Check }
  | { readonly kind: 'answer'; readonly sent: SentCheck }
  /** The peer has closed the hole. */
  | { readonly kind: 'goodbye' };

/** What a check says besides where it goes; a guess leaves room for what is more likely to be heard. */
export interface CheckKind {
  readonly nominates?: boolean;
  readonly isGuess?: boolean;
  readonly ttl?: number | undefined;
}

const TRANSACTION_ID_BYTES = 12;
/** Nobody compares these: the plan says who nominates. */
const PRIORITY = candidatePriority('prflx', 0xffff);

export class Exchange {
  readonly limits: SendLimits;
  readonly #session: PunchSession;
  readonly #random: RandomBytes;
  readonly #act: (action: PuncherAction) => void;
  readonly #sent = new Map<TransactionId, SentCheck>();
  #packets = 0;

  constructor(
    session: PunchSession,
    limits: SendLimits,
    random: RandomBytes,
    act: (action: PuncherAction) => void,
  ) {
    this.#session = session;
    this.limits = limits;
    this.#random = random;
    this.#act = act;
  }

  get packets(): number {
    return this.#packets;
  }

  /** Sends one check, a transaction of its own; false if it is one too many. */
  check(
    { socket, to, strategy }: Pick<SentCheck, 'socket' | 'to' | 'strategy'>,
    { nominates = false, isGuess = false, ttl }: CheckKind,
    now: number,
  ): boolean {
    if (!this.limits.take(now, isGuess)) return false;
    const transactionId = transactionIdOf(this.#random(TRANSACTION_ID_BYTES));
    this.#sent.set(transactionId, { socket, to, strategy, nominates, sentAt: now });
    const { own, peer, role } = this.#session;
    const bytes = encodeCheck(
      {
        transactionId,
        receiverUfrag: peer.ufrag,
        senderUfrag: own.ufrag,
        priority: PRIORITY,
        role,
        nominates,
      },
      peer.password,
    );
    this.#send(socket, to, bytes, ttl);
    return true;
  }

  /** Answers a check to where it came from, unless that is one packet too many. */
  answer(socket: string, to: Endpoint, { transactionId }: Check, now: number): void {
    if (!this.limits.take(now)) return;
    this.#send(socket, to, encodeCheckResponse(transactionId, to, this.#session.own.password), undefined);
  }

  /** Tells the peer that the hole is closed, unless that is one packet too many. */
  sayGoodbye({ socket, remote }: { readonly socket: string; readonly remote: Endpoint }, now: number): void {
    if (!this.limits.take(now)) return;
    const transactionId = transactionIdOf(this.#random(TRANSACTION_ID_BYTES));
    this.#send(socket, remote, encodeGoodbye(transactionId, this.#session), undefined);
  }

  /**
   * What of the peer a datagram is, or undefined if it is anything else. The key authenticates it, and
   * for an answer the transaction; not where it came from, which a NAT may change.
   */
  read(socket: string, bytes: Uint8Array): Heard | undefined {
    const decoded = decodeMessage(bytes);
    if (decoded.kind !== 'message') return undefined;
    const { message } = decoded;
    const { own, peer, role } = this.#session;
    if (message.class === 'request') {
      const check = decodeCheck(message);
      if (check === undefined || check.receiverUfrag !== own.ufrag || check.senderUfrag !== peer.ufrag)
        return undefined;
      if (check.role.kind === role.kind || !isAuthentic(message, own.password)) return undefined;
      return { kind: 'check', check };
    }
    if (message.class === 'indication')
      return isGoodbye(message, this.#session) ? { kind: 'goodbye' } : undefined;
    const sent = this.#sent.get(message.transactionId);
    if (sent?.socket !== socket || decodeCheckAnswer(message)?.kind !== 'success') return undefined;
    if (!isAuthentic(message, peer.password)) return undefined;
    this.#sent.delete(message.transactionId);
    return { kind: 'answer', sent };
  }

  /** No answer counts any more to what was sent so far. */
  forget(): void {
    this.#sent.clear();
  }

  #send(socket: string, to: Endpoint, bytes: Uint8Array, ttl: number | undefined): void {
    this.#packets += 1;
    this.#act({ kind: 'send', socket, to, bytes, ...(ttl !== undefined && { ttl }) });
  }
}
