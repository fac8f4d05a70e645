import { StreamFramer } from '../../../shared/stun/framing.ts';
import { DEFAULT_CONNECTION_LIMITS } from '../../../server/tcp/connection-limits.ts';
import { ensure, type FuzzTarget } from '../target.ts';
import { SAMPLE_MESSAGES } from './codec.ts';

const MOST = DEFAULT_CONNECTION_LIMITS.messageBytes;
const CHUNKS = [1, 7, 64, Infinity];

export const FRAMING: FuzzTarget = {
  name: 'framing',
  invariant:
    'a stream gives the same messages and ends the same however it is cut, holds no more than one message and a chunk, and no message is longer than allowed',
  seeds: () => [...SAMPLE_MESSAGES, Uint8Array.from(Buffer.concat(SAMPLE_MESSAGES))],
  check(input) {
    const results = CHUNKS.map((length) => readInChunks(input, length));
    for (const result of results) ensure(result === results[0], `${result} instead of ${results[0]}`);
  },
};

function readInChunks(stream: Uint8Array, length: number): string {
  const framer = new StreamFramer(MOST);
  const messages: string[] = [];
  for (let start = 0; start < stream.length;) {
    const chunk = stream.subarray(start, start + length);
    start += chunk.length;
    framer.push(chunk);
    for (let message = framer.next(); message !== undefined; message = framer.next()) {
      ensure(message.length <= MOST && message.length % 4 === 0, `a message of ${message.length} bytes`);
      messages.push(Buffer.from(message).toString('hex'));
    }
  }
  const { failed } = framer;
  const rest = framer.takeRest();
  ensure(rest.length < MOST, `${rest.length} bytes are held`);
  ensure(failed === undefined || rest.length === 0, 'bytes are held after a failure');
  return `${messages.join()} ${failed} ${rest.length}`;
}
