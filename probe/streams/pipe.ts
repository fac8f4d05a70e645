/** `--pipe`: what comes in goes to the peer, what the peer has goes out; byte for byte, both ways. */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { NatprobeError } from '../../shared/errors.ts';
import type { SecureStream } from './secure-stream.ts';

/**
 * Resolves when both inputs have ended and both sides have all of them. Rejects with what broke the
 * stream, with ERR_OUTPUT when nobody takes what comes out, and with ERR_ABORTED.
 */
export async function pipeThrough(
  stream: SecureStream,
  input: Readable,
  output: Writable,
  signal?: AbortSignal,
): Promise<void> {
  const abort = (): void =>
    stream.destroy(new NatprobeError('ERR_ABORTED', 'pipe', undefined, { cause: signal?.reason }));
  const fail = (error: Error): void =>
    stream.destroy(new NatprobeError('ERR_OUTPUT', 'pipe', error.message, { cause: error }));
  output.on('error', fail);
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted === true) abort();
  try {
    // The first of them tells of a break also while the others wait for input.
    await Promise.all([stream.closed(), send(stream, input), receive(stream, output)]);
  } finally {
    output.off('error', fail);
    signal?.removeEventListener('abort', abort);
    // Where the stream broke, nobody reads on, and the process is to end.
    input.destroy();
  }
}

async function send(stream: SecureStream, input: Readable): Promise<void> {
  for await (const chunk of input as AsyncIterable<Uint8Array>) await stream.write(chunk);
  await stream.end();
}

async function receive(stream: SecureStream, output: Writable): Promise<void> {
  for await (const bytes of stream) {
    // An error ends the stream, and with it this loop.
    if (!output.write(bytes)) await once(output, 'drain').catch(() => undefined);
  }
}
