import { describe, expect, it } from 'vitest';
import { MAPPED_ADDRESS, OTHER_ADDRESS, RESPONSE_ORIGIN } from '../../../shared/stun/attributes/address.ts';
import {
  CHANGED_ADDRESS,
  SOURCE_ADDRESS,
  XOR_MAPPED_ADDRESS,
} from '../../../shared/stun/attributes/address.ts';
import { rawAttribute } from '../../../shared/stun/attributes/attribute.ts';
import { CHANGE_REQUEST, RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import { SERVICE, WITNESS } from '../../../shared/stun/attributes/natprobe.ts';
import { SOFTWARE, USERNAME } from '../../../shared/stun/attributes/text.ts';
import { SERVER_ROLES, SERVER_ROLE_NAMES } from '../../../shared/role.ts';
import { MessageWriter } from '../../../shared/stun/writer.ts';
import { SHORT_DATAGRAM_BYTES } from '../../../server/answer/answer-core.ts';
import { CLASSIC_ID, CLIENT, CLIENTS, ENDPOINTS } from './exchange.ts';
import { countsOf, createCore, createOneAddressCore, exchange, hexOf, request, success } from './exchange.ts';

const [PP, PA, AP, AA] = ENDPOINTS.ipv4;

/** The answer to a request that came to `arrival`, sent from `from`. */
function answerFrom(from: (typeof ENDPOINTS.ipv4)[number], other: (typeof ENDPOINTS.ipv4)[number]): string {
  return success([
    MAPPED_ADDRESS.of(CLIENT),
    XOR_MAPPED_ADDRESS.of(CLIENT),
    RESPONSE_ORIGIN.of(from),
    OTHER_ADDRESS.of(other),
  ]);
}

describe('a plain Binding request', () => {
  it('draws these bytes over IPv4, written out', () => {
    const bytes = Buffer.from('000100002112a442000102030405060708090a0b', 'hex');
    expect(exchange(createCore(), bytes)).toEqual([
      {
        from: 'PP',
        port: 40000,
        hex:
          '010100302112a442000102030405060708090a0b' +
          '0001000800019c40c6336407' +
          '002000080001bd52e721c045' +
          '802b000800010d96c0000201' +
          '802c000800010d97c0000202',
      },
    ]);
  });

  it('draws these bytes over IPv6, written out', () => {
    const bytes = Buffer.from('000100002112a442000102030405060708090a0b', 'hex');
    expect(exchange(createCore('ipv6'), bytes, { source: CLIENTS.ipv6 })).toEqual([
      {
        from: 'PP',
        port: 40000,
        hex:
          '010100602112a442000102030405060708090a0b' +
          '0001001400029c4020010db8000500000000000000000007' +
          '002000140002bd520113a9fa000402030405060708090a0c' +
          '802b001400020d9620010db8000000000000000000000001' +
          '802c001400020d9720010db8000000000000000000000002',
      },
    ]);
  });

  it('is answered by RFC 3489 without a cookie, written out', () => {
    const bytes = Buffer.from('00010000000102030405060708090a0b0c0d0e0f', 'hex');
    expect(exchange(createCore(), bytes)).toEqual([
      {
        from: 'PP',
        port: 40000,
        hex:
          '01010024000102030405060708090a0b0c0d0e0f' +
          '0001000800019c40c6336407' +
          '0004000800010d96c0000201' +
          '0005000800010d97c0000202',
      },
    ]);
  });

  it('gets FINGERPRINT if it had one', () => {
    const [answer] = exchange(createCore(), request([], { fingerprint: true }));
    const attributes = [
      MAPPED_ADDRESS.of(CLIENT),
      XOR_MAPPED_ADDRESS.of(CLIENT),
      RESPONSE_ORIGIN.of(PP),
      OTHER_ADDRESS.of(AA),
    ];
    expect(answer?.hex).toBe(success(attributes, { fingerprint: true }));
  });

  it('may carry what says nothing to a Binding server', () => {
    const passedOver = [
      SOFTWARE.of('client'),
      USERNAME.of('someone'),
      WITNESS.of({ kind: 'asked', purpose: 'report', nonce: new Uint8Array(8), fillerLength: 64 }),
      rawAttribute(0xfffe, new Uint8Array(5)),
    ];
    expect(exchange(createCore(), request(passedOver))).toEqual([
      { from: 'PP', port: 40000, hex: answerFrom(PP, AA) },
    ]);
  });

  it('tells the origin and the other address as advertised', () => {
    const core = createCore('ipv4', { bound: [{ address: '10.0.0.4', port: 3478 }] });
    expect(exchange(core, request())[0]?.hex).toBe(answerFrom(PP, AA));
  });
});

describe('CHANGE-REQUEST', () => {
  // RFC 5780 §6.1, table 1, for each arrival: the origin flips by the flags, OTHER-ADDRESS never does.
  const table = [
    [PP, [PP, PA, AP, AA], AA],
    [PA, [PA, PP, AA, AP], AP],
    [AP, [AP, AA, PP, PA], PA],
    [AA, [AA, AP, PA, PP], PP],
  ] as const;
  for (const arrival of SERVER_ROLES) {
    for (const flags of SERVER_ROLES) {
      const change = { address: (flags & 2) !== 0, port: (flags & 1) !== 0 };
      it(`to ${SERVER_ROLE_NAMES[arrival]} with ${JSON.stringify(change)}`, () => {
        const [, origins, other] = table[arrival];
        const from = SERVER_ROLE_NAMES[ENDPOINTS.ipv4.indexOf(origins[flags])]!;
        const core = createCore();
        expect(exchange(core, request([CHANGE_REQUEST.of(change)]), { role: arrival })).toEqual([
          { from, port: 40000, hex: answerFrom(origins[flags], other) },
        ]);
        const kind = flags === 0 ? 'binding' : 'change';
        expect(countsOf(core.counters.snapshot())).toEqual({ [`${kind} ${SERVER_ROLE_NAMES[arrival]}`]: 1 });
      });
    }
  }

  it('holds for RFC 3489 too', () => {
    const bytes = request([CHANGE_REQUEST.of({ address: true, port: true })], { id: CLASSIC_ID });
    const attributes = [MAPPED_ADDRESS.of(CLIENT), SOURCE_ADDRESS.of(AA), CHANGED_ADDRESS.of(AA)];
    expect(exchange(createCore(), bytes)).toEqual([
      { from: 'AA', port: 40000, hex: success(attributes, { id: CLASSIC_ID }) },
    ]);
  });

  it('counts the first of several', () => {
    const both = [
      CHANGE_REQUEST.of({ address: false, port: true }),
      CHANGE_REQUEST.of({ address: true, port: false }),
    ];
    expect(exchange(createCore(), request(both))[0]?.from).toBe('PA');
  });
});

describe('one address', () => {
  it('gives no OTHER-ADDRESS', () => {
    expect(exchange(createOneAddressCore(), request(), { role: 1 })).toEqual([
      {
        from: 'PA',
        port: 40000,
        hex: success([MAPPED_ADDRESS.of(CLIENT), XOR_MAPPED_ADDRESS.of(CLIENT), RESPONSE_ORIGIN.of(PA)]),
      },
    ]);
  });

  it('gives no CHANGED-ADDRESS', () => {
    expect(exchange(createOneAddressCore(), request([], { id: CLASSIC_ID }))).toEqual([
      {
        from: 'PP',
        port: 40000,
        hex: success([MAPPED_ADDRESS.of(CLIENT), SOURCE_ADDRESS.of(PP)], { id: CLASSIC_ID }),
      },
    ]);
  });

  it('answers a CHANGE-REQUEST without flags, which the vovida client always sends', () => {
    const bytes = request([CHANGE_REQUEST.of({ address: false, port: false })], { id: CLASSIC_ID });
    expect(exchange(createOneAddressCore(), bytes)).toHaveLength(1);
  });
});

describe('RESPONSE-PORT', () => {
  it('is where the answer goes', () => {
    const core = createCore();
    expect(exchange(core, request([RESPONSE_PORT.of(41000)]))).toEqual([
      { from: 'PP', port: 41000, hex: answerFrom(PP, AA) },
    ]);
    expect(countsOf(core.counters.snapshot())).toEqual({ 'response-port PP': 1 });
  });

  it('is read without its padding in the length', () => {
    const bytes = request([rawAttribute(0x0027, Uint8Array.of(0xa0, 0x28))]);
    expect(exchange(createCore(), bytes)[0]?.port).toBe(0xa028);
  });

  it('goes together with CHANGE-REQUEST', () => {
    const bytes = request([RESPONSE_PORT.of(41000), CHANGE_REQUEST.of({ address: true, port: false })]);
    expect(exchange(createCore(), bytes)).toEqual([{ from: 'AP', port: 41000, hex: answerFrom(AP, AA) }]);
  });
});

describe('SERVICE', () => {
  const core = createCore('ipv4', { service: { scheme: 'https', port: 443 } });
  const plain = [
    MAPPED_ADDRESS.of(CLIENT),
    XOR_MAPPED_ADDRESS.of(CLIENT),
    RESPONSE_ORIGIN.of(PP),
    OTHER_ADDRESS.of(AA),
  ];

  it('is told when asked for', () => {
    expect(exchange(core, request([SERVICE.of({ kind: 'asked' })]))[0]?.hex).toBe(
      success([...plain, SERVICE.of({ kind: 'given', scheme: 'https', port: 443 })]),
    );
  });

  it('is not told unasked, or for less filler than it takes', () => {
    expect(exchange(core, request())[0]?.hex).toBe(success(plain));
    expect(exchange(core, request([rawAttribute(0xed13, new Uint8Array(3))]))[0]?.hex).toBe(success(plain));
  });

  it('is not told where there is none', () => {
    expect(exchange(createCore(), request([SERVICE.of({ kind: 'asked' })]))[0]?.hex).toBe(success(plain));
  });
});

describe('the core', () => {
  it('wants endpoints of its family, and both alternates or none', () => {
    expect(() => createCore('ipv6', { endpoints: ENDPOINTS.ipv4 })).toThrow(
      '192.0.2.1:3478 is no ipv6 endpoint',
    );
    expect(() => createCore('ipv4', { endpoints: [PP, PA, AP, undefined] })).toThrow('AP and AA go together');
  });

  it('goes on in another buffer, and leaves the one before alone', () => {
    const core = createCore();
    exchange(core, request());
    const sending = core.outgoing[0].buffer;
    const before = hexOf(sending.subarray(0, 68));
    core.respondInto(new MessageWriter(new Uint8Array(SHORT_DATAGRAM_BYTES)));
    exchange(core, request([], { id: CLASSIC_ID }));
    expect(hexOf(sending.subarray(0, 68))).toBe(before);
    expect(core.outgoing[0].buffer).not.toBe(sending);
  });
});
