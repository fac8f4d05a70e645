import * as ADDRESSES from '../../../shared/stun/attributes/address.ts';
import type { Attribute } from '../../../shared/stun/attributes/attribute.ts';
import * as BEHAVIOURS from '../../../shared/stun/attributes/behaviour.ts';
import * as CREDENTIALS from '../../../shared/stun/attributes/credential.ts';
import * as DIAL_BACKS from '../../../shared/stun/attributes/dial-back.ts';
import * as ERRORS from '../../../shared/stun/attributes/error.ts';
import * as ICE from '../../../shared/stun/attributes/ice.ts';
import * as OWN from '../../../shared/stun/attributes/natprobe.ts';
import * as TEXTS from '../../../shared/stun/attributes/text.ts';
import { decodeCheck, decodeCheckAnswer } from '../../../shared/ice/check.ts';
import { shortTermKey, verifyIntegrity } from '../../../shared/stun/integrity.ts';
import { decodeMessage, encodeMessage } from '../../../shared/stun/message.ts';
import {
  SAMPLE_IPV4_RESPONSE,
  SAMPLE_IPV6_RESPONSE,
  SAMPLE_LONG_TERM_REQUEST,
  SAMPLE_REQUEST,
  SHORT_TERM_PASSWORD,
} from '../../vectors/rfc5769.ts';
import { SAMPLE_SHA256_REQUEST } from '../../vectors/rfc8489.ts';
import type { Random } from '../../sim/random.ts';
import { ID } from '../../unit/answer/exchange.ts';
import { HostileDatagrams } from '../../unit/answer/hostile-datagrams.ts';
import { ensure, type FuzzTarget } from '../target.ts';

const MODULES: readonly object[] = [ADDRESSES, BEHAVIOURS, CREDENTIALS, DIAL_BACKS, ERRORS, ICE, OWN, TEXTS];
const ATTRIBUTES = new Map(
  MODULES.flatMap((module) => Object.values(module) as unknown[])
    .filter(isAttribute)
    .map((attribute) => [attribute.type, attribute]),
);
const KEY = { algorithm: 'sha1', key: shortTermKey(SHORT_TERM_PASSWORD) } as const;

/** Those of the RFCs. */
export const SAMPLE_MESSAGES: readonly Uint8Array[] = [
  SAMPLE_REQUEST,
  SAMPLE_IPV4_RESPONSE,
  SAMPLE_IPV6_RESPONSE,
  SAMPLE_LONG_TERM_REQUEST,
  SAMPLE_SHA256_REQUEST,
].map(({ bytes }) => Uint8Array.from(bytes));

export const CODEC: FuzzTarget = {
  name: 'codec',
  invariant:
    'no bytes make it throw, what it reads lies within them, and it can write each value that it reads (RFC 8489)',
  seeds: () => SAMPLE_MESSAGES,
  invent: inventDatagram,
  check(input) {
    const decoded = decodeMessage(input);
    if (decoded.kind !== 'message') return;
    const { message } = decoded;
    verifyIntegrity(message, KEY);
    verifyIntegrity(message, { algorithm: 'sha256', key: KEY.key });
    decodeCheck(message);
    decodeCheckAnswer(message);
    for (const { type, value } of message.attributes) {
      ensure(value.buffer === input.buffer, 'a value that lies elsewhere');
      ensure(
        value.byteOffset >= input.byteOffset &&
          value.byteOffset + value.length <= input.byteOffset + input.length,
        'a value beyond the message',
      );
      const attribute = ATTRIBUTES.get(type);
      const read = attribute?.decode(value, message);
      if (attribute === undefined || read === undefined) continue;
      const again = decodeMessage(
        encodeMessage({ class: message.class, transactionId: ID, attributes: [attribute.of(read)] }),
      );
      ensure(again.kind === 'message', `${attribute.name} cannot be read again`);
    }
  },
};

let hostile: { readonly random: Random; readonly datagrams: HostileDatagrams } | undefined;

/** A datagram as the answer core is fuzzed with. */
export function inventDatagram(random: Random): Uint8Array {
  if (hostile?.random !== random) hostile = { random, datagrams: new HostileDatagrams(random) };
  const length = hostile.datagrams.next();
  return Uint8Array.from(hostile.datagrams.buffer.subarray(0, length));
}

function isAttribute(value: unknown): value is Attribute<unknown> {
  return typeof value === 'object' && value !== null && 'decode' in value && 'of' in value;
}
