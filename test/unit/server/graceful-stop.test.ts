/** SIGTERM in the midst of requests loses none: each is answered and kept, or was never taken. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { SILENT_LOG } from '../../../server/log.ts';
import { openReports } from '../../../server/reports/open.ts';
import { readReportSettings } from '../../../server/reports/settings.ts';
import { findFreePorts } from './loopback.ts';

const MAIN = fileURLToPath(new URL('../../../server/main.ts', import.meta.url));
const BODY = readFileSync(new URL('../../vectors/reports/symmetric.json', import.meta.url));
const REQUESTS = 200;

const children: ChildProcess[] = [];
const directories: string[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

interface Started {
  readonly child: ChildProcess;
  readonly port: number;
  readonly directory: string;
  readonly exit: Promise<number | null>;
}

async function start(): Promise<Started> {
  const [port, alternatePort] = await findFreePorts('127.0.0.1');
  const [httpPort] = await findFreePorts('127.0.0.1');
  const directory = mkdtempSync(join(tmpdir(), 'natprobed-stop-'));
  directories.push(directory);
  const flags = [
    ...['--ip', '127.0.0.1', '--port', `${port}`, '--alt-port', `${alternatePort}`],
    ...['--http', `127.0.0.1:${httpPort}`, '--data', directory, '--log-level', 'warning'],
  ];
  const child = spawn(process.execPath, [MAIN, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  await once(child.stdout, 'data');
  return { child, port: httpPort, directory, exit };
}

/** What became of a POST: kept under an id, refused by a whole answer, never answered, or cut off in the middle. */
type Outcome =
  | { readonly kind: 'kept'; readonly id: string }
  | { readonly kind: 'refused'; readonly status: number; readonly connection: string | undefined }
  | { readonly kind: 'untaken' }
  | { readonly kind: 'cut' };

function post(port: number, agent: Agent): Promise<Outcome> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', 'content-length': BODY.length };
    const options = { host: '127.0.0.1', port, path: '/classify', method: 'POST', headers, agent };
    const posted = request(options, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('error', () => resolve({ kind: 'cut' }));
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response;
        if (!response.complete) resolve({ kind: 'cut' });
        else if (status === 201) resolve({ kind: 'kept', id: (JSON.parse(text) as { id: string }).id });
        else resolve({ kind: 'refused', status, connection: headers.connection });
      });
    });
    posted.on('error', () => resolve({ kind: 'untaken' }));
    posted.end(BODY);
  });
}

async function keptIds(directory: string): Promise<Set<string>> {
  const opened = await openReports(readReportSettings({ data: directory }), SILENT_LOG);
  const ids = new Set<string>();
  for await (const { id } of opened.store.export({})) ids.add(id);
  await opened.close();
  return ids;
}

describe('SIGTERM', () => {
  it('amid 200 parallel POSTs: each is kept and answered 201, or refused whole, or never taken', async () => {
    const { child, port, directory, exit } = await start();
    const agent = new Agent({ keepAlive: true, maxSockets: REQUESTS });
    let done = 0;
    const outcomes = await Promise.all(
      Array.from({ length: REQUESTS }, async () => {
        const outcome = await post(port, agent);
        // In the middle.
        if (++done === REQUESTS / 10) child.kill('SIGTERM');
        return outcome;
      }),
    );
    expect(await exit).toBe(0);
    agent.destroy();
    const answered = outcomes.flatMap((outcome) => (outcome.kind === 'kept' ? [outcome.id] : []));
    expect(answered.length).toBeGreaterThanOrEqual(REQUESTS / 10);
    expect(outcomes.filter(({ kind }) => kind === 'cut')).toEqual([]);
    for (const outcome of outcomes) {
      if (outcome.kind === 'refused') expect(outcome).toMatchObject({ status: 503, connection: 'close' });
    }
    // What was kept was answered too.
    expect(await keptIds(directory)).toEqual(new Set(answered));
  });

  it('lets a request finish whose body is on its way, and refuses what comes after it', async () => {
    const { child, port, directory, exit } = await start();
    const socket = connect(port, '127.0.0.1');
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    const head = `POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n`;
    socket.write(head);
    socket.write(BODY.subarray(0, 1000));
    await new Promise((resolve) => setTimeout(resolve, 200));
    child.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 200));
    // Nobody new is let in.
    const late = connect(port, '127.0.0.1');
    const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
    socket.write(BODY.subarray(1000));
    socket.write('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'close');
    expect(heard).toMatch(/^HTTP\/1\.1 201 Created\r\n/);
    expect(heard).toMatch(/connection: close/i);
    expect(await exit).toBe(0);
    expect((await keptIds(directory)).size).toBe(1);
  });

  it('does not wait for connections that have asked nothing, or nothing more', async () => {
    const { child, port, exit } = await start();
    const silent = connect(port, '127.0.0.1');
    silent.on('error', () => undefined);
    await once(silent, 'connect');
    const idle = connect(port, '127.0.0.1');
    idle.on('error', () => undefined);
    idle.write('GET /stats HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(idle, 'data');
    const startedAt = performance.now();
    child.kill('SIGTERM');
    expect(await exit).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(2500);
  });

  it('waits no longer than five seconds for a request that does not end', async () => {
    const { child, port, exit } = await start();
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{',
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    const startedAt = performance.now();
    child.kill('SIGTERM');
    expect(await exit).toBe(0);
    const tookMs = performance.now() - startedAt;
    expect(tookMs).toBeGreaterThan(4000);
    expect(tookMs).toBeLessThan(6500);
    socket.destroy();
  });
});
