/** What tests do with streams through holes: read to the end, write all, and see by which code something failed. */
import { type ErrorCode, NatprobeError } from '../../../shared/errors.ts';
import type { SecureStream } from '../../../probe/streams/secure-stream.ts';

export async function readAll(stream: SecureStream): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

export async function writeAll(stream: SecureStream, bytes: Uint8Array): Promise<void> {
  await stream.write(bytes);
  await stream.end();
}

/** Undefined if it succeeded; throws what is no error of natprobe's. */
export async function codeOf(promise: Promise<unknown>): Promise<ErrorCode | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof NatprobeError) return error.code;
    throw error;
  }
}
