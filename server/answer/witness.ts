/** The core's part in witnesses: reads what is asked for, and writes what it is given. */
import type { MessageCursor } from '../../shared/stun/cursor.ts';
import {
  WITNESS,
  WITNESS_GIVEN_LENGTH,
  type Witness,
  decodeWitness,
} from '../../shared/stun/attributes/natprobe.ts';
import { HEADER_LENGTH } from '../../shared/stun/registry.ts';
import type { MessageWriter } from '../../shared/stun/writer.ts';
import type { WitnessKeys } from '../witness/witness-keys.ts';
import { witnessMac } from '../witness/witness-mac.ts';
import type { ServerEndpoint } from './server-endpoint.ts';
import type { SourceAddress } from './source-address.ts';

export type AskedWitness = Witness & { kind: 'asked' };

/** Bytes of WITNESS in a response. */
export const WITNESS_ATTRIBUTE_BYTES = 4 + WITNESS_GIVEN_LENGTH;

const TRANSACTION_ID_OFFSET = 8;

/** Makes witnesses with the keys' current one, by a clock of milliseconds since 1970. */
export class WitnessMaker {
  private readonly keys: WitnessKeys;
  private readonly nowMs: () => number;

  constructor(keys: WitnessKeys, nowMs: () => number) {
    this.keys = keys;
    this.nowMs = nowMs;
  }

  /** Adds the witness to the response to the request that `request` stands on. */
  write(
    writer: MessageWriter,
    { purpose, nonce }: AskedWitness,
    request: MessageCursor,
    source: SourceAddress,
    arrival: ServerEndpoint,
  ): void {
    const key = this.keys.current;
    const madeAtMs = Math.floor(this.nowMs());
    const { bytes, start } = request;
    const mac = witnessMac(key, {
      purpose,
      nonce,
      transactionId: bytes.subarray(start + TRANSACTION_ID_OFFSET, start + HEADER_LENGTH),
      source: { address: source.bytes.subarray(0, source.family === 4 ? 4 : 16), port: source.port },
      arrival: { address: arrival.bytes, port: arrival.port },
      madeAtMs,
    });
    WITNESS.of({ kind: 'given', keyId: key.id, madeAtMs, mac }).encode(writer);
  }
}

/** What the value of a request's WITNESS asks for, or undefined if it asks for nothing. */
export function readAskedWitness(
  bytes: Uint8Array,
  offset: number,
  length: number,
): AskedWitness | undefined {
  const witness = decodeWitness(bytes.subarray(offset, offset + length));
  return witness?.kind === 'asked' ? witness : undefined;
}
