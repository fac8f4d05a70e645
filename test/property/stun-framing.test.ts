import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StreamFramer } from '../../shared/stun/framing.ts';
import { encodeMessage } from '../../shared/stun/message.ts';
import { checkProperty, SEED } from './property.ts';
import { anyMessage } from './stun-arbitraries.ts';

console.log(`seed ${SEED}`);

const MAX_MESSAGE_BYTES = 65_555;

describe('stream framing', () => {
  it('yields the same messages however the stream is cut into chunks', () => {
    checkProperty(
      fc.property(
        fc.array(anyMessage, { maxLength: 6 }),
        fc.array(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 900 })), {
          maxLength: 60,
        }),
        fc.boolean(),
        (cases, chunkLengths, drainEachTime) => {
          const messages = cases.map(({ toEncode }) => encodeMessage(toEncode));
          const framer = new StreamFramer(MAX_MESSAGE_BYTES);
          const received: Uint8Array[] = [];
          for (const chunk of cut(Buffer.concat(messages), chunkLengths)) {
            framer.push(chunk);
            if (drainEachTime) received.push(...drain(framer));
            // What was handed over is the caller's again.
            chunk.fill(0xff);
          }
          received.push(...drain(framer));
          expect(framer.failed).toBeUndefined();
          expect(received).toEqual(messages);
        },
      ),
      2_000,
    );
  });

  it('stops at what is no STUN, after the messages before it, however the stream is cut', () => {
    checkProperty(
      fc.property(
        anyMessage,
        fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 40 }),
        fc.integer({ min: 0x40, max: 0xff }),
        ({ toEncode }, chunkLengths, firstByte) => {
          const message = encodeMessage(toEncode);
          const framer = new StreamFramer(MAX_MESSAGE_BYTES);
          const received: Uint8Array[] = [];
          for (const chunk of cut(
            Buffer.concat([message, Uint8Array.of(firstByte), message]),
            chunkLengths,
          )) {
            framer.push(chunk);
            received.push(...drain(framer));
          }
          expect(received).toEqual([message]);
          expect(framer.failed).toBe('not-stun');
        },
      ),
      2_000,
    );
  });
});

function cut(stream: Uint8Array, chunkLengths: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let start = 0;
  for (const length of [...chunkLengths, stream.length]) {
    chunks.push(Uint8Array.from(stream.subarray(start, start + length)));
    start = Math.min(stream.length, start + length);
  }
  return chunks;
}

function drain(framer: StreamFramer): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let message = framer.next(); message !== undefined; message = framer.next()) messages.push(message);
  return messages;
}
