/**
 * How many answers a source draws at most, since UDP sources can be forged: what a flood in a victim's
 * name makes this server send there is bounded, and so is what the flood takes of this server's memory.
 */
import type { SourceAddress } from './source-address.ts';

/** Answers a second, and at once, from one place. */
export interface AnswerRate {
  readonly perSecond: number;
  readonly burst: number;
}

/** By how much of an address a place is told. An IPv6 customer has a /56 or more, and may use all of it. */
export interface SourceRates {
  readonly ipv4Address: AnswerRate;
  readonly ipv4Network: AnswerRate;
  readonly ipv6Customer: AnswerRate;
}

const IPV4_ADDRESS_BYTES = 4;
const IPV4_NETWORK_BYTES = 3;
const IPV6_CUSTOMER_BYTES = 7;

/** Places of a table. A flood from every address at once gives each place its share, which is little. */
const PLACES = 1 << 16;
const TABLE_BYTES = PLACES * Float64Array.BYTES_PER_ELEMENT;
/** Of the memory that one limiter takes, whoever floods it. */
export const LIMITER_BYTES = 3 * TABLE_BYTES;

/**
 * A token bucket for each place, kept as the time at which it will be full again (GCRA). Addresses that
 * fall into one place of a table share its bucket; which ones do, the seed decides and nobody outside knows.
 */
export class SourceLimiter {
  /** By the caller's clock in milliseconds, which sets it before it asks. */
  now = 0;
  private readonly seed: number;
  private readonly addresses: Buckets;
  private readonly networks: Buckets;
  private readonly customers: Buckets;

  /** `memory`, of LIMITER_BYTES zeros, may be shared between the threads of one server; `seed` is 32 random bits. */
  constructor(rates: SourceRates, seed: number, memory: ArrayBufferLike = new ArrayBuffer(LIMITER_BYTES)) {
    this.seed = seed;
    this.addresses = new Buckets(rates.ipv4Address, new Float64Array(memory, 0, PLACES));
    this.networks = new Buckets(rates.ipv4Network, new Float64Array(memory, TABLE_BYTES, PLACES));
    this.customers = new Buckets(rates.ipv6Customer, new Float64Array(memory, 2 * TABLE_BYTES, PLACES));
  }

  /** Takes leave to send `count` datagrams to the source: all of them, or none and nothing is taken. */
  admit({ family, bytes }: SourceAddress, count: number): boolean {
    const { now } = this;
    if (family === 6) {
      const customer = placeOf(bytes, IPV6_CUSTOMER_BYTES, this.seed);
      if (!this.customers.has(customer, count, now)) return false;
      this.customers.take(customer, count, now);
      return true;
    }
    const address = placeOf(bytes, IPV4_ADDRESS_BYTES, this.seed);
    const network = placeOf(bytes, IPV4_NETWORK_BYTES, this.seed);
    if (!this.addresses.has(address, count, now) || !this.networks.has(network, count, now)) return false;
    this.addresses.take(address, count, now);
    this.networks.take(network, count, now);
    return true;
  }
}

/** Buckets of one rate. Threads that write one at the same time lose a token, and nothing else. */
class Buckets {
  private readonly fullAt: Float64Array;
  private readonly intervalMs: number;
  private readonly burstMs: number;

  constructor({ perSecond, burst }: AnswerRate, fullAt: Float64Array) {
    this.fullAt = fullAt;
    this.intervalMs = 1000 / perSecond;
    this.burstMs = burst * this.intervalMs;
  }

  has(place: number, count: number, now: number): boolean {
    return Math.max(this.fullAt[place]!, now) + count * this.intervalMs <= now + this.burstMs;
  }

  take(place: number, count: number, now: number): void {
    this.fullAt[place] = Math.max(this.fullAt[place]!, now) + count * this.intervalMs;
  }
}

/** The first `length` bytes, mixed (the finish of MurmurHash3 after each four) and cut to a place of the table. */
function placeOf(bytes: Uint8Array, length: number, seed: number): number {
  let hash = seed ^ length;
  for (let index = 0; index < length; index += 4) {
    let word = 0;
    for (let at = index; at < Math.min(length, index + 4); at++) word = (word << 8) | bytes[at]!;
    hash ^= word;
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash & (PLACES - 1);
}
