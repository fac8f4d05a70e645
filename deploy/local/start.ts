/**
 * `npm start`: natprobed on two loopback addresses, this machine classified against it, and the
 * server kept until Ctrl-C. `npm start -- --once` stops after the verdict, with the probe's exit code.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chooseHttpPort, chooseStunPorts } from './free-ports.ts';

const PRIMARY = '127.0.0.1';
const ALTERNATE = '127.0.0.2';
const USAGE = 'usage: npm start [-- --once]\n';
const SERVER = fileURLToPath(new URL('../../server/main.ts', import.meta.url));
const PROBE = fileURLToPath(new URL('../../probe/cli/main.ts', import.meta.url));
const READY = 'natprobed ready';

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  if (args.some((arg) => arg !== '--once')) {
    process.stderr.write(USAGE);
    return 2;
  }
  const { port, alternatePort } = await chooseStunPorts([PRIMARY, ALTERNATE]);
  const httpPort = await chooseHttpPort(PRIMARY);
  const server = startServer(port, alternatePort, httpPort);
  const exited = once(server, 'exit').then(([code]) => (typeof code === 'number' ? code : 1));
  const stopping = new AbortController();
  stopping.signal.addEventListener('abort', () => server.kill('SIGTERM'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopping.abort());

  if (!(await isReady(server))) {
    return endedBy(stopping.signal, await exited, describeFailure());
  }
  const code = await classify(port);
  if (args.includes('--once')) {
    stopping.abort();
    await exited;
    return code;
  }
  if (!stopping.signal.aborted) process.stdout.write(describeServing(port, httpPort));
  return endedBy(stopping.signal, await exited, 'natprobed ended by itself\n');
}

/** The exit code: 0 if the end was wanted, else the server's (at least 1), with `complaint`. */
function endedBy(stopping: AbortSignal, serverCode: number, complaint: string): number {
  if (stopping.aborted) return 0;
  process.stderr.write(complaint);
  return Math.max(1, serverCode);
}

function startServer(port: number, alternatePort: number, httpPort: number): ChildProcess {
  const args = [
    ['--ip', PRIMARY],
    ['--alt-ip', ALTERNATE],
    ['--port', String(port)],
    ['--alt-port', String(alternatePort)],
    ['--http', `${PRIMARY}:${httpPort}`],
  ].flat();
  return spawn(process.execPath, [SERVER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Whether the server comes up; false if it ends before. */
async function isReady(server: ChildProcess): Promise<boolean> {
  if (server.stdout === null) return false;
  for await (const line of createInterface({ input: server.stdout })) {
    if (line.startsWith(READY)) return true;
  }
  return false;
}

/** The probe's exit code. Its output goes where ours does. */
async function classify(port: number): Promise<number> {
  process.stdout.write('\n');
  const probe = spawn(process.execPath, [PROBE, '--server', `${PRIMARY}:${port}`, '-4'], {
    stdio: 'inherit',
  });
  const [code] = (await once(probe, 'exit')) as [number | null];
  return code ?? 1;
}

function describeServing(port: number, httpPort: number): string {
  return `
That was this machine against itself: nothing lies between, so it reads as open.
natprobed stays up until Ctrl-C:
  STUN  ${PRIMARY}:${port}, over UDP and TCP
  Page  http://${PRIMARY}:${httpPort}/
Ask it again from another terminal:
  node_modules/.bin/node probe/cli/main.ts --server ${PRIMARY}:${port} --verbose
`;
}

function describeFailure(): string {
  return process.platform === 'linux'
    ? 'natprobed did not start; what it says above names the cause.\n'
    : `natprobed did not start. It needs ${ALTERNATE}: on macOS, sudo ifconfig lo0 alias ${ALTERNATE}\n`;
}
