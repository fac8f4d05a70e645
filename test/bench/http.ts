/**
 * Reports a second that natprobed judges and keeps on one core, beside a bare Fastify route that only
 * validates the same body and answers; then SIGKILL in the middle of a load, and whether every report
 * that was answered is there. Exits 1 if one is missing.
 *
 *     npm run bench:http [-- SECONDS]
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { readSample, type SampleName } from '../http/app.ts';
import {
  type HttpServer,
  killAfterAnswers,
  missingReports,
  startHttpServer,
  startOnHttp,
} from '../support/http-load.ts';
import { findFreePorts } from '../unit/server/loopback.ts';
import { number, readArguments } from '../support/arguments.ts';

const CONNECTIONS = 10;
const WARM_UP_SECONDS = 2;
/** Answers. */
const KILLED_AFTER = 1000;
/** A run of natprobe, and one with --full. */
const BODIES: readonly SampleName[] = ['symmetric', 'port-restricted-cone'];
const { seconds } = readArguments('bench:http', { seconds: number(8, { least: 1 }) }, ['seconds']);

const ONE_CORE = ['taskset', '-c', '0'];
// The load keeps off the core that is measured.
if (availableParallelism() > 1) execFileSync('taskset', ['-a', '-cp', '1', String(process.pid)]);
const data = mkdtempSync(join(tmpdir(), 'natprobed-'));
const headers = { 'content-type': 'application/json' };

console.log(`Node ${process.version}, ${CONNECTIONS} connections, ${seconds} s each; servers on one core\n`);
console.log('| report | bytes | server | reports a second | p50 ms | p99 ms | of the bare route |');
console.log('|---|---|---|---|---|---|---|');
for (const name of BODIES) {
  const body = JSON.stringify(readSample(name));
  const kept = await startHttpServer(['--data', join(data, name)], ONE_CORE);
  const answer = await (await fetch(`${kept.api}/classify`, { method: 'POST', headers, body })).text();
  const bare = await startBare(answer);
  const peer = await load(bare, body);
  await bare.kill();
  const own = await load(kept, body);
  await kept.kill();
  const inMemory = await startHttpServer([], ONE_CORE);
  const memory = await load(inMemory, body);
  await inMemory.kill();
  printRow(name, body, 'bare Fastify route', peer, peer);
  printRow(name, body, 'natprobed --data', own, peer);
  printRow(name, body, 'natprobed, in memory', memory, peer);
}

const server = await startHttpServer(['--data', join(data, 'kill')]);
const ids = await killAfterAnswers(
  server,
  JSON.stringify(readSample('symmetric')),
  CONNECTIONS,
  KILLED_AFTER,
);
const again = await startHttpServer(['--data', join(data, 'kill')]);
const missing = await missingReports(again.api, ids);
await again.kill();
rmSync(data, { recursive: true });
console.log(`\nSIGKILL under load: ${ids.length} reports had been answered, ${missing.length} are missing`);
process.exitCode = missing.length === 0 && ids.length > 0 ? 0 : 1;

async function startBare(answer: string): Promise<HttpServer> {
  const [port] = await findFreePorts('127.0.0.1');
  const script = fileURLToPath(new URL('bare-route.ts', import.meta.url));
  const running = await startOnHttp([...ONE_CORE, process.execPath, script, String(port), answer]);
  return { ...running, api: `http://127.0.0.1:${port}` };
}

async function load({ api }: HttpServer, body: string): Promise<autocannon.Result> {
  const options = {
    url: `${api}/classify`,
    method: 'POST' as const,
    headers,
    body,
    connections: CONNECTIONS,
  };
  await autocannon({ ...options, duration: WARM_UP_SECONDS });
  const result = await autocannon({ ...options, duration: seconds });
  if (result.non2xx > 0 || result.errors > 0) {
    throw new Error(`${result.non2xx} refusals and ${result.errors} errors from ${api}`);
  }
  return result;
}

function printRow(
  name: string,
  body: string,
  server: string,
  result: autocannon.Result,
  peer: autocannon.Result,
): void {
  const perSecond = ({ requests, duration }: autocannon.Result): number => requests.total / duration;
  const cells = [
    name,
    body.length,
    server,
    perSecond(result).toFixed(0),
    result.latency.p50,
    result.latency.p99,
    (perSecond(result) / perSecond(peer)).toFixed(2),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
