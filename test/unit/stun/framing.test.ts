import { describe, expect, it } from 'vitest';
import { PADDING } from '../../../shared/stun/attributes/behaviour.ts';
import { StreamFramer } from '../../../shared/stun/framing.ts';
import { encodeMessage } from '../../../shared/stun/message.ts';
import { fromHex } from '../../vectors/hex.ts';
import { MODERN_ID } from './messages.ts';

/** A request of `length` bytes in all. */
function request(length: number): Uint8Array {
  const attributes = length === 20 ? [] : [PADDING.of(length - 24)];
  return encodeMessage({ class: 'request', transactionId: MODERN_ID, attributes });
}

describe('StreamFramer', () => {
  it('yields a message once its last byte is there', () => {
    const framer = new StreamFramer(1000);
    const message = request(100);
    for (const byte of message.subarray(0, 99)) {
      framer.push(Uint8Array.of(byte));
      expect(framer.next()).toBeUndefined();
    }
    framer.push(message.subarray(99));
    expect(framer.next()).toEqual(message);
    expect(framer.next()).toBeUndefined();
    expect(framer.failed).toBeUndefined();
  });

  it('yields several of one chunk in order, and keeps the beginning of the next', () => {
    const framer = new StreamFramer(1000);
    const [first, second, third] = [request(20), request(600), request(40)];
    framer.push(Buffer.concat([first, second, third.subarray(0, 3)]));
    expect(framer.next()).toEqual(first);
    expect(framer.next()).toEqual(second);
    expect(framer.next()).toBeUndefined();
    framer.push(third.subarray(3));
    expect(framer.next()).toEqual(third);
  });

  it('takes a message of the most bytes allowed, and fails at the header of a longer one', () => {
    const framer = new StreamFramer(100);
    framer.push(request(100));
    expect(framer.next()).toEqual(request(100));
    framer.push(request(104).subarray(0, 4));
    expect(framer.next()).toBeUndefined();
    expect(framer.failed).toBe('too-long');
  });

  it.each([
    ['another protocol’s first byte', '47'],
    ['a length that is no multiple of four', '00010003'],
  ])('fails at %s', (_, hex) => {
    const framer = new StreamFramer(100);
    framer.push(fromHex(hex));
    expect(framer.next()).toBeUndefined();
    expect(framer.failed).toBe('not-stun');
  });

  it('yields the messages before a failure, and after it nothing', () => {
    const framer = new StreamFramer(100);
    framer.push(Buffer.concat([request(20), Buffer.from('GET /')]));
    expect(framer.next()).toEqual(request(20));
    expect(framer.failed).toBeUndefined();
    expect(framer.next()).toBeUndefined();
    expect(framer.failed).toBe('not-stun');
    framer.push(request(20));
    expect(framer.next()).toBeUndefined();
  });

  it('yields messages that keep their bytes while the stream goes on', () => {
    const framer = new StreamFramer(1000);
    framer.push(request(40));
    const first = framer.next();
    for (let i = 0; i < 100; i += 1) {
      framer.push(new Uint8Array(request(60)));
      expect(framer.next()).toEqual(request(60));
    }
    expect(first).toEqual(request(40));
  });
});
