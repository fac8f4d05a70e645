import { describe, expect, it } from 'vitest';
import { MAPPED_ADDRESS, OTHER_ADDRESS, RESPONSE_ORIGIN } from '../../../shared/stun/attributes/address.ts';
import { XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { CHANGE_REQUEST, PADDING, RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import { ERROR_CODE, UNKNOWN_ATTRIBUTES } from '../../../shared/stun/attributes/error.ts';
import { RECEIPT_REQUEST } from '../../../shared/stun/attributes/natprobe.ts';
import { CLIENT, ENDPOINTS, countsOf, createCore, exchange, refusal, request, success } from './exchange.ts';

const STREAM = { stream: true, role: 1 } as const;
const [, PA, AP] = ENDPOINTS.ipv4;
const ANSWER = [
  MAPPED_ADDRESS.of(CLIENT),
  XOR_MAPPED_ADDRESS.of(CLIENT),
  RESPONSE_ORIGIN.of(PA),
  OTHER_ADDRESS.of(AP),
];

describe('over a stream', () => {
  it('answers with the same attributes as over UDP', () => {
    expect(exchange(createCore(), request(), STREAM)).toEqual([
      { from: 'PA', port: 40000, hex: success(ANSWER) },
    ]);
  });

  it('ignores RECEIPT-REQUEST, and a CHANGE-REQUEST without flags', () => {
    const bytes = request([CHANGE_REQUEST.of({ address: false, port: false }), RECEIPT_REQUEST.of(400)]);
    expect(exchange(createCore(), bytes, STREAM)).toEqual([
      { from: 'PA', port: 40000, hex: success(ANSWER) },
    ]);
  });

  it('pads as over UDP', () => {
    const hex = success([...ANSWER, PADDING.of(152)]);
    expect(exchange(createCore(), request([PADDING.of(200)]), STREAM)).toEqual([
      { from: 'PA', port: 40000, hex },
    ]);
  });

  const change = CHANGE_REQUEST.of({ address: true, port: true });
  const refused = [
    ['CHANGE-REQUEST', [change, RECEIPT_REQUEST.of(400)], [0x0003]],
    ['RESPONSE-PORT', [RESPONSE_PORT.of(41000)], [0x0027]],
    ['both', [RESPONSE_PORT.of(41000), change], [0x0003, 0x0027]],
  ] as const;
  for (const [name, attributes, types] of refused) {
    it(`refuses ${name} with 420`, () => {
      const core = createCore();
      expect(exchange(core, request(attributes), STREAM)).toEqual([
        {
          from: 'PA',
          port: 40000,
          hex: refusal([ERROR_CODE.of({ code: 420 }), UNKNOWN_ATTRIBUTES.of(types)]),
        },
      ]);
      expect(countsOf(core.counters.snapshot())).toEqual({ 'unsupported PA': 1 });
    });
  }
});
