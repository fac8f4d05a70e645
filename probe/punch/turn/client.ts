/**
 * A client of a TURN server over UDP (RFC 8656), as a machine without I/O: it allocates a relayed address,
 * lets the peer's addresses through and nobody else's, relays datagrams both ways, and holds all of that
 * until it is released.
 */
import { type Endpoint, type Family, formatEndpoint } from '../../../shared/endpoint.ts';
import type { Machine } from '../../../shared/machine.ts';
import { XOR_PEER_ADDRESS, XOR_RELAYED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import type { AttributeValue } from '../../../shared/stun/attributes/attribute.ts';
import {
  CHANNEL_NUMBER,
  CHANNELS,
  DATA,
  LIFETIME,
  REQUESTED_ADDRESS_FAMILY,
  REQUESTED_TRANSPORT,
  UDP_PROTOCOL,
} from '../../../shared/stun/attributes/turn.ts';
import {
  decodeMessage,
  encodeMessage,
  readAttribute,
  type StunMessage,
  transactionIdOf,
} from '../../../shared/stun/message.ts';
import { METHOD } from '../../../shared/stun/registry.ts';
import type { RandomBytes } from '../volley.ts';
import { decodeChannelData, encodeChannelData } from './channel-data.ts';
import type { TurnAction, TurnEvent, TurnFailure, TurnInput } from './io.ts';
import { Transactions, type TurnCredentials } from './transactions.ts';

export interface TurnClientOptions {
  /** Absent where the relay wants none. */
  readonly credentials?: TurnCredentials;
  /** Of the relayed address, and of the peer's. */
  readonly family: Family;
  /** The peer's addresses: from any port there, and from nowhere else, it is let through. */
  readonly peers: readonly string[];
  readonly random: RandomBytes;
}

/** Makes a client that has its first request ready. */
export function createTurnClient(
  options: TurnClientOptions,
  now: number,
): Machine<TurnInput, TurnAction, TurnEvent> {
  return new TurnClient(options, now);
}

/** RFC 8656 §3.2. */
const DEFAULT_LIFETIME_S = 600;
/** A permission holds for 300 s, and a channel for 600 (RFC 8656 §9, §12). */
const LONGEST_REFRESH_MS = 240_000;
/** However short a relay's lifetimes are. */
const SHORTEST_REFRESH_MS = 1000;
const TRANSACTION_ID_BYTES = 12;
/** Of a permission the address alone counts. */
const ANY_PORT = 0;

interface Channel {
  readonly number: number;
  readonly peer: Endpoint;
  /** Until then, and where it is refused, indications do. */
  isBound: boolean;
}

class TurnClient implements Machine<TurnInput, TurnAction, TurnEvent> {
  readonly #options: TurnClientOptions;
  readonly #actions: TurnAction[] = [];
  readonly #events: TurnEvent[] = [];
  readonly #transactions: Transactions;
  readonly #channels = new Map<string, Channel>();
  #state: 'allocating' | 'permitting' | 'ready' | 'releasing' | 'over' = 'allocating';
  /** It was released before it was there. */
  #isUnwanted = false;
  #expiresAt = 0;
  #refreshAt: number | undefined;

  constructor(options: TurnClientOptions, now: number) {
    this.#options = options;
    this.#transactions = new Transactions(options.credentials, options.random, (bytes) =>
      this.#actions.push({ kind: 'send', bytes }),
    );
    this.#allocate(now);
  }

  handleInput(input: TurnInput, now: number): void {
    if (this.#state === 'over') return;
    switch (input.kind) {
      case 'datagram':
        this.#hear(input.bytes, now);
        return;
      case 'relay':
        if (this.#state === 'ready') this.#relay(input.to, input.bytes, now);
        return;
      case 'unreachable':
        // Later on one such message may be of a moment, and the peer is missed soon enough.
        if (this.#state !== 'ready') this.#fail({ kind: 'unreachable' });
        return;
      case 'release':
        this.#release(now);
        return;
    }
  }

  handleTimeout(now: number): void {
    this.#transactions.handleTimeout(now);
    if (this.#state === 'ready' && this.#refreshAt !== undefined && now >= this.#refreshAt)
      this.#refresh(now);
  }

  pollAction(): TurnAction | undefined {
    return this.#actions.shift();
  }

  pollEvent(): TurnEvent | undefined {
    return this.#events.shift();
  }

  pollTimeout(): number | undefined {
    const due = [this.#transactions.nextAt(), this.#state === 'ready' ? this.#refreshAt : undefined];
    const known = due.filter((at) => at !== undefined);
    return known.length === 0 ? undefined : Math.min(...known);
  }

  #hear(bytes: Uint8Array, now: number): void {
    const data = decodeChannelData(bytes);
    if (data !== undefined) {
      const channel = [...this.#channels.values()].find(({ number }) => number === data.channel);
      if (channel !== undefined) this.#receive(channel.peer, data.bytes);
      return;
    }
    const decoded = decodeMessage(bytes);
    if (decoded.kind !== 'message') return;
    const { message } = decoded;
    if (message.class === 'success' || message.class === 'error')
      this.#transactions.handleResponse(message, now);
    else if (message.class === 'indication' && message.method === METHOD.DATA) {
      const from = readAttribute(message, XOR_PEER_ADDRESS);
      const payload = readAttribute(message, DATA);
      if (from !== undefined && payload !== undefined) this.#receive(from, payload);
    }
  }

  #receive(from: Endpoint, bytes: Uint8Array): void {
    // What comes before the permission is answered is of a peer that has yet to be told.
    if (this.#state === 'ready') this.#events.push({ kind: 'received', from, bytes });
  }

  #allocate(now: number): void {
    const { family } = this.#options;
    this.#request(
      METHOD.ALLOCATE,
      [
        REQUESTED_TRANSPORT.of(UDP_PROTOCOL),
        ...(family === 'ipv6' ? [REQUESTED_ADDRESS_FAMILY.of(family)] : []),
      ],
      (response, allocatedAt) => {
        const relayed = readAttribute(response, XOR_RELAYED_ADDRESS);
        this.#takeLifetime(response, allocatedAt);
        if (relayed === undefined) this.#fail({ kind: 'refused', code: 500, reason: 'no relayed address' });
        else if (this.#isUnwanted) this.#giveBack(allocatedAt);
        else this.#permit(relayed, allocatedAt);
      },
      now,
    );
  }

  #permit(relayed: Endpoint, now: number): void {
    this.#state = 'permitting';
    this.#requestPermission(now, (grantedAt) => {
      if (this.#isUnwanted) {
        this.#giveBack(grantedAt);
        return;
      }
      this.#state = 'ready';
      this.#events.push({ kind: 'allocated', relayed });
    });
  }

  #requestPermission(now: number, onGranted: (now: number) => void): void {
    const peers = this.#options.peers.map((address) => XOR_PEER_ADDRESS.of({ address, port: ANY_PORT }));
    this.#request(METHOD.CREATE_PERMISSION, peers, (_, grantedAt) => onGranted(grantedAt), now);
  }

  #relay(to: Endpoint, bytes: Uint8Array, now: number): void {
    const channel = this.#channels.get(formatEndpoint(to)) ?? this.#bind(to, now);
    if (channel?.isBound === true) {
      this.#actions.push({ kind: 'send', bytes: encodeChannelData({ channel: channel.number, bytes }) });
      return;
    }
    const indication = encodeMessage({
      class: 'indication',
      method: METHOD.SEND,
      transactionId: transactionIdOf(this.#options.random(TRANSACTION_ID_BYTES)),
      attributes: [XOR_PEER_ADDRESS.of(to), DATA.of(bytes)],
    });
    this.#actions.push({ kind: 'send', bytes: indication });
  }

  /** Undefined where all channels are taken. */
  #bind(peer: Endpoint, now: number): Channel | undefined {
    const number = CHANNELS.first + this.#channels.size;
    if (number > CHANNELS.last) return undefined;
    const channel: Channel = { number, peer, isBound: false };
    this.#channels.set(formatEndpoint(peer), channel);
    this.#requestChannel(channel, now);
    return channel;
  }

  #requestChannel(channel: Channel, now: number): void {
    this.#request(
      METHOD.CHANNEL_BIND,
      [CHANNEL_NUMBER.of(channel.number), XOR_PEER_ADDRESS.of(channel.peer)],
      () => (channel.isBound = true),
      now,
      () => (channel.isBound = false),
    );
  }

  /** All at once, while the shortest-lived of them still holds. */
  #refresh(now: number): void {
    this.#refreshAt = undefined;
    const takeLifetime = (response: StunMessage, at: number): void => this.#takeLifetime(response, at);
    this.#request(METHOD.REFRESH, [], takeLifetime, now);
    this.#requestPermission(now, () => undefined);
    for (const channel of this.#channels.values()) this.#requestChannel(channel, now);
  }

  /** Without what is refused there is no relaying, unless `onRefused` says otherwise; silence is tried to be broken for as long as the allocation holds. */
  #request(
    method: number,
    attributes: readonly AttributeValue[],
    onSuccess: (response: StunMessage, now: number) => void,
    now: number,
    onRefused: (failure: TurnFailure) => void = (failure) => this.#fail(failure),
  ): void {
    const onFailure = (failure: TurnFailure, failedAt: number): void => {
      const isHeld = this.#state === 'ready' && failedAt < this.#expiresAt;
      if (failure.kind === 'silent' && isHeld) this.#transactions.begin(request, failedAt);
      else onRefused(failure);
    };
    const request = { method, attributes, onSuccess, onFailure };
    this.#transactions.begin(request, now);
  }

  #takeLifetime(response: StunMessage, now: number): void {
    const lifetimeMs = 1000 * (readAttribute(response, LIFETIME) ?? DEFAULT_LIFETIME_S);
    this.#expiresAt = now + lifetimeMs;
    this.#refreshAt = now + Math.max(SHORTEST_REFRESH_MS, Math.min(LONGEST_REFRESH_MS, lifetimeMs / 2));
  }

  /** What is under way is waited for: the relay may have done its part already. */
  #release(now: number): void {
    if (this.#state === 'allocating' || this.#state === 'permitting') this.#isUnwanted = true;
    else if (this.#state === 'ready') this.#giveBack(now);
  }

  #giveBack(now: number): void {
    this.#state = 'releasing';
    this.#transactions.forget();
    const end = (): void => this.#end({ kind: 'released' });
    this.#request(METHOD.REFRESH, [LIFETIME.of(0)], end, now, end);
  }

  #fail(failure: TurnFailure): void {
    this.#end(this.#isUnwanted ? { kind: 'released' } : { kind: 'failed', failure });
  }

  #end(event: TurnEvent): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#transactions.forget();
    this.#events.push(event);
  }
}
