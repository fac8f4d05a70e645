/**
 * `--exec CMD`: hands the hole over to another program, which binds its local port anew. The socket is
 * closed just before: the NAT's mapping outlives it for half a minute at least, and any program that lets
 * one choose its port can take over, where few would take an open socket. A TCP connection can't be made
 * anew like that: it is the program's standard input and output.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { Socket as TcpSocket } from 'node:net';
import { constants } from 'node:os';
import { NatprobeError } from '../../shared/errors.ts';
import { parseEndpoint } from '../../shared/endpoint.ts';
import type { Hole } from '../hole.ts';
import { systemErrorCode } from '../drive/udp.ts';
import { linger } from '../linger.ts';

export type HandedHole = Pick<Hole<unknown>, 'report' | 'peer' | 'role' | 'key' | 'socket' | 'close'>;

/** Hands the hole over to the command, run in a shell, and returns its exit code. Throws ERR_EXEC. */
export async function execThrough(hole: HandedHole, command: string, signal?: AbortSignal): Promise<number> {
  if (hole.report.path === 'relay')
    throw new NatprobeError('ERR_EXEC', '--exec', 'a relay carries the hole, and ends with its socket');
  const environment = holeEnvironment(hole);
  const { socket } = hole;
  const connection = socket instanceof TcpSocket ? socket : undefined;
  if (connection === undefined) {
    await linger(hole, signal);
    await hole.close();
  }
  return new Promise((resolve, reject) => {
    const child = spawn(command, {
      shell: true,
      stdio: connection === undefined ? 'inherit' : ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    });
    if (connection !== undefined) connectTo(connection, child);
    const stop = (): void => void child.kill();
    signal?.addEventListener('abort', stop, { once: true });
    child.once('error', (error) =>
      reject(new NatprobeError('ERR_EXEC', '--exec', systemErrorCode(error), { cause: error })),
    );
    child.once('close', (code, killedBy) => {
      signal?.removeEventListener('abort', stop);
      // As shells have it.
      resolve(code ?? 128 + constants.signals[killedBy!]);
    });
  });
}

/** To the command's end; what it has written by then goes out, and the connection ends. */
function connectTo(connection: TcpSocket, { stdin, stdout }: ChildProcess): void {
  // The one's end is not the other's: a command may write on when all has come, and end before it has.
  connection.allowHalfOpen = true;
  stdin!.on('error', () => undefined);
  connection.once('close', () => stdout!.destroy());
  connection.pipe(stdin!);
  stdout!.pipe(connection);
}

/** What the command finds in its environment; README.md lists it. */
export function holeEnvironment({
  report,
  peer,
  role,
  key,
}: Omit<HandedHole, 'socket' | 'close'>): Record<string, string> {
  return {
    ...endpointVariables('LOCAL', report.endpoints.local!),
    ...endpointVariables('REMOTE', report.endpoints.remote!),
    NATPROBE_TRANSPORT: report.transport,
    NATPROBE_PEER: peer.name,
    NATPROBE_ROLE: role,
    // For the program's own encryption; of no use to whoever would read the punch.
    NATPROBE_KEY: createHmac('sha256', key).update('natprobe exec').digest('hex'),
  };
}

function endpointVariables(which: 'LOCAL' | 'REMOTE', endpoint: string): Record<string, string> {
  const { address, port } = parseEndpoint(endpoint, which);
  return {
    [`NATPROBE_${which}`]: endpoint,
    [`NATPROBE_${which}_ADDRESS`]: address,
    [`NATPROBE_${which}_PORT`]: String(port),
  };
}
