/** What a witness's HMAC covers, for making and for checking it. Pure: key and time are handed in. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { WITNESS_PURPOSES, type WitnessPurpose } from '../../shared/stun/attributes/natprobe.ts';
import type { WitnessKey } from './witness-keys.ts';

/** An endpoint with its address in 4 or 16 bytes. */
export interface PackedEndpoint {
  readonly address: Uint8Array;
  readonly port: number;
}

/** That the server sent to `source`, in answer to a request that came in on its endpoint `arrival`, at that time. */
export interface WitnessFacts {
  readonly purpose: WitnessPurpose;
  /** Of the asking session; at most 255 bytes. */
  readonly nonce: Uint8Array;
  /** 12 bytes. */
  readonly transactionId: Uint8Array;
  readonly source: PackedEndpoint;
  /** As advertised: says the role, and tells servers apart that share a key. */
  readonly arrival: PackedEndpoint;
  /** In milliseconds since 1970. */
  readonly madeAtMs: number;
}

/** HMAC-SHA-256: 32 bytes. */
export function witnessMac(key: WitnessKey, facts: WitnessFacts): Buffer {
  const { purpose, nonce, transactionId, source, arrival, madeAtMs } = facts;
  const fixed = Buffer.alloc(12);
  fixed[0] = WITNESS_PURPOSES.indexOf(purpose) + 1;
  fixed[1] = nonce.length;
  fixed.writeUInt16BE(key.id, 2);
  fixed.writeBigUInt64BE(BigInt(madeAtMs), 4);
  const covered = [PREFIX, fixed, nonce, transactionId, ...packed(source), ...packed(arrival)];
  return createHmac('sha256', key.secret).update(Buffer.concat(covered)).digest();
}

/** Whether `mac` is that of the facts under `key`; takes as long for a near miss as for a far one. */
export function isWitnessMac(key: WitnessKey, facts: WitnessFacts, mac: Uint8Array): boolean {
  const expected = witnessMac(key, facts);
  return mac.length === expected.length && timingSafeEqual(mac, expected);
}

const PREFIX = Buffer.from('natprobe witness 1');

/** With the length ahead, so that no two sets of facts are the same bytes. */
function packed({ address, port }: PackedEndpoint): Uint8Array[] {
  return [Uint8Array.of(address.length, port >>> 8, port & 0xff), address];
}
