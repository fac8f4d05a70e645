/** The attributes of connectivity checks (RFC 8445 §16.1). */
import { readU32 } from '../cursor.ts';
import { ATTRIBUTE } from '../registry.ts';
import { checkWholeNumber, defineAttribute } from './attribute.ts';
import type { Attribute } from './attribute.ts';

/** The priority that a peer-reflexive candidate would have. */
export const PRIORITY = defineAttribute<number>(ATTRIBUTE.PRIORITY, {
  check: (priority) => checkWholeNumber('priority', priority, 0, 0xffffffff),
  encode: (writer, priority) => writer.u32(ATTRIBUTE.PRIORITY, priority),
  decode: (value) => (value.length === 4 ? readU32(value, 0) : undefined),
});

/** A flag: it has no value. */
export const USE_CANDIDATE = defineAttribute<true>(ATTRIBUTE.USE_CANDIDATE, {
  encode: (writer) => writer.filler(ATTRIBUTE.USE_CANDIDATE, 0),
  decode: (value) => (value.length === 0 ? true : undefined),
});

/** The tie-breaker of an agent in the controlled role. */
export const ICE_CONTROLLED = tieBreakerAttribute(ATTRIBUTE.ICE_CONTROLLED);
/** The tie-breaker of an agent in the controlling role. */
export const ICE_CONTROLLING = tieBreakerAttribute(ATTRIBUTE.ICE_CONTROLLING);

const TIE_BREAKER_LIMIT = 1n << 64n;

function tieBreakerAttribute(type: number): Attribute<bigint> {
  return defineAttribute<bigint>(type, {
    check: (tieBreaker) => {
      if (tieBreaker < 0n || tieBreaker >= TIE_BREAKER_LIMIT) {
        throw new RangeError(`tie-breaker ${tieBreaker} is not an unsigned 64-bit number`);
      }
    },
    encode: (writer, tieBreaker) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(tieBreaker);
      writer.bytes(type, bytes, 0, 8);
    },
    decode: (value) =>
      value.length === 8 ? (BigInt(readU32(value, 0)) << 32n) | BigInt(readU32(value, 4)) : undefined,
  });
}
