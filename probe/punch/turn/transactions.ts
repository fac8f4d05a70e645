/** Requests to a relay, sent again until they are answered, with long-term credentials once it asks for them (RFC 8489 §6.2.1, §9.2). */
import type { AttributeValue } from '../../../shared/stun/attributes/attribute.ts';
import { ERROR_CODE } from '../../../shared/stun/attributes/error.ts';
import { NONCE, REALM, USERNAME } from '../../../shared/stun/attributes/text.ts';
import { longTermKey, verifyIntegrity } from '../../../shared/stun/integrity.ts';
import {
  encodeMessage,
  readAttribute,
  type StunMessage,
  type TransactionId,
  transactionIdOf,
} from '../../../shared/stun/message.ts';
import type { RandomBytes } from '../volley.ts';
import type { TurnFailure } from './io.ts';

export interface TurnCredentials {
  readonly username: string;
  readonly password: string;
}

export interface TurnRequest {
  readonly method: number;
  readonly attributes: readonly AttributeValue[];
  onSuccess(response: StunMessage, now: number): void;
  onFailure(failure: TurnFailure, now: number): void;
}

/** Soon at first, as one who punches waits for it: at 20 % loss each way all of them are lost once in 1200 times. */
const FIRST_RESEND_MS = 250;
const SLOWEST_RESEND_MS = 1000;
const GIVE_UP_MS = 5000;
/** A nonce may be stale again by the time that its answer comes, but hardly so often. */
const MOST_NONCES = 3;
const TRANSACTION_ID_BYTES = 12;
const UNAUTHENTICATED = 401;
const STALE_NONCE = 438;

interface Pending {
  readonly request: TurnRequest;
  readonly bytes: Uint8Array;
  readonly key: Uint8Array | undefined;
  readonly nonces: number;
  readonly giveUpAt: number;
  nextAt: number;
  waitMs: number;
}

interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  readonly key: Uint8Array;
}

export class Transactions {
  readonly #credentials: TurnCredentials | undefined;
  readonly #random: RandomBytes;
  readonly #send: (bytes: Uint8Array) => void;
  readonly #pending = new Map<TransactionId, Pending>();
  #challenge: Challenge | undefined;

  constructor(
    credentials: TurnCredentials | undefined,
    random: RandomBytes,
    send: (bytes: Uint8Array) => void,
  ) {
    this.#credentials = credentials;
    this.#random = random;
    this.#send = send;
  }

  /** Ends in one call of `onSuccess` or `onFailure`. */
  begin(request: TurnRequest, now: number): void {
    this.#begin(request, now, 0);
  }

  /** Ignored unless it answers a request, and is authentic where that was. */
  handleResponse(response: StunMessage, now: number): void {
    const pending = this.#pending.get(response.transactionId);
    if (pending === undefined || response.method !== pending.request.method) return;
    const { request, key, nonces } = pending;
    if (response.class === 'success') {
      if (key !== undefined && verifyIntegrity(response, { algorithm: 'sha1', key }) !== 'valid') return;
      this.#pending.delete(response.transactionId);
      request.onSuccess(response, now);
      return;
    }
    const error = readAttribute(response, ERROR_CODE);
    if (error === undefined) return;
    this.#pending.delete(response.transactionId);
    const isAsked = error.code === STALE_NONCE || (error.code === UNAUTHENTICATED && key === undefined);
    if (isAsked && nonces < MOST_NONCES && this.#takeChallenge(response)) {
      this.#begin(request, now, nonces + 1);
      return;
    }
    request.onFailure({ kind: 'refused', code: error.code, reason: error.reason ?? '' }, now);
  }

  handleTimeout(now: number): void {
    for (const [id, pending] of [...this.#pending]) {
      if (now < pending.nextAt) continue;
      if (now >= pending.giveUpAt) {
        this.#pending.delete(id);
        pending.request.onFailure({ kind: 'silent' }, now);
        continue;
      }
      this.#send(pending.bytes);
      pending.waitMs = Math.min(SLOWEST_RESEND_MS, 2 * pending.waitMs);
      pending.nextAt = Math.min(pending.giveUpAt, now + pending.waitMs);
    }
  }

  nextAt(): number | undefined {
    if (this.#pending.size === 0) return undefined;
    return Math.min(...[...this.#pending.values()].map(({ nextAt }) => nextAt));
  }

  /** Nothing is waited for any more. */
  forget(): void {
    this.#pending.clear();
  }

  #begin(request: TurnRequest, now: number, nonces: number): void {
    const transactionId = transactionIdOf(this.#random(TRANSACTION_ID_BYTES));
    const challenge = this.#challenge;
    const bytes = encodeMessage({
      class: 'request',
      method: request.method,
      transactionId,
      attributes: [
        ...request.attributes,
        ...(challenge === undefined
          ? []
          : [USERNAME.of(this.#credentials!.username), REALM.of(challenge.realm), NONCE.of(challenge.nonce)]),
      ],
      ...(challenge !== undefined && { integrity: { algorithm: 'sha1', key: challenge.key } }),
      fingerprint: true,
    });
    this.#pending.set(transactionId, {
      request,
      bytes,
      key: challenge?.key,
      nonces,
      giveUpAt: now + GIVE_UP_MS,
      nextAt: now + FIRST_RESEND_MS,
      waitMs: FIRST_RESEND_MS,
    });
    this.#send(bytes);
  }

  /**
   * False where it can't be met. The password makes an MD5 key: what other algorithms a server offers it
   * need not be told, and takes a request that says nothing of them as this (RFC 8489 §9.2.4).
   */
  #takeChallenge(response: StunMessage): boolean {
    const realm = readAttribute(response, REALM) ?? this.#challenge?.realm;
    const nonce = readAttribute(response, NONCE);
    if (this.#credentials === undefined || realm === undefined || nonce === undefined) return false;
    const { username, password } = this.#credentials;
    try {
      this.#challenge = { realm, nonce, key: longTermKey(username, realm, password, 'md5') };
    } catch (error) {
      // A realm that is no text of RFC 8265.
      if (error instanceof RangeError) return false;
      throw error;
    }
    return true;
  }
}
