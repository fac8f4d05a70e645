import { describe, expect, it } from 'vitest';
import {
  type Check,
  decodeCheck,
  decodeCheckAnswer,
  encodeCheck,
  encodeCheckResponse,
  isAuthentic,
} from '../../../shared/ice/check.ts';
import { ERROR_CODE } from '../../../shared/stun/attributes/error.ts';
import { PRIORITY } from '../../../shared/stun/attributes/ice.ts';
import { USERNAME } from '../../../shared/stun/attributes/text.ts';
import { encodeMessage, type TransactionId } from '../../../shared/stun/message.ts';
import { decoded } from '../../support/ice.ts';

const ID = '0123456789abcdef01234567' as TransactionId;
const PASSWORD = 'aReceiversPasswordOf24ch';
const CHECK: Check = {
  transactionId: ID,
  receiverUfrag: 'recv',
  senderUfrag: 'send',
  priority: 1845501695,
  role: { kind: 'controlling', tieBreaker: 0xfedcba9876543210n },
  nominates: true,
};
const SOURCE = { address: '198.51.100.7', port: 40_000 };

describe('a check', () => {
  it.each([CHECK, { ...CHECK, nominates: false, role: { kind: 'controlled', tieBreaker: 0n } } as const])(
    'comes out as it went in',
    (check) => {
      const message = decoded(encodeCheck(check, PASSWORD));
      expect(decodeCheck(message)).toEqual(check);
      expect(isAuthentic(message, PASSWORD)).toBe(true);
      expect(isAuthentic(message, `${PASSWORD}x`)).toBe(false);
    },
  );

  it('is not what lacks any of what RFC 8445 §7.1 wants', () => {
    const plain = { class: 'request', transactionId: ID } as const;
    const username = USERNAME.of('recv:send');
    for (const message of [
      { ...plain, attributes: [], fingerprint: true },
      { ...plain, attributes: [username, PRIORITY.of(1)], fingerprint: true },
      { ...plain, attributes: [username] },
    ])
      expect(decodeCheck(decoded(encodeMessage(message)))).toBeUndefined();
    expect(decodeCheck(decoded(encodeCheckResponse(ID, SOURCE, PASSWORD)))).toBeUndefined();
  });
});

describe('an answer to a check', () => {
  it('is a success with the source that was seen', () => {
    const message = decoded(encodeCheckResponse(ID, SOURCE, PASSWORD));
    expect(decodeCheckAnswer(message)).toEqual({ kind: 'success', transactionId: ID, mapped: SOURCE });
    expect(isAuthentic(message, PASSWORD)).toBe(true);
  });

  it('or an error', () => {
    const attributes = [ERROR_CODE.of({ code: 487 })];
    const message = decoded(encodeMessage({ class: 'error', transactionId: ID, attributes }));
    expect(decodeCheckAnswer(message)).toEqual({ kind: 'error', transactionId: ID, code: 487 });
    expect(isAuthentic(message, PASSWORD)).toBe(false);
  });

  it('and nothing else', () => {
    expect(decodeCheckAnswer(decoded(encodeCheck(CHECK, PASSWORD)))).toBeUndefined();
    const bare = encodeMessage({ class: 'success', transactionId: ID, attributes: [] });
    expect(decodeCheckAnswer(decoded(bare))).toBeUndefined();
  });
});
