/** natprobed itself, with its own limits, among clients that want to wear it down over TCP. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, vi } from 'vitest';
import { DEFAULT_CONNECTION_LIMITS } from '../../../server/tcp/connection-limits.ts';
import { itIf } from '../../support/requirements.ts';
import { request } from '../answer/exchange.ts';
import { findFreePorts, UdpClient } from './loopback.ts';

const MAIN = fileURLToPath(new URL('../../../server/main.ts', import.meta.url));
const notLinux = process.platform === 'linux' ? undefined : 'only Linux has all of 127.0.0.0/8, and /proc';
const tooShortQueue = kernelAllowsBacklog() ? undefined : 'needs net.core.somaxconn of at least 1024';
/** A loaded machine takes long. */
const PATIENCE = { timeout: 30_000, interval: 100 };

interface Natprobed {
  readonly pid: number;
  readonly port: number;
  readonly api: string;
  readonly stderr: () => string;
}

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** With so many file descriptors; by default as many as this process. */
async function start(descriptors?: number): Promise<Natprobed> {
  const [port, alternatePort] = await findFreePorts('127.0.0.1', '127.0.0.2');
  const [httpPort] = await findFreePorts('127.0.0.1');
  const limit = descriptors === undefined ? '' : `ulimit -n ${descriptors}; `;
  const flags = ['--ip', '127.0.0.1', '--alt-ip', '127.0.0.2', '--port', `${port}`, '--alt-port'];
  const command = [process.execPath, MAIN, ...flags, `${alternatePort}`, '--http', `127.0.0.1:${httpPort}`];
  const child = spawn('sh', ['-c', `${limit}exec "$@"`, 'sh', ...command, '--lanes', '1'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  stops.push(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(stderr)));
  ended.catch(() => undefined);
  await Promise.race([once(child.stdout, 'data'), ended]);
  return { pid: child.pid!, port, api: `http://127.0.0.1:${httpPort}`, stderr: () => stderr };
}

/** Connections from many addresses of loopback, which say nothing. */
function openIdle(port: number, count: number): Socket[] {
  return Array.from({ length: count }, (_, i) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      localAddress: `127.0.${1 + (i >> 7)}.${1 + (i & 127)}`,
    });
    socket.on('error', () => undefined);
    socket.resume();
    stops.push(() => socket.destroy());
    return socket;
  });
}

function standing(sockets: readonly Socket[]): number {
  return sockets.filter((socket) => !socket.connecting && !socket.destroyed && !socket.readableEnded).length;
}

async function answersUdp(port: number): Promise<void> {
  const client = await UdpClient.open();
  client.send(request(), { address: '127.0.0.1', port });
  await client.hear(1).finally(() => client.close());
}

async function answersTcp(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.write(request());
  const heard = await Promise.race([
    once(socket, 'data').then(() => true),
    once(socket, 'close').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return heard;
}

/** Of all its threads since it began, in milliseconds: fields 14 and 15, in hundredths of a second. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

itIf(notLinux)(
  'without file descriptors it answers over UDP, says so once, does not spin, and recovers',
  async () => {
    const { pid, port, api, stderr } = await start(64);
    const idle = openIdle(port, 64);
    await vi.waitFor(() => expect(stderr()).toContain('no file descriptor is left'), PATIENCE);
    const before = cpuMsOf(pid);
    const begun = performance.now();
    for (let i = 0; i < 10; i++) {
      // More come all the time, and are closed.
      openIdle(port, 2);
      await answersUdp(port);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect((cpuMsOf(pid) - before) / (performance.now() - begun)).toBeLessThan(0.5);
    expect(standing(idle)).toBeGreaterThan(0);
    for (const stop of stops.splice(1)) stop();
    await vi.waitFor(async () => expect(await answersTcp(port)).toBe(true), PATIENCE);
    await vi.waitFor(() => expect(stderr()).toContain('there are free file descriptors again'), PATIENCE);
    expect((await fetch(`${api}/readyz`)).status).toBe(200);
    expect(stderr().match(/no file descriptor is left/g)).toHaveLength(1);
  },
);

itIf(notLinux)('idle connections beyond the limit are refused, and end in time', async () => {
  const { port, api } = await start();
  const { total } = DEFAULT_CONNECTION_LIMITS;
  const idle = openIdle(port, total + 500);
  await vi.waitFor(async () => expect(await countTcp(api, 'refused')).toBeGreaterThan(0), PATIENCE);
  await answersUdp(port);
  // None of them says anything: the server ends them all, and others are let in.
  await vi.waitFor(() => expect(standing(idle)).toBe(0), PATIENCE);
  expect(await answersTcp(port)).toBe(true);
  expect(await countTcp(api, 'accepted')).toBeGreaterThanOrEqual(total);
});

itIf(notLinux, tooShortQueue)('connections that come while it stands still are all let in', async () => {
  const { pid, port, api } = await start();
  const { total } = DEFAULT_CONNECTION_LIMITS;
  // Its own, with which it tries its endpoints.
  const before = await countTcp(api, 'accepted');
  process.kill(pid, 'SIGSTOP');
  const waiting = openIdle(port, total);
  await Promise.all(waiting.map((socket) => once(socket, 'connect')));
  process.kill(pid, 'SIGCONT');
  await vi.waitFor(async () => expect(await countTcp(api, 'accepted')).toBe(before + total), PATIENCE);
});

itIf(notLinux)('a storm of resets leaves nothing behind', async () => {
  const { port, api } = await start();
  await answersTcp(port);
  for (let wave = 0; wave < 8; wave++) {
    const sockets = openIdle(port, 250);
    for (const [i, socket] of sockets.entries()) {
      // In the handshake's wake, within a message, or with an answer under way.
      if (i % 3 > 0) socket.write(i % 3 === 1 ? request().subarray(0, 7) : request());
      socket.once('connect', () => socket.resetAndDestroy());
    }
    await vi.waitFor(() => expect(sockets.every(({ destroyed }) => destroyed)).toBe(true), PATIENCE);
  }
  await answersUdp(port);
  // Their places are free again.
  await vi.waitFor(async () => {
    const mine = openIdle(port, 200);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const left = standing(mine);
    for (const socket of mine) socket.destroy();
    expect(left).toBe(mine.length);
  }, PATIENCE);
  expect((await fetch(`${api}/healthz`)).status).toBe(200);
});

function kernelAllowsBacklog(): boolean {
  if (process.platform !== 'linux') return false;
  return Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8')) >= DEFAULT_CONNECTION_LIMITS.total;
}

/** Connections by what became of them. */
async function countTcp(api: string, event: string): Promise<number> {
  const metrics = await (await fetch(`${api}/metrics`)).text();
  const line = new RegExp(`^natprobed_tcp_events_total\\{.*transport="tcp",event="${event}"\\} (\\d+)$`, 'm');
  return Number(line.exec(metrics)![1]);
}
