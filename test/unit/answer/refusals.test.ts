import { describe, expect, it } from 'vitest';
import { RESPONSE_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { rawAttribute } from '../../../shared/stun/attributes/attribute.ts';
import { CHANGE_REQUEST, PADDING, RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import { ERROR_CODE, UNKNOWN_ATTRIBUTES } from '../../../shared/stun/attributes/error.ts';
import { encodeMessage } from '../../../shared/stun/message.ts';
import { ATTRIBUTE, METHOD } from '../../../shared/stun/registry.ts';
import { CLASSIC_ID, CLIENT, ENDPOINTS, ID, countsOf, createCore, createOneAddressCore } from './exchange.ts';
import { exchange, refusal, request } from './exchange.ts';

const BAD_REQUEST = refusal([ERROR_CODE.of({ code: 400 })]);

function unknown(...types: number[]): string {
  return refusal([ERROR_CODE.of({ code: 420 }), UNKNOWN_ATTRIBUTES.of(types)]);
}

describe('420', () => {
  it('draws these bytes, written out', () => {
    const bytes = Buffer.from('000100042112a442000102030405060708090a0b7ffe0000', 'hex');
    expect(exchange(createCore(), bytes)).toEqual([
      {
        from: 'PP',
        port: 40000,
        hex:
          '011100242112a442000102030405060708090a0b' +
          `0009001500000414${Buffer.from('Unknown Attribute').toString('hex')}000000` +
          '000a00027ffe0000',
      },
    ]);
  });

  it('names each unknown comprehension-required attribute once, and none that is optional', () => {
    const types = [0x7ffe, 0x8999, 0x0010, 0x7ffe];
    const bytes = request(types.map((type) => rawAttribute(type, new Uint8Array(2))));
    const core = createCore();
    expect(exchange(core, bytes, { role: 2 })).toEqual([
      { from: 'AP', port: 40000, hex: unknown(0x7ffe, 0x0010) },
    ]);
    expect(countsOf(core.counters.snapshot())).toEqual({ 'unknown-attribute AP': 1 });
  });

  it('names no more than 32', () => {
    const types = Array.from({ length: 40 }, (_, index) => 0x4000 + index);
    const bytes = request(types.map((type) => rawAttribute(type, new Uint8Array(0))));
    expect(exchange(createCore(), bytes)[0]?.hex).toBe(unknown(...types.slice(0, 32)));
  });

  it('refuses RESPONSE-ADDRESS, a reflector', () => {
    const bytes = request([RESPONSE_ADDRESS.of({ address: '203.0.113.1', port: 53 })]);
    expect(exchange(createCore(), bytes)).toEqual([{ from: 'PP', port: 40000, hex: unknown(0x0002) }]);
  });

  it('refuses what belongs to ICE and TURN', () => {
    const bytes = request([
      rawAttribute(ATTRIBUTE.PRIORITY, new Uint8Array(4)),
      rawAttribute(ATTRIBUTE.REQUESTED_TRANSPORT, new Uint8Array(4)),
    ]);
    expect(exchange(createCore(), bytes)[0]?.hex).toBe(unknown(0x0024, 0x0019));
  });

  it('repeats an odd last type for RFC 3489 §11.2.10', () => {
    const bytes = request([rawAttribute(0x7ffe, new Uint8Array(0))], { id: CLASSIC_ID });
    const hex = exchange(createCore(), bytes)[0]!.hex;
    expect(hex.slice(-16)).toBe('000a00047ffe7ffe');
  });

  it('goes back whence it came, in spite of CHANGE-REQUEST and RESPONSE-PORT, with FINGERPRINT if asked so', () => {
    const bytes = request(
      [
        CHANGE_REQUEST.of({ address: true, port: true }),
        RESPONSE_PORT.of(41000),
        rawAttribute(0x7ffe, new Uint8Array(0)),
      ],
      { fingerprint: true },
    );
    const attributes = [ERROR_CODE.of({ code: 420 }), UNKNOWN_ATTRIBUTES.of([0x7ffe])];
    expect(exchange(createCore(), bytes)).toEqual([
      { from: 'PP', port: 40000, hex: refusal(attributes, { fingerprint: true }) },
    ]);
  });

  for (const change of [
    { address: true, port: false },
    { address: false, port: true },
    { address: true, port: true },
  ]) {
    it(`is what a server with one address says to CHANGE-REQUEST ${JSON.stringify(change)}`, () => {
      const core = createOneAddressCore();
      expect(exchange(core, request([CHANGE_REQUEST.of(change)]), { role: 1 })).toEqual([
        { from: 'PA', port: 40000, hex: unknown(0x0003) },
      ]);
      expect(countsOf(core.counters.snapshot())).toEqual({ 'unsupported PA': 1 });
    });
  }
});

describe('400', () => {
  const refused: [string, Uint8Array][] = [
    ['CHANGE-REQUEST of 0 bytes', request([rawAttribute(ATTRIBUTE.CHANGE_REQUEST, new Uint8Array(0))])],
    ['CHANGE-REQUEST of 8 bytes', request([rawAttribute(ATTRIBUTE.CHANGE_REQUEST, new Uint8Array(8))])],
    ['RESPONSE-PORT of 3 bytes', request([rawAttribute(ATTRIBUTE.RESPONSE_PORT, new Uint8Array(3))])],
    ['RESPONSE-PORT 0', request([RESPONSE_PORT.of(0)])],
    ['RESPONSE-PORT with PADDING', request([RESPONSE_PORT.of(41000), PADDING.of(256)])],
  ];
  for (const [name, bytes] of refused) {
    it(`is what ${name} draws`, () => {
      const core = createCore();
      expect(exchange(core, bytes, { role: 3 })).toEqual([{ from: 'AA', port: 40000, hex: BAD_REQUEST }]);
      expect(countsOf(core.counters.snapshot())).toEqual({ 'bad-request AA': 1 });
    });
  }

  it('is what attributes that run past the end draw, if the request is as long as that', () => {
    const core = createCore();
    // An attribute of 17 bytes where 16 are left.
    const long = Buffer.concat([
      Buffer.from('000100142112a442000102030405060708090a0b80220011', 'hex'),
      Buffer.alloc(16),
    ]);
    expect(exchange(core, long)).toEqual([{ from: 'PP', port: 40000, hex: BAD_REQUEST }]);
    const short = Buffer.from('000100042112a442000102030405060708090a0b80220011', 'hex');
    expect(exchange(core, short)).toEqual([]);
    expect(countsOf(core.counters.snapshot())).toEqual({ 'malformed PP': 1, 'drop malformed': 1 });
  });
});

describe('silence', () => {
  const fingerprinted = request([], { fingerprint: true });
  fingerprinted[fingerprinted.length - 1]! ^= 1;
  const silent: [string, string, Uint8Array][] = [
    ['nothing', 'not-stun', new Uint8Array(0)],
    ['19 bytes', 'not-stun', request().subarray(0, 19)],
    ['a DNS query', 'not-stun', Buffer.from('1234010000010000000000000377777703636f6d0000010001', 'hex')],
    [
      'a length field that is too long',
      'not-stun',
      Buffer.from('000100042112a442000102030405060708090a0b', 'hex'),
    ],
    ['a wrong FINGERPRINT', 'not-stun', fingerprinted],
    ['a Binding indication', 'not-request', message('indication')],
    ['a success response', 'not-request', message('success')],
    ['an error response', 'not-request', message('error')],
    ['an Allocate request', 'unknown-method', message('request', METHOD.ALLOCATE)],
    ['a Shared Secret request', 'unknown-method', message('request', METHOD.SHARED_SECRET)],
  ];
  for (const [name, reason, bytes] of silent) {
    it(`is what ${name} draws`, () => {
      const core = createCore();
      expect(exchange(core, bytes)).toEqual([]);
      expect(countsOf(core.counters.snapshot())).toEqual({ [`drop ${reason}`]: 1 });
    });
  }

  it('is what port 0 draws, which nobody can answer', () => {
    const core = createCore();
    expect(exchange(core, request(), { source: { ...CLIENT, port: 0 } })).toEqual([]);
    expect(countsOf(core.counters.snapshot())).toEqual({ 'drop port-zero': 1 });
  });

  it('is what each of its own endpoints draws, advertised or bound', () => {
    const bound = { address: '10.0.0.4', port: 3478 };
    const core = createCore('ipv4', { bound: [bound] });
    for (const source of [...ENDPOINTS.ipv4, bound])
      expect(exchange(core, request(), { source })).toEqual([]);
    expect(countsOf(core.counters.snapshot())).toEqual({ 'drop own-endpoint': 5 });
    expect(exchange(core, request(), { source: { ...bound, port: 3480 } })).toHaveLength(1);
  });

  it('is what RESPONSE-PORT to one of its own endpoints draws', () => {
    const core = createCore();
    const source = { ...ENDPOINTS.ipv4[0], port: 50000 };
    expect(exchange(core, request([RESPONSE_PORT.of(3479)]), { source })).toEqual([]);
    expect(exchange(core, request([RESPONSE_PORT.of(3480)]), { source })).toHaveLength(1);
    expect(countsOf(core.counters.snapshot())).toEqual({ 'drop own-endpoint': 1, 'response-port PP': 1 });
  });
});

function message(messageClass: 'request' | 'indication' | 'success' | 'error', method?: number): Uint8Array {
  return encodeMessage({
    class: messageClass,
    transactionId: ID,
    attributes: [],
    ...(method !== undefined && { method }),
  });
}
