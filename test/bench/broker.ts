/**
 * natprobed's broker on one core, with many registered peers over WebSockets from other processes:
 * introductions a second, the time that one takes, the server's processor time for one, which other work
 * on this machine hardly changes, and the memory of a peer; beside a bare WebSocket relay that sends as
 * many frames of that size on as many connections.
 *
 *     npm run bench:broker [-- PEERS [SECONDS]]
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_BROKER_LIMITS } from '../../server/broker/limits.ts';
import { number, readArguments } from '../support/arguments.ts';
import { type HttpServer, startHttpServer, startOnHttp } from '../support/http-load.ts';
import { findFreePorts } from '../unit/server/loopback.ts';
import { type Introduced, type IntroduceOrder, type JoinOrder, ROOM } from './broker-load.ts';

const PROCESSES = 2;
/** Enough for the server never to wait. */
const AT_ONCE = 32;
const SETTLE_MS = 3000;
/** Full rooms; and each peer may ask for so much a second, of which fewer would ask for more. */
const FEWEST_PEERS = 1000;
const MOST_PEERS = DEFAULT_BROKER_LIMITS.connections;
const { peers, seconds } = readArguments(
  'bench:broker',
  {
    peers: number(10_000, { least: FEWEST_PEERS, most: MOST_PEERS, step: ROOM }),
    seconds: number(10, { least: 1 }),
  },
  ['peers', 'seconds'],
);

const ONE_CORE = ['taskset', '-c', '0'];
// The load keeps off the core that is measured.
if (availableParallelism() > 1) execFileSync('taskset', ['-a', '-cp', '1', String(process.pid)]);

interface Measured {
  readonly perSecond: number;
  /** Of the server's processor time, an introduction. */
  readonly cpuMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly kibPerPeer: number;
  readonly planBytes: number;
}

const folder = mkdtempSync(join(tmpdir(), 'natprobed-'));
const keyFile = join(folder, 'witness-keys');
const key = randomBytes(32).toString('hex');
writeFileSync(keyFile, `${key}\n`);
console.log(`Node ${process.version}, ${peers} peers, ${seconds} s each; the server on one core\n`);
try {
  const flags = ['--witness-key-file', keyFile, '--data', join(folder, 'data')];
  const own = await measure(await startHttpServer(flags, ONE_CORE), '/broker');
  const bare = await measure(await startRelay(own.planBytes), '');
  console.log(
    '| server | introductions a second | of the relay | CPU ms an introduction | p50 ms | p99 ms, at half of that | KiB a peer |',
  );
  console.log('|---|---|---|---|---|---|---|');
  printRow('natprobed', own, bare);
  printRow('bare relay', bare, bare);
} finally {
  rmSync(folder, { recursive: true });
}

async function startRelay(planBytes: number): Promise<HttpServer> {
  const [port] = await findFreePorts('127.0.0.1');
  const script = fileURLToPath(new URL('bare-relay.ts', import.meta.url));
  const running = await startOnHttp([...ONE_CORE, process.execPath, script, `${port}`, `${planBytes}`]);
  return { ...running, api: `http://127.0.0.1:${port}` };
}

async function measure({ child, api, kill }: HttpServer, path: string): Promise<Measured> {
  const loads = Array.from({ length: PROCESSES }, () =>
    fork(fileURLToPath(new URL('broker-load.ts', import.meta.url))),
  );
  try {
    const before = residentKib(child);
    const url = api.replace('http', 'ws') + path;
    const share = Math.ceil(peers / PROCESSES);
    await Promise.all(
      loads.map((load, index) => {
        const first = index * share;
        return order(load, { kind: 'join', url, key, first, count: Math.min(share, peers - first) });
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const kibPerPeer = (residentKib(child) - before) / peers;
    const atOnce = AT_ONCE / PROCESSES;
    // Models of ports are reckoned once a peer: not of what a second brings.
    await introduce(loads, { kind: 'introduce', seconds: 2, atOnce });
    const cpuBefore = cpuMsOf(child);
    const full = await introduce(loads, { kind: 'introduce', seconds, atOnce });
    const cpuMs = (cpuMsOf(child) - cpuBefore) / full.tookMs.length;
    const perSecond = full.tookMs.length / seconds;
    const half = perSecond / 2 / PROCESSES;
    const { tookMs, planBytes } = await introduce(loads, {
      kind: 'introduce',
      seconds,
      atOnce,
      perSecond: half,
    });
    return {
      perSecond,
      cpuMs,
      p50Ms: quantile(tookMs, 0.5),
      p99Ms: quantile(tookMs, 0.99),
      kibPerPeer,
      planBytes,
    };
  } finally {
    for (const load of loads) load.kill('SIGKILL');
    await kill();
  }
}

/** Throws if more than one of a hundred was refused: then it wasn't introductions that were counted. */
async function introduce(loads: readonly ChildProcess[], what: IntroduceOrder): Promise<Introduced> {
  const parts = (await Promise.all(loads.map((load) => order(load, what)))) as Introduced[];
  const tookMs = parts.flatMap((part) => part.tookMs).sort((a, b) => a - b);
  const refused = parts.flatMap((part) => Object.entries(part.refused));
  const count = refused.reduce((sum, [, times]) => sum + times, 0);
  if (count > tookMs.length / 100)
    throw new Error(
      `refused: ${JSON.stringify(refused)} beside ${tookMs.length}; of more PEERS each asks less often`,
    );
  return {
    tookMs,
    refused: Object.fromEntries(refused),
    planBytes: Math.max(...parts.map((part) => part.planBytes)),
  };
}

async function order(load: ChildProcess, what: JoinOrder | IntroduceOrder): Promise<unknown> {
  load.send(what);
  const [result] = (await Promise.race([
    once(load, 'message'),
    once(load, 'exit').then(() => Promise.reject(new Error('the load has ended'))),
  ])) as [unknown];
  return result;
}

function residentKib({ pid }: ChildProcess): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

/** In user and kernel mode, all threads: proc(5), in hundredths of a second. */
function cpuMsOf({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

/** Of numbers in rising order. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

function printRow(name: string, measured: Measured, peer: Measured): void {
  const { perSecond, cpuMs, p50Ms, p99Ms, kibPerPeer } = measured;
  const numbers = [
    perSecond.toFixed(0),
    (perSecond / peer.perSecond).toFixed(2),
    cpuMs.toFixed(2),
    p50Ms.toFixed(2),
    p99Ms.toFixed(2),
  ];
  console.log(`| ${[name, ...numbers, kibPerPeer.toFixed(1)].join(' | ')} |`);
}
