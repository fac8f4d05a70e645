/** Asks a server for the witness of one socket's public endpoint, which the broker wants of each (MEASURING.md §4). */
import { type Endpoint, familyOf, sameEndpoint } from '../../shared/endpoint.ts';
import type { Machine } from '../../shared/machine.ts';
import type { GivenWitness } from '../../shared/report/witnesses.ts';
import { type TransactionId, transactionIdOf } from '../../shared/stun/message.ts';
import { EnclosureLog, encodeEnclosureRequest } from '../classify/enclosures.ts';
import { decodeReply, encodeBindingRequest } from '../classify/requests.ts';
import type { RandomBytes } from './volley.ts';

export interface WitnessRequestOptions {
  readonly server: Endpoint;
  /** The broker's, of this session. */
  readonly nonce: Uint8Array;
  /** From the first request to giving up. */
  readonly timeoutMs: number;
  readonly random: RandomBytes;
}

export type WitnessInput = { readonly kind: 'datagram'; readonly from: Endpoint; readonly bytes: Uint8Array };
export type WitnessAction = { readonly kind: 'send'; readonly to: Endpoint; readonly bytes: Uint8Array };
/** How it ended: with a witness, with an answer that holds none, or in silence. */
export type WitnessEvent =
  | { readonly kind: 'witnessed'; readonly witness: GivenWitness }
  | { readonly kind: 'unwitnessed' }
  | { readonly kind: 'silent' };

/** Soon at first, as one who punches waits for it; from there half as long again each time. */
const FIRST_RESEND_MS = 100;
const SLOWEST_RESEND_MS = 500;
const SLOWING = 1.5;
export const TRANSACTION_ID_BYTES = 12;

export function encodeWitnessRequest(
  server: Endpoint,
  nonce: Uint8Array,
  transactionId: TransactionId,
): Uint8Array {
  const family = familyOf(server.address);
  const enclosure = encodeEnclosureRequest(family, { witness: { purpose: 'broker', nonce } });
  return encodeBindingRequest(family, transactionId, {}, enclosure);
}

/** What the server's message says to that request; undefined if it answers another. */
export function readWitness(
  bytes: Uint8Array,
  server: Endpoint,
  transactionId: TransactionId,
  now: number,
): Exclude<WitnessEvent, { kind: 'silent' }> | undefined {
  const decoded = decodeReply(bytes, server, now);
  if (decoded?.transactionId !== transactionId) return undefined;
  const mapped = decoded.reply.kind === 'response' ? decoded.reply.mapped : undefined;
  const log = new EnclosureLog();
  log.add(bytes, transactionId, server, mapped);
  const [witness] = log.take().witnesses;
  return witness === undefined ? { kind: 'unwitnessed' } : { kind: 'witnessed', witness };
}

/** Makes the machine; it has its first request ready, and ends in one event. */
export function createWitnessRequest(
  options: WitnessRequestOptions,
  now: number,
): Machine<WitnessInput, WitnessAction, WitnessEvent> {
  return new WitnessRequest(options, now);
}

class WitnessRequest implements Machine<WitnessInput, WitnessAction, WitnessEvent> {
  readonly #server: Endpoint;
  readonly #transactionId: TransactionId;
  readonly #bytes: Uint8Array;
  readonly #deadlineAt: number;
  readonly #actions: WitnessAction[] = [];
  #event: WitnessEvent | undefined;
  #nextAt: number | undefined;
  #waitMs = FIRST_RESEND_MS;

  constructor({ server, nonce, timeoutMs, random }: WitnessRequestOptions, now: number) {
    this.#server = server;
    this.#transactionId = transactionIdOf(random(TRANSACTION_ID_BYTES));
    // Sent again as it is: whichever answer comes first is the one.
    this.#bytes = encodeWitnessRequest(server, nonce, this.#transactionId);
    this.#deadlineAt = now + timeoutMs;
    this.#send(now);
  }

  handleInput({ from, bytes }: WitnessInput, now: number): void {
    if (this.#nextAt === undefined || !sameEndpoint(from, this.#server)) return;
    const event = readWitness(bytes, this.#server, this.#transactionId, now);
    if (event !== undefined) this.#end(event);
  }

  handleTimeout(now: number): void {
    if (this.#nextAt === undefined || now < this.#nextAt) return;
    if (now >= this.#deadlineAt) this.#end({ kind: 'silent' });
    else this.#send(now);
  }

  pollAction(): WitnessAction | undefined {
    return this.#actions.shift();
  }

  pollTimeout(): number | undefined {
    return this.#nextAt;
  }

  pollEvent(): WitnessEvent | undefined {
    const event = this.#event;
    this.#event = undefined;
    return event;
  }

  #send(now: number): void {
    this.#actions.push({ kind: 'send', to: this.#server, bytes: this.#bytes });
    this.#nextAt = Math.min(this.#deadlineAt, now + this.#waitMs);
    this.#waitMs = Math.min(SLOWEST_RESEND_MS, this.#waitMs * SLOWING);
  }

  #end(event: WitnessEvent): void {
    this.#nextAt = undefined;
    this.#event = event;
  }
}
