/**
 * What the codec costs: time a call, and what it allocates. Run it with
 * `node --expose-gc test/bench/codec.ts`; without the flag the allocation column is left out.
 */
import { parseIpv4Into } from '../../shared/address.ts';
import {
  MAPPED_ADDRESS,
  OTHER_ADDRESS,
  RESPONSE_ORIGIN,
  XOR_MAPPED_ADDRESS,
} from '../../shared/stun/attributes/address.ts';
import { CHANGE_REQUEST } from '../../shared/stun/attributes/behaviour.ts';
import { RECEIPT_REQUEST } from '../../shared/stun/attributes/natprobe.ts';
import { MessageCursor } from '../../shared/stun/cursor.ts';
import { decodeMessage, encodeMessage, readAttribute, transactionIdOf } from '../../shared/stun/message.ts';
import { ATTRIBUTE, BINDING_SUCCESS } from '../../shared/stun/registry.ts';
import { MessageWriter } from '../../shared/stun/writer.ts';
import { readArguments } from '../support/arguments.ts';

readArguments('bench:codec', {});

const CALLS = 1_000_000;
const WARM_UP_CALLS = 200_000;
/** Few enough that no collection comes between the two readings of the heap. */
const COUNTED_CALLS = 1_000;

const transactionId = transactionIdOf(new Uint8Array(12).fill(7));
const client = { address: '203.0.113.7', port: 51000 };
const server = { address: '198.51.100.2', port: 3479 };

const encodeRequest = (): Uint8Array =>
  encodeMessage({
    class: 'request',
    transactionId,
    attributes: [CHANGE_REQUEST.of({ address: true, port: true }), RECEIPT_REQUEST.of(60)],
  });
const encodeResponse = (): Uint8Array =>
  encodeMessage({
    class: 'success',
    transactionId,
    attributes: [
      MAPPED_ADDRESS.of(client),
      XOR_MAPPED_ADDRESS.of(client),
      RESPONSE_ORIGIN.of(server),
      OTHER_ADDRESS.of(server),
    ],
  });

const request = Buffer.from(encodeRequest());
const response = Buffer.from(encodeResponse());
const cursor = new MessageCursor();
const writer = new MessageWriter(new Uint8Array(500));
const source = new Uint8Array(16);

const cases: Record<string, () => unknown> = {
  'cursor: walk a request': () => {
    cursor.reset(request, 0, request.length);
    while (cursor.next());
  },
  'writer: a response of four addresses': () => {
    parseIpv4Into(client.address, source, 0);
    writer.begin(BINDING_SUCCESS, request, 0);
    writer.address(ATTRIBUTE.MAPPED_ADDRESS, 4, source, 0, client.port);
    writer.xorAddress(ATTRIBUTE.XOR_MAPPED_ADDRESS, 4, source, 0, client.port);
    writer.address(ATTRIBUTE.RESPONSE_ORIGIN, 4, source, 0, server.port);
    writer.address(ATTRIBUTE.OTHER_ADDRESS, 4, source, 0, server.port);
    writer.end();
  },
  'writer: a 420 with UNKNOWN-ATTRIBUTES': () => {
    writer.begin(BINDING_SUCCESS, request, 0);
    writer.errorCode(420);
    writer.unknownAttributes(source, 3, false);
    writer.end();
  },
  'encodeMessage: a request': encodeRequest,
  'encodeMessage: a response': encodeResponse,
  'decodeMessage: a request': () => decodeMessage(request),
  'decodeMessage: a response': () => decodeMessage(response),
  'decodeMessage and four readAttribute': () => {
    const decoded = decodeMessage(response);
    if (decoded.kind !== 'message') throw new Error(decoded.reason);
    for (const attribute of [MAPPED_ADDRESS, XOR_MAPPED_ADDRESS, RESPONSE_ORIGIN, OTHER_ADDRESS]) {
      readAttribute(decoded.message, attribute);
    }
  },
};

console.log(`${'call'.padEnd(40)}${'µs'.padStart(8)}${'bytes allocated'.padStart(18)}`);
for (const [name, call] of Object.entries(cases)) {
  for (let i = 0; i < WARM_UP_CALLS; i += 1) call();
  const startedAt = performance.now();
  for (let i = 0; i < CALLS; i += 1) call();
  const microseconds = ((performance.now() - startedAt) * 1000) / CALLS;
  console.log(`${name.padEnd(40)}${microseconds.toFixed(3).padStart(8)}${allocatedBytes(call).padStart(18)}`);
}

/** Bytes of heap and array buffers that one call leaves behind, before anything is collected. */
function allocatedBytes(call: () => unknown): string {
  if (globalThis.gc === undefined) return '';
  globalThis.gc();
  const before = process.memoryUsage();
  for (let i = 0; i < COUNTED_CALLS; i += 1) call();
  const after = process.memoryUsage();
  const bytes = after.heapUsed - before.heapUsed + (after.arrayBuffers - before.arrayBuffers);
  // Reading the heap costs some itself: a few kilobytes, less than ten bytes a call.
  return `${Math.max(0, Math.round(bytes / COUNTED_CALLS / 10) * 10)}`;
}
