/** A TURN server's answers (RFC 8656) as far as its clients' machine is to be tried against them, under virtual time. */
import { type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import { XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS } from '../../shared/stun/attributes/address.ts';
import type { AttributeValue } from '../../shared/stun/attributes/attribute.ts';
import { ERROR_CODE } from '../../shared/stun/attributes/error.ts';
import { NONCE, REALM, USERNAME } from '../../shared/stun/attributes/text.ts';
import { CHANNEL_NUMBER, DATA, LIFETIME } from '../../shared/stun/attributes/turn.ts';
import { type Integrity, longTermKey, verifyIntegrity } from '../../shared/stun/integrity.ts';
import {
  decodeMessage,
  encodeMessage,
  readAttribute,
  type StunMessage,
  type TransactionId,
} from '../../shared/stun/message.ts';
import { METHOD } from '../../shared/stun/registry.ts';
import { decodeChannelData, encodeChannelData } from '../../probe/punch/turn/channel-data.ts';

export interface TurnPlayOptions {
  readonly username: string;
  readonly password: string;
  readonly relayed: Endpoint;
  readonly lifetimeMs: number;
  readonly permissionMs: number;
  readonly channelMs: number;
  /** After so long a nonce is stale. */
  readonly nonceMs: number;
  /** Refuses that method with that code, but for requests that it wants authenticated first. */
  readonly refuse?: { readonly method: number; readonly code: number };
}

const REALM_TEXT = 'natprobe';
const ID = 'd'.repeat(24) as TransactionId;

export class TurnPlay {
  /** What the peer was sent. */
  readonly atPeer: { readonly to: Endpoint; readonly text: string; readonly by: 'channel' | 'indication' }[] =
    [];
  /** Methods of the requests that it met or refused, challenges left out. */
  readonly met: number[] = [];
  readonly #options: TurnPlayOptions;
  readonly #key: Uint8Array;
  readonly #permitted = new Map<string, number>();
  readonly #channels = new Map<number, { peer: Endpoint; until: number }>();
  readonly #answered = new Map<TransactionId, Uint8Array>();
  allocatedUntil = -Infinity;

  constructor(options: TurnPlayOptions) {
    this.#options = options;
    this.#key = longTermKey(options.username, REALM_TEXT, options.password, 'md5');
  }

  /** What it says to the client about a datagram of it. */
  handle(bytes: Uint8Array, now: number): Uint8Array | undefined {
    const data = decodeChannelData(bytes);
    if (data !== undefined) {
      const channel = this.#channels.get(data.channel);
      if (channel !== undefined && now < channel.until)
        this.#forward(channel.peer, data.bytes, 'channel', now);
      return undefined;
    }
    const decoded = decodeMessage(bytes);
    if (decoded.kind !== 'message') throw new Error('neither STUN nor a channel’s data');
    const { message } = decoded;
    if (message.class === 'indication') {
      this.#forward(
        readAttribute(message, XOR_PEER_ADDRESS)!,
        readAttribute(message, DATA)!,
        'indication',
        now,
      );
      return undefined;
    }
    // A request that is sent again is answered as before.
    const known = this.#answered.get(message.transactionId);
    if (known !== undefined) return known;
    const answer = this.#answer(message, now);
    this.#answered.set(message.transactionId, answer);
    return answer;
  }

  /** What a datagram of a peer to the relayed address becomes, if it is let through. */
  fromPeer(from: Endpoint, text: string, now: number): Uint8Array | undefined {
    if (now >= this.allocatedUntil || now >= (this.#permitted.get(from.address) ?? -Infinity))
      return undefined;
    const bytes = Buffer.from(text);
    for (const [channel, { peer, until }] of this.#channels)
      if (now < until && formatEndpoint(peer) === formatEndpoint(from))
        return encodeChannelData({ channel, bytes });
    return encodeMessage({
      class: 'indication',
      method: METHOD.DATA,
      transactionId: ID,
      attributes: [XOR_PEER_ADDRESS.of(from), DATA.of(bytes)],
    });
  }

  #forward(to: Endpoint, bytes: Uint8Array, by: 'channel' | 'indication', now: number): void {
    if (now < this.allocatedUntil && now < (this.#permitted.get(to.address) ?? -Infinity))
      this.atPeer.push({ to, text: Buffer.from(bytes).toString(), by });
  }

  #answer(message: StunMessage, now: number): Uint8Array {
    const nonce = `nonce ${Math.floor(now / this.#options.nonceMs)}`;
    const challenge = [REALM.of(REALM_TEXT), NONCE.of(nonce)];
    const integrity: Integrity = { algorithm: 'sha1', key: this.#key };
    const isOurs =
      readAttribute(message, USERNAME) === this.#options.username &&
      verifyIntegrity(message, integrity) === 'valid';
    if (!isOurs) return refusal(message, 401, challenge);
    if (readAttribute(message, NONCE) !== nonce) return refusal(message, 438, challenge);
    this.met.push(message.method);
    const { refuse } = this.#options;
    if (refuse?.method === message.method) return refusal(message, refuse.code, [], integrity);
    if (message.method !== METHOD.ALLOCATE && now >= this.allocatedUntil)
      return refusal(message, 437, [], integrity);
    return encodeMessage({
      class: 'success',
      method: message.method,
      transactionId: message.transactionId,
      attributes: this.#carryOut(message, now),
      integrity,
    });
  }

  #carryOut(message: StunMessage, now: number): AttributeValue[] {
    const { relayed, lifetimeMs, permissionMs, channelMs } = this.#options;
    const peer = readAttribute(message, XOR_PEER_ADDRESS);
    switch (message.method) {
      case METHOD.ALLOCATE:
      case METHOD.REFRESH: {
        const isOver = readAttribute(message, LIFETIME) === 0;
        this.allocatedUntil = isOver ? -Infinity : now + lifetimeMs;
        const lifetime = LIFETIME.of(isOver ? 0 : lifetimeMs / 1000);
        return message.method === METHOD.ALLOCATE ? [XOR_RELAYED_ADDRESS.of(relayed), lifetime] : [lifetime];
      }
      case METHOD.CREATE_PERMISSION:
        this.#permitted.set(peer!.address, now + permissionMs);
        return [];
      case METHOD.CHANNEL_BIND:
        this.#permitted.set(peer!.address, now + permissionMs);
        this.#channels.set(readAttribute(message, CHANNEL_NUMBER)!, { peer: peer!, until: now + channelMs });
        return [];
      default:
        throw new Error(`method ${message.method}`);
    }
  }
}

function refusal(
  { method, transactionId }: StunMessage,
  code: number,
  attributes: readonly AttributeValue[],
  integrity?: Integrity,
): Uint8Array {
  return encodeMessage({
    class: 'error',
    method,
    transactionId,
    attributes: [ERROR_CODE.of({ code }), ...attributes],
    ...(integrity !== undefined && { integrity }),
  });
}
