/**
 * What paired hosts tell each other: JSON, signed with a key that they share, so that whoever else gets
 * at what carries it can't make a host send. Fields that a version does not know are ignored. Pure.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import Type from 'typebox';
import { Check } from 'typebox/value';
import type { WitnessKey, WitnessKeys } from '../witness/witness-keys.ts';

/** Changed where hosts of both versions can't be a pair. */
export const PAIR_PROTOCOL = 1;

/** Of one process, and random. */
const HostId = Type.String({ pattern: '^[0-9a-f]{32}$' });
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const EndpointSchema = Type.Object({
  address: Type.String({ maxLength: 45 }),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
});
const FamilySchema = Type.Union([Type.Literal('ipv4'), Type.Literal('ipv6')]);
const TwoEndpoints = Type.Tuple([EndpointSchema, EndpointSchema]);

/** To all of that name, every now and then: who this is, and whom it takes for its partner. */
const Hello = Type.Object({
  kind: Type.Literal('hello'),
  from: HostId,
  protocol: Count,
  /** Counted by who sends it. */
  beat: Count,
  /** As advertised, of each family. */
  endpoints: Type.Object({ ipv4: Type.Optional(TwoEndpoints), ipv6: Type.Optional(TwoEndpoints) }),
  partner: Type.Optional(HostId),
});

/** That this hello has just been heard. */
const Echo = Type.Object({ kind: Type.Literal('echo'), from: HostId, to: HostId, beat: Count });

/** Asks the partner to send this. */
const Relay = Type.Object({
  kind: Type.Literal('relay'),
  from: HostId,
  to: HostId,
  /** The latest of `to`'s that has been heard. */
  beat: Count,
  /** Rises, so that none is heeded twice. */
  number: Count,
  family: FamilySchema,
  /** From its first port, or its second. */
  port: Type.Union([Type.Literal(0), Type.Literal(1)]),
  target: EndpointSchema,
  /** Base64. */
  bytes: Type.String({ maxLength: 100_000 }),
});

/** What has become of a `relay`. */
const Done = Type.Object({
  kind: Type.Literal('done'),
  from: HostId,
  to: HostId,
  number: Count,
  outcome: Type.Union([Type.Literal('sent'), Type.Literal('failed'), Type.Literal('limited')]),
});

/** It stops. */
const Bye = Type.Object({ kind: Type.Literal('bye'), from: HostId });

const PairMessage = Type.Union([Hello, Echo, Relay, Done, Bye]);
export type PairMessage = Type.Static<typeof PairMessage>;
export type Hello = Type.Static<typeof Hello>;
export type Relay = Type.Static<typeof Relay>;
export type Outcome = Type.Static<typeof Done>['outcome'];

const KEY_ID_BYTES = 2;
const MAC_BYTES = 32;
const PREFIX = Buffer.from('natprobe pair 1');

/** The key's id, an HMAC, the message. */
export function encodePairMessage(message: PairMessage, key: WitnessKey): Uint8Array {
  const text = Buffer.from(JSON.stringify(message));
  const id = Buffer.alloc(KEY_ID_BYTES);
  id.writeUInt16BE(key.id);
  return Buffer.concat([id, macOf(text, key), text]);
}

/** Undefined for what nobody with one of these keys has made, or what is none. */
export function decodePairMessage(bytes: Uint8Array, keys: WitnessKeys): PairMessage | undefined {
  if (bytes.length < KEY_ID_BYTES + MAC_BYTES) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const mac = buffer.subarray(KEY_ID_BYTES, KEY_ID_BYTES + MAC_BYTES);
  const text = buffer.subarray(KEY_ID_BYTES + MAC_BYTES);
  const isGenuine = keys.withId(buffer.readUInt16BE(0)).some((key) => timingSafeEqual(macOf(text, key), mac));
  if (!isGenuine) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text.toString());
  } catch {
    return undefined;
  }
  return Check(PairMessage, value) ? value : undefined;
}

function macOf(text: Uint8Array, { secret }: WitnessKey): Buffer {
  return createHmac('sha256', secret).update(PREFIX).update(text).digest();
}
