/** Witnesses as the core gives them: to whom, for what, and never for less than they cost. */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Family } from '../../../shared/endpoint.ts';
import { rawAttribute } from '../../../shared/stun/attributes/attribute.ts';
import { CHANGE_REQUEST, RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import { RECEIPT_REQUEST, SERVICE, WITNESS, type Witness } from '../../../shared/stun/attributes/natprobe.ts';
import { decodeMessage, readAttribute } from '../../../shared/stun/message.ts';
import { ATTRIBUTE } from '../../../shared/stun/registry.ts';
import type { AnswerCore } from '../../../server/answer/answer-core.ts';
import {
  type Arrival,
  CLASSIC_ID,
  CLIENTS,
  ENDPOINTS,
  ID,
  WITNESS_KEY,
  WITNESS_TIME_MS,
  countsOf,
  createCore,
  createWitnessMaker,
  exchange,
  hexOf,
  request,
} from './exchange.ts';

const NONCE = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');

function asked(fillerLength: number, purpose: 'broker' | 'report' = 'report') {
  return WITNESS.of({ kind: 'asked', purpose, nonce: NONCE, fillerLength });
}

function witnessingCore(family: Family = 'ipv4'): AnswerCore {
  return createCore(family, { witness: createWitnessMaker() });
}

function witnessIn(hex: string | undefined): Witness | undefined {
  const decoded = decodeMessage(Buffer.from(hex ?? '', 'hex'));
  if (decoded.kind !== 'message') throw new Error(`${decoded.kind}: ${hex}`);
  return readAttribute(decoded.message, WITNESS);
}

function drawn(bytes: Uint8Array, arrival: Arrival = {}, core = witnessingCore()): Witness | undefined {
  return witnessIn(exchange(core, bytes, arrival)[0]?.hex);
}

describe('a witness', () => {
  it('is the HMAC over these bytes, written out', () => {
    const given = drawn(request([asked(100)]), { role: 3 });
    const covered = [
      Buffer.from('natprobe witness 1'),
      // Purpose report, a nonce of 16 bytes, the key's id, the time.
      `0210${WITNESS_KEY.id.toString(16).padStart(4, '0')}${WITNESS_TIME_MS.toString(16).padStart(16, '0')}`,
      hexOf(NONCE),
      ID,
      // 198.51.100.7:40000, then where it came in: 192.0.2.2:3479.
      '049c40c6336407',
      '040d97c0000202',
    ].map((part) => (typeof part === 'string' ? Buffer.from(part, 'hex') : part));
    const mac = createHmac('sha256', WITNESS_KEY.secret).update(Buffer.concat(covered)).digest();
    expect(given).toEqual({
      kind: 'given',
      keyId: WITNESS_KEY.id,
      madeAtMs: WITNESS_TIME_MS,
      mac,
    });
  });

  const otherId = '0102030405060708090a0b0c' as typeof ID;
  it.each<[string, Uint8Array, Arrival]>([
    ['source', request([asked(100)]), { source: { ...CLIENTS.ipv4, port: 40001 } }],
    ['arrival role', request([asked(100)]), { role: 1 }],
    ['purpose', request([asked(100, 'broker')]), {}],
    ['transaction', request([asked(100)], { id: otherId }), {}],
  ])('is another for another %s', (_, bytes, arrival) => {
    const one = drawn(request([asked(100)]));
    const other = drawn(bytes, arrival);
    expect(one).toMatchObject({ kind: 'given' });
    expect(other).toMatchObject({ kind: 'given' });
    expect(other).not.toEqual(one);
  });

  // The response has 68 bytes and WITNESS 48, over IPv6 116; the request 20, 8 and the nonce's 16.
  it.each([
    ['ipv4', 72, 116],
    ['ipv6', 120, 164],
  ] as const)(
    'is given over %s for as many bytes as the answer has, and not for less',
    (family, filler, bytes) => {
      const source = CLIENTS[family];
      const enough = request([asked(filler)]);
      expect(enough).toHaveLength(bytes);
      const core = witnessingCore(family);
      const [answer] = exchange(core, enough, { source });
      expect(answer!.hex).toHaveLength(2 * bytes);
      expect(witnessIn(answer!.hex)).toMatchObject({ kind: 'given' });
      expect(drawn(request([asked(filler - 4)]), { source }, core)).toBeUndefined();
      expect(countsOf(core.counters.snapshot())).toEqual({ 'witness PP': 1, 'binding PP': 1 });
    },
  );

  it('makes room for SERVICE and FINGERPRINT before it is given', () => {
    const core = createCore('ipv4', { witness: createWitnessMaker(), service: { scheme: 'http', port: 80 } });
    const service = SERVICE.of({ kind: 'asked' });
    const fingerprint = { fingerprint: true };
    // Both are in the request too, so the filler is what it was.
    expect(drawn(request([asked(72), service], fingerprint), {}, core)).toMatchObject({ kind: 'given' });
    expect(drawn(request([asked(68), service], fingerprint), {}, core)).toBeUndefined();
  });

  it('is given over TCP too', () => {
    expect(drawn(request([asked(72)]), { stream: true })).toEqual(drawn(request([asked(72)])));
    expect(drawn(request([asked(68)]), { stream: true })).toBeUndefined();
  });

  it('is not given where the response may go elsewhere', () => {
    for (const moved of [RESPONSE_PORT.of(41000), CHANGE_REQUEST.of({ address: true, port: true })]) {
      const sent = exchange(witnessingCore(), request([moved, asked(200), RECEIPT_REQUEST.of(100)]));
      expect(sent).toHaveLength(2);
      for (const { hex } of sent) expect(witnessIn(hex)).toBeUndefined();
    }
  });

  it('is not given to RFC 3489, for no known purpose, for a nonce cut short, nor without keys', () => {
    expect(drawn(request([asked(200)], { id: CLASSIC_ID }))).toBeUndefined();
    for (const head of [
      [0, 3, 0, 0],
      [0, 0, 0, 0],
      [0, 1, 255, 0],
      [1, 1, 0, 0],
    ]) {
      const value = Uint8Array.from([...head, ...new Uint8Array(120)]);
      expect(drawn(request([rawAttribute(ATTRIBUTE.WITNESS, value)]))).toBeUndefined();
    }
    expect(drawn(request([asked(200)]), {}, createCore())).toBeUndefined();
  });

  it('is made of the server’s endpoint as advertised', () => {
    const [pp, pa, ap, aa] = ENDPOINTS.ipv4;
    const elsewhere = { address: '192.0.2.9', port: 3478 };
    const core = createCore('ipv4', { endpoints: [elsewhere, pa, ap, aa], witness: createWitnessMaker() });
    expect(pp).not.toEqual(elsewhere);
    expect(drawn(request([asked(100)]), {}, core)).not.toEqual(drawn(request([asked(100)])));
  });
});
