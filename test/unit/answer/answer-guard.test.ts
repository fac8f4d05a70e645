/** What the answer core leaves unsaid though it was asked. */
import { describe, expect, it } from 'vitest';
import { AnswerGuard, type AnswerLimits, shareLimits } from '../../../server/answer/answer-guard.ts';
import { CHANGE_REQUEST } from '../../../shared/stun/attributes/behaviour.ts';
import { RECEIPT_REQUEST } from '../../../shared/stun/attributes/natprobe.ts';
import { CLIENTS, countsOf, createCore, exchange, request } from './exchange.ts';

const OF_TWO = { perSecond: 1, burst: 2.5 };
const RATES = { ipv4Address: OF_TWO, ipv4Network: { perSecond: 1, burst: 100 }, ipv6Customer: OF_TWO };
const BOTH = CHANGE_REQUEST.of({ address: true, port: true });

function guarded(limits: AnswerLimits, family: 'ipv4' | 'ipv6' = 'ipv4'): ReturnType<typeof createCore> {
  return createCore(family, { guard: new AnswerGuard(shareLimits(limits, 0x1234abcd)) });
}

describe('a rate', () => {
  for (const family of ['ipv4', 'ipv6'] as const)
    it(`holds for answers and refusals together, over ${family}`, () => {
      const core = guarded({ rates: RATES }, family);
      const source = CLIENTS[family];
      const unknown = Buffer.from('000100042112a442000102030405060708090a0b7ffe0000', 'hex');
      const sent = [request(), unknown, request(), unknown].map((bytes) => exchange(core, bytes, { source }));
      expect(sent.map(({ length }) => length)).toEqual([1, 1, 0, 0]);
      expect(countsOf(core.counters.snapshot())).toEqual({
        'binding PP': 1,
        'unknown-attribute PP': 1,
        'drop rate-limit': 2,
      });
    });

  it('lets a response and its receipt through together, or neither', () => {
    const core = guarded({ rates: RATES });
    const ask = request([BOTH, RECEIPT_REQUEST.of(84)]);
    expect(exchange(core, request())).toHaveLength(1);
    expect(exchange(core, ask)).toHaveLength(0);
    expect(exchange(core, request())).toHaveLength(1);
    expect(exchange(guarded({ rates: RATES }), ask)).toHaveLength(2);
  });

  it('is not spent on what draws nothing', () => {
    const core = guarded({ rates: RATES });
    for (let turn = 0; turn < 100; turn++) exchange(core, Buffer.from('nothing of STUN', 'latin1'));
    expect(exchange(core, request())).toHaveLength(1);
  });
});

describe('a limit of amplification', () => {
  it('of 1 leaves 20 bytes without an answer, and answers who pays for it', () => {
    const core = guarded({ amplification: 1 });
    expect(exchange(core, request())).toHaveLength(0);
    expect(exchange(core, request([BOTH]))).toHaveLength(0);
    const paid = request([BOTH, RECEIPT_REQUEST.of(84)]);
    const sent = exchange(core, paid);
    expect(sent).toHaveLength(2);
    expect(sent.reduce((bytes, { hex }) => bytes + hex.length / 2, 0)).toBeLessThanOrEqual(paid.length);
    expect(countsOf(core.counters.snapshot())).toEqual({ 'receipt PP': 1, 'drop amplification': 2 });
  });

  it('is a factor of the request', () => {
    const bytes = request();
    expect(exchange(guarded({ amplification: 3.39 }), bytes)).toHaveLength(0);
    expect(exchange(guarded({ amplification: 3.4 }), bytes)).toHaveLength(1);
    expect(exchange(guarded({ amplification: 5.79 }, 'ipv6'), bytes, { source: CLIENTS.ipv6 })).toHaveLength(
      0,
    );
    expect(exchange(guarded({ amplification: 5.8 }, 'ipv6'), bytes, { source: CLIENTS.ipv6 })).toHaveLength(
      1,
    );
  });
});
