import { describe, expect, it } from 'vitest';
import { ANSWER_KINDS, ANSWER_RULES, type RequestFacts } from '../../../server/answer/answer-rules.ts';

const PLAIN: RequestFacts = {
  bytes: 20,
  family: 'ipv4',
  modern: true,
  fingerprint: false,
  service: false,
  refusedAttributes: 0,
};

/** The limits of all kinds, in the order of ANSWER_KINDS. */
function limits(change: Partial<RequestFacts>): number[] {
  return ANSWER_RULES.map((rule) => rule.maxBytes({ ...PLAIN, ...change }));
}

describe('the largest answer allowed', () => {
  it('has one rule for each kind', () => {
    expect(ANSWER_RULES.map(({ kind }) => kind)).toEqual(ANSWER_KINDS);
  });

  // binding, change, response-port | padding, receipt, witness | bad-request, malformed | unknown, unsupported
  it.each([
    ['IPv4', {}, [68, 68, 68, 20, 20, 20, 40, 0, 52, 52]],
    ['IPv6', { family: 'ipv6' }, [116, 116, 116, 20, 20, 20, 40, 0, 52, 52]],
    ['RFC 3489', { modern: false }, [56, 56, 56, 20, 20, 20, 40, 0, 52, 52]],
    ['RFC 3489 over IPv6', { modern: false, family: 'ipv6' }, [92, 92, 92, 20, 20, 20, 40, 0, 52, 52]],
    ['FINGERPRINT', { bytes: 28, fingerprint: true }, [76, 76, 76, 28, 28, 28, 48, 0, 60, 60]],
    [
      'FINGERPRINT, SERVICE',
      { bytes: 36, fingerprint: true, service: true },
      [84, 84, 84, 36, 36, 36, 48, 0, 60, 60],
    ],
    ['1000 bytes', { bytes: 1000 }, [68, 68, 68, 1000, 1000, 1000, 40, 40, 52, 52]],
    ['one unknown', { bytes: 24, refusedAttributes: 1 }, [68, 68, 68, 24, 24, 24, 40, 0, 56, 56]],
    [
      '1000 unknown',
      { bytes: 4020, refusedAttributes: 1000 },
      [68, 68, 68, 4020, 4020, 4020, 40, 40, 116, 116],
    ],
  ] as const)('%s', (_, change, expected) => {
    expect(limits(change)).toEqual(expected);
  });
});
