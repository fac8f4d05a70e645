/** What can be run through a hole, and with what on this side. */
import { lookup } from 'node:dns/promises';
import type { Socket as TcpSocket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { UDXSocket } from 'udx-native';
import { canonicalAddress, type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { systemErrorCode } from '../drive/udp.ts';
import type { Hole } from '../hole.ts';
import { bridgeThrough } from './bridge.ts';
import { chatThrough } from './chat.ts';
import { pipeThrough } from './pipe.ts';
import { openSecureStream } from './secure-stream.ts';

/** Those that both sides run, each its end, through a hole over TCP or one that was punched by `openUdxSocket`. */
export type StreamProgram =
  | { readonly kind: 'chat' | 'pipe' }
  /** Where a local program receives; `listenPort`: where it sends to, chosen by the system if not given. */
  | { readonly kind: 'bridge'; readonly host: string; readonly port: number; readonly listenPort?: number };

export interface ProgramIo {
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly output: Writable & { readonly isTTY?: boolean };
  readonly talk: Writable;
}

/**
 * Runs it to its end; the hole stays open. An abort ends chat and bridge, and breaks off a pipe. Rejects
 * with ERR_STREAM_…, ERR_OUTPUT, ERR_BRIDGE, ERR_ABORTED.
 */
export async function runStreamProgram(
  hole: Hole<UDXSocket | TcpSocket>,
  program: StreamProgram,
  { input, output, talk }: ProgramIo,
  signal: AbortSignal,
): Promise<void> {
  const local = program.kind === 'bridge' ? await resolveProgram(program) : undefined;
  const stream = await openSecureStream(hole, { program: program.kind, signal });
  switch (program.kind) {
    case 'chat':
      await chatThrough(stream, hole.peer.name, { input, output, talk }, signal);
      return;
    case 'pipe':
      await pipeThrough(stream, input, output, signal);
      return;
    case 'bridge': {
      const counts = await bridgeThrough(stream, {
        program: local!,
        port: program.listenPort,
        signal,
        onOpen: (at, longest) =>
          talk.write(
            `Bridge: ${formatEndpoint(local!)} <-> ${formatEndpoint(at)}, datagrams of up to ${longest} bytes\n`,
          ),
        onTooLong: (bytes, longest) =>
          talk.write(
            `a datagram of ${bytes} bytes is too long for the hole and dropped, like all of more than ${longest}; set the program's MTU lower\n`,
          ),
      });
      talk.write(
        `Bridge: ${counts.sent} datagrams sent, ${counts.received} received, ${counts.dropped} dropped\n`,
      );
    }
  }
}

async function resolveProgram({ host, port }: { host: string; port: number }): Promise<Endpoint> {
  try {
    const { address } = await lookup(host);
    return { address: canonicalAddress(address)!, port };
  } catch (error) {
    throw new NatprobeError('ERR_BRIDGE', host, systemErrorCode(error), { cause: error });
  }
}
