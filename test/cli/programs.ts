/** natprobe and natprobed as processes on loopback. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { collectOutput, endOf, type Finished } from '../lab/namespaces.ts';
import { NATPROBE_ENVIRONMENT, serverOf } from '../lab/natprobe.ts';
import { findFreePorts } from '../unit/server/loopback.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const NATPROBE = `${ROOT}probe/cli/main.ts`;
export const NATPROBED = `${ROOT}server/main.ts`;

export const PRIMARY = '127.0.0.1';
export const ALTERNATE = '127.0.0.2';

/** Longer than any of these runs takes on a loaded machine. */
const TIMEOUT_MS = 30_000;

/** A developer's terminal, configuration and servers must not matter. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  ...NATPROBE_ENVIRONMENT,
  PATH: process.env['PATH'] ?? '',
  HOME: '/nonexistent',
  TERM: 'xterm',
};

export function startProgram(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdin: 'ignore' | 'pipe' = 'ignore',
): ChildProcess {
  return spawn(process.execPath, [script, ...args], {
    cwd: ROOT,
    env: { ...ENVIRONMENT, ...env },
    stdio: [stdin, 'pipe', 'pipe'],
  });
}

/** Runs a program to its end, whatever its exit code. */
export async function finish(child: ChildProcess): Promise<Finished> {
  const startedAt = performance.now();
  const output = collectOutput(child);
  const code = await endOf(child, TIMEOUT_MS);
  return { ...output, code, wallMs: performance.now() - startedAt };
}

export function natprobe(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  return finish(startProgram(NATPROBE, args, env));
}

export interface LocalServer {
  /** `127.0.0.1:PORT`. */
  readonly name: string;
  readonly port: number;
  readonly alternatePort: number;
  stop(): Promise<void>;
}

/** natprobed on free ports of two loopback addresses, or of one; `more` are further options. HTTP is off without --http. */
export async function startNatprobed(
  addresses: readonly string[] = [PRIMARY, ALTERNATE],
  more: readonly string[] = [],
): Promise<LocalServer> {
  const [port, alternatePort] = await findFreePorts(...addresses);
  const [primary = PRIMARY, alternate] = addresses;
  const child = startProgram(NATPROBED, [
    ...['--ip', primary, '--port', String(port), '--alt-port', String(alternatePort)],
    ...(more.includes('--http') ? [] : ['--no-http']),
    ...(alternate === undefined ? [] : ['--alt-ip', alternate]),
    ...more,
  ]);
  const running = await serverOf(child, 'natprobed', (log) => log.includes('natprobed ready'));
  return { name: `${primary}:${port}`, port, alternatePort, stop: () => running.stop() };
}

export interface DeafServer extends LocalServer {
  /** Resolves when the next client connects over TCP. */
  nextConnection(): Promise<void>;
}

/** A server that UDP doesn't get through to: datagrams vanish in it, TCP is accepted. */
export async function startDeafServer(): Promise<DeafServer> {
  const [port, alternatePort] = await findFreePorts(PRIMARY);
  const udp = createSocket('udp4');
  udp.bind(port, PRIMARY);
  const accepted = new Set<Socket>();
  const tcp = createServer((socket) => {
    accepted.add(socket);
    socket.on('error', () => undefined);
  }).listen(port, PRIMARY);
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')]);
  return {
    name: `${PRIMARY}:${port}`,
    port,
    alternatePort,
    async nextConnection() {
      await once(tcp, 'connection');
    },
    async stop() {
      udp.close();
      for (const socket of accepted) socket.destroy();
      tcp.close();
      await once(tcp, 'close');
    },
  };
}
