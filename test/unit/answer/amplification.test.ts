/** Receipts and PADDING: what may be longer than the usual answer, paid for by the request. */
import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { MAPPED_ADDRESS, OTHER_ADDRESS, RESPONSE_ORIGIN } from '../../../shared/stun/attributes/address.ts';
import { XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { CHANGE_REQUEST, PADDING, RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import { ERROR_CODE, UNKNOWN_ATTRIBUTES } from '../../../shared/stun/attributes/error.ts';
import { RECEIPT, RECEIPT_REQUEST } from '../../../shared/stun/attributes/natprobe.ts';
import {
  CLASSIC_ID,
  CLIENT,
  CLIENTS,
  ENDPOINTS,
  countsOf,
  createCore,
  createOneAddressCore,
} from './exchange.ts';
import { exchange, indication, refusal, request, success } from './exchange.ts';

const [PP, PA, AP, AA] = ENDPOINTS.ipv4;
const BOTH = CHANGE_REQUEST.of({ address: true, port: true });

function responseFrom(from: Endpoint, other: Endpoint | undefined, client = CLIENT): string {
  return success([
    MAPPED_ADDRESS.of(client),
    XOR_MAPPED_ADDRESS.of(client),
    RESPONSE_ORIGIN.of(from),
    ...(other === undefined ? [] : [OTHER_ADDRESS.of(other)]),
  ]);
}

function receiptOf(sentFrom: Endpoint, client = CLIENT): string {
  return indication([RECEIPT.of({ sentFrom, relayDelayMs: 0 }), XOR_MAPPED_ADDRESS.of(client)]);
}

describe('a receipt', () => {
  it('draws these bytes, written out', () => {
    const [, receipt] = exchange(createCore(), request([BOTH, RECEIPT_REQUEST.of(84)]));
    expect(receipt).toEqual({
      from: 'PP',
      port: 40000,
      hex:
        '0011001c2112a442000102030405060708090a0b' +
        'ed11000c00012c85e112a64000000000' +
        '002000080001bd52e721c045',
    });
  });

  it('comes second, from where the request came in, and names where the response came from', () => {
    const core = createCore();
    const bytes = request([CHANGE_REQUEST.of({ address: true, port: false }), RECEIPT_REQUEST.of(84)]);
    expect(exchange(core, bytes, { role: 3 })).toEqual([
      { from: 'PA', port: 40000, hex: responseFrom(PA, PP) },
      { from: 'AA', port: 40000, hex: receiptOf(PA) },
    ]);
    expect(countsOf(core.counters.snapshot())).toEqual({ 'receipt AA': 1 });
  });

  it('goes to the source while the response goes to RESPONSE-PORT', () => {
    const bytes = request([RESPONSE_PORT.of(41000), RECEIPT_REQUEST.of(84)]);
    expect(exchange(createCore(), bytes)).toEqual([
      { from: 'PP', port: 41000, hex: responseFrom(PP, AA) },
      { from: 'PP', port: 40000, hex: receiptOf(PP) },
    ]);
  });

  // Response 68 and receipt 48 are 116; the request is 20 + 8 + 4 and its filler.
  it('is given for 116 bytes over IPv4, and not for 112', () => {
    expect(request([BOTH, RECEIPT_REQUEST.of(84)])).toHaveLength(116);
    expect(exchange(createCore(), request([BOTH, RECEIPT_REQUEST.of(84)]))).toHaveLength(2);
    expect(exchange(createCore(), request([BOTH, RECEIPT_REQUEST.of(80)]))).toEqual([
      { from: 'AA', port: 40000, hex: responseFrom(AA, AA) },
    ]);
  });

  // 116 and 72.
  it('is given for 188 bytes over IPv6, and not for 184', () => {
    const [, , , other] = ENDPOINTS.ipv6;
    const arrival = { source: CLIENTS.ipv6 };
    expect(exchange(createCore('ipv6'), request([BOTH, RECEIPT_REQUEST.of(156)]), arrival)).toEqual([
      { from: 'AA', port: 40000, hex: responseFrom(other, other, CLIENTS.ipv6) },
      { from: 'PP', port: 40000, hex: receiptOf(other, CLIENTS.ipv6) },
    ]);
    expect(exchange(createCore('ipv6'), request([BOTH, RECEIPT_REQUEST.of(152)]), arrival)).toHaveLength(1);
  });

  // FINGERPRINT adds 8 to the request, and 8 to each of the two that it draws.
  it('is given for 132 bytes with FINGERPRINT, and not for 128', () => {
    const fingerprint = { fingerprint: true };
    expect(request([BOTH, RECEIPT_REQUEST.of(92)], fingerprint)).toHaveLength(132);
    const sent = exchange(createCore(), request([BOTH, RECEIPT_REQUEST.of(92)], fingerprint));
    const receipt = [RECEIPT.of({ sentFrom: AA, relayDelayMs: 0 }), XOR_MAPPED_ADDRESS.of(CLIENT)];
    expect(sent[1]?.hex).toBe(indication(receipt, fingerprint));
    expect(exchange(createCore(), request([BOTH, RECEIPT_REQUEST.of(88)], fingerprint))).toHaveLength(1);
  });

  it('is not given where nothing leaves from or for elsewhere', () => {
    const plain = request([RECEIPT_REQUEST.of(400)]);
    const unchanged = request([CHANGE_REQUEST.of({ address: false, port: false }), RECEIPT_REQUEST.of(400)]);
    expect(exchange(createCore(), plain)).toEqual([{ from: 'PP', port: 40000, hex: responseFrom(PP, AA) }]);
    expect(exchange(createCore(), unchanged)).toEqual([
      { from: 'PP', port: 40000, hex: responseFrom(PP, AA) },
    ]);
  });

  it('is not given to RFC 3489', () => {
    const bytes = request([BOTH, RECEIPT_REQUEST.of(400)], { id: CLASSIC_ID });
    expect(exchange(createCore(), bytes)).toHaveLength(1);
  });

  it('lets a server with one address answer from its other port', () => {
    const change = CHANGE_REQUEST.of({ address: false, port: true });
    // Response 56 and receipt 48.
    expect(exchange(createOneAddressCore(), request([change, RECEIPT_REQUEST.of(72)]))).toEqual([
      { from: 'PA', port: 40000, hex: responseFrom(PA, undefined) },
      { from: 'PP', port: 40000, hex: receiptOf(PA) },
    ]);
    const refused = refusal([ERROR_CODE.of({ code: 420 }), UNKNOWN_ATTRIBUTES.of([3])]);
    expect(exchange(createOneAddressCore(), request([change, RECEIPT_REQUEST.of(68)]))).toEqual([
      { from: 'PP', port: 40000, hex: refused },
    ]);
    expect(exchange(createOneAddressCore(), request([BOTH, RECEIPT_REQUEST.of(400)]))).toEqual([
      { from: 'PP', port: 40000, hex: refused },
    ]);
  });
});

describe('PADDING', () => {
  const plain = [
    MAPPED_ADDRESS.of(CLIENT),
    XOR_MAPPED_ADDRESS.of(CLIENT),
    RESPONSE_ORIGIN.of(PP),
    OTHER_ADDRESS.of(AA),
  ];

  it('makes the answer as long as the request, no longer', () => {
    const bytes = request([PADDING.of(1500)]);
    expect(bytes).toHaveLength(1524);
    const core = createCore();
    // 1524 - 68 - 4
    const answer = success([...plain, PADDING.of(1452)]);
    expect(answer.length / 2).toBe(1524);
    expect(exchange(core, bytes)).toEqual([{ from: 'PP', port: 40000, hex: answer }]);
    expect(countsOf(core.counters.snapshot())).toEqual({ 'padding PP': 1 });
  });

  it('is a multiple of four', () => {
    expect(exchange(createCore(), request([PADDING.of(1498)]))[0]?.hex).toBe(
      success([...plain, PADDING.of(1452)]),
    );
    // 1499 bytes of PADDING in 1500; other attributes would leave room for all of it.
    const bytes = request([PADDING.of(1499), RECEIPT_REQUEST.of(400)]);
    expect(exchange(createCore(), bytes)[0]?.hex).toBe(success([...plain, PADDING.of(1496)]));
  });

  it('is left out where it doesn’t fit, and the answer is the usual one', () => {
    const core = createCore();
    expect(exchange(core, request([PADDING.of(44)]))[0]?.hex).toBe(success(plain));
    expect(exchange(core, request([PADDING.of(48)]))[0]?.hex).toBe(success([...plain, PADDING.of(0)]));
    expect(countsOf(core.counters.snapshot())).toEqual({ 'binding PP': 1, 'padding PP': 1 });
  });

  it('fits into a UDP datagram, whatever is asked for', () => {
    const sent = exchange(createCore(), request([PADDING.of(65_500)]));
    expect(sent[0]!.hex.length / 2).toBe(65_504);
  });

  it('leaves room for FINGERPRINT', () => {
    const bytes = request([PADDING.of(200)], { fingerprint: true });
    // 232 - 76 - 4
    expect(exchange(createCore(), bytes)[0]?.hex).toBe(
      success([...plain, PADDING.of(152)], { fingerprint: true }),
    );
  });

  it('leaves room for the receipt', () => {
    const bytes = request([
      CHANGE_REQUEST.of({ address: true, port: false }),
      RECEIPT_REQUEST.of(0),
      PADDING.of(200),
    ]);
    // 236 - 48 - 68 - 4
    const padded = [plain[0]!, plain[1]!, RESPONSE_ORIGIN.of(AP), plain[3]!, PADDING.of(116)];
    expect(exchange(createCore(), bytes)).toEqual([
      { from: 'AP', port: 40000, hex: success(padded) },
      { from: 'PP', port: 40000, hex: receiptOf(AP) },
    ]);
  });
});
