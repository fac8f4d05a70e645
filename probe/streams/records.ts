/** What is said through a stream: records, each one message of the encrypted stream, its kind in the first byte. */
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';

/** The first record of each side: what it runs. */
export type Hello = Static<typeof HELLO>;

export type StreamRecord =
  | ({ kind: 'hello' } & Hello)
  | { kind: 'data'; bytes: Uint8Array }
  /**
   * So many bytes of data, counted from the first, have been taken from the stream by whoever reads it; in
   * answer to `end`, have come.
   */
  | { kind: 'taken'; total: number }
  /** No more data comes. */
  | { kind: 'end' }
  /** One datagram, where the stream itself has to carry it. */
  | { kind: 'datagram'; bytes: Uint8Array };

const KIND_OF_BYTE = ['hello', 'data', 'taken', 'end', 'datagram'] as const;
const HELLO_BYTES = 1024;
const HELLO = Type.Object({
  program: Type.String({ maxLength: 32 }),
});

/** `alloc` gives the bytes to write to: one more than those of the data. */
export function encodeRecord(record: StreamRecord, alloc: (bytes: number) => Buffer): Buffer {
  const body = bodyOf(record);
  const bytes = alloc(1 + body.length);
  bytes[0] = KIND_OF_BYTE.indexOf(record.kind);
  bytes.set(body, 1);
  return bytes;
}

/** Undefined for what no natprobe sends. */
export function decodeRecord(bytes: Buffer): StreamRecord | undefined {
  const kind = KIND_OF_BYTE[bytes[0] ?? -1];
  const body = bytes.subarray(1);
  switch (kind) {
    case 'hello':
      return decodeHello(body);
    case 'data':
    case 'datagram':
      return { kind, bytes: body };
    case 'taken':
      return body.length === 8 ? { kind, total: Number(body.readBigUInt64BE()) } : undefined;
    case 'end':
      return { kind };
    default:
      return undefined;
  }
}

function bodyOf(record: StreamRecord): Uint8Array {
  switch (record.kind) {
    case 'hello':
      return Buffer.from(JSON.stringify({ program: record.program }));
    case 'data':
    case 'datagram':
      return record.bytes;
    case 'taken': {
      const body = Buffer.alloc(8);
      body.writeBigUInt64BE(BigInt(record.total));
      return body;
    }
    case 'end':
      return Buffer.alloc(0);
  }
}

function decodeHello(body: Buffer): StreamRecord | undefined {
  if (body.length > HELLO_BYTES) return undefined;
  let hello: unknown;
  try {
    hello = JSON.parse(body.toString());
  } catch {
    return undefined;
  }
  return Value.Check(HELLO, hello) ? { kind: 'hello', program: hello.program } : undefined;
}
