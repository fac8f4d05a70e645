/**
 * `npm run bench:flood [-- --seconds 60 --share 0.6]`: what a flood of forged and malformed datagrams takes
 * from honest probes, and of memory. In the kernel lab: natprobed with its default limits, an attacker
 * who sends, in random names, a share of what the server can answer, and natprobe behind a
 * port-restricted NAT elsewhere. Ends in 1 if a verdict is wrong, if verdicts take more than twice
 * their usual time (medians), or if natprobed's resident memory grows by 32 MB or more.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeMessage, transactionIdOf } from '../../shared/stun/message.ts';
import { openInternet, SERVER_ADDRESSES, type Site } from '../lab/internet.ts';
import { labMissing, type Namespace } from '../lab/namespaces.ts';
import { readReport, runNatprobe, serverOf } from '../lab/natprobe.ts';
import { labNat } from '../lab/nats.ts';
import { printTable } from '../lab/table.ts';
import { number, readArguments } from '../support/arguments.ts';
import { missingPrograms } from '../support/system-programs.ts';

const {
  seconds: floodSeconds,
  share,
  seed,
} = readArguments('bench:flood', {
  seconds: number(60, { least: 5 }),
  share: number(0.6, { least: 0.01, most: 10, step: 0 }),
  seed: number(20_260_101, { least: 0, most: 2 ** 32 - 1 }),
});
const ROOT = new URL('../..', import.meta.url).pathname;
const PORT = 3478;
const { primary, alternate } = SERVER_ADDRESSES.ipv4;
/** To compare with. */
const QUIET_RUNS = 9;
const MOST_SLOWER = 2;
const MOST_GROWTH_MB = 32;
/** Else it was no flood; what the server's sockets had no room for has arrived as well. */
const LEAST_ARRIVED = 0.9;
const CAPACITY_SECONDS = 3;
const WINDOW = 1024;
const REQUESTS = 65_536;

interface Verdicts {
  readonly ms: readonly number[];
  readonly wrong: readonly string[];
}

const folder = mkdtempSync(join(tmpdir(), 'natprobe-flood-'));

async function main(): Promise<number> {
  const missing = labMissing() ?? missingPrograms('cc');
  if (missing !== undefined) throw new Error(`it cannot run: ${missing}`);
  const internet = await openInternet();
  try {
    const attacker = await internet.attach(labNat('open'));
    const home = await internet.attach(labNat('port-restricted-cone'));
    // Answers to names that nobody has end here, as they do on the way to nobody on the internet.
    const capacity = await measureCapacity(internet.server, attacker.client);
    const server = await startServer(internet.server, []);
    const quiet = await classifyWhile(home, (done) => done < QUIET_RUNS);
    const rate = Math.round(capacity * share);
    const before = residentMb(server.pid);
    const arrivedBefore = await datagramsAt(internet.server);
    const flood = attacker.client.run(
      compile('flood/flood.c'),
      [primary, `${PORT}`, `${floodSeconds}`, `${rate}`, `${seed}`],
      { timeoutMs: (floodSeconds + 30) * 1000 },
    );
    let isOver = false;
    void flood.finally(() => (isOver = true));
    const flooded = await classifyWhile(home, () => !isOver);
    const { stdout } = await flood;
    const growthMb = residentMb(server.pid) - before;
    const arrived = (await datagramsAt(internet.server)) - arrivedBefore;
    await server.stop();
    const { sent, seconds } = JSON.parse(stdout) as { sent: number; seconds: number };
    return report({
      capacity,
      sentPerSecond: sent / seconds,
      arrived: arrived / sent,
      quiet,
      flooded,
      growthMb,
    });
  } finally {
    await internet.close();
    rmSync(folder, { recursive: true });
  }
}

function report(result: {
  readonly capacity: number;
  readonly sentPerSecond: number;
  /** Share of what was sent. */
  readonly arrived: number;
  readonly quiet: Verdicts;
  readonly flooded: Verdicts;
  readonly growthMb: number;
}): number {
  const { capacity, sentPerSecond, arrived, quiet, flooded, growthMb } = result;
  const ratio = median(flooded.ms) / median(quiet.ms);
  printTable([
    ['', 'value'],
    ['answers a second without limits', capacity.toFixed(0)],
    ['forged datagrams a second', `${sentPerSecond.toFixed(0)} (${(sentPerSecond / capacity).toFixed(2)})`],
    ['of them reached the server', `${(100 * arrived).toFixed(1)} %`],
    ['verdicts before it, median', `${median(quiet.ms).toFixed(0)} ms of ${quiet.ms.length}`],
    ['verdicts during it, median', `${median(flooded.ms).toFixed(0)} ms of ${flooded.ms.length}`],
    ['times as long', ratio.toFixed(2)],
    ['wrong verdicts', String(flooded.wrong.length)],
    ['resident memory grew by', `${growthMb.toFixed(1)} MB`],
  ]);
  for (const line of flooded.wrong) console.log(`wrong: ${line}`);
  const isGood =
    quiet.wrong.length + flooded.wrong.length === 0 &&
    flooded.ms.length > 0 &&
    arrived > LEAST_ARRIVED &&
    ratio <= MOST_SLOWER &&
    growthMb < MOST_GROWTH_MB;
  console.log(isGood ? 'all as wanted' : 'MISSED');
  return isGood ? 0 : 1;
}

/** Runs natprobe, one run after the other. */
async function classifyWhile({ client, nat }: Site, goesOn: (done: number) => boolean): Promise<Verdicts> {
  const ms: number[] = [];
  const wrong: string[] = [];
  while (goesOn(ms.length)) {
    const { verdict, timing } = readReport(await runNatprobe(client, ['--server', primary, '-4']));
    ms.push(timing.totalMs);
    const { type, mapping, filtering } = nat.truth.ipv4;
    if (verdict.type !== type || verdict.mapping !== mapping || verdict.filtering !== filtering)
      wrong.push(`${verdict.type} ${verdict.mapping} ${verdict.filtering}`);
  }
  return { ms, wrong };
}

/** Answers a second to one who asks as fast as it answers, over the lab's network. */
async function measureCapacity(server: Namespace, client: Namespace): Promise<number> {
  const running = await startServer(server, ['--no-rate-limit']);
  const file = join(folder, 'requests');
  const id = Buffer.from('natprobe 0..');
  const requests = Array.from({ length: REQUESTS }, (_, number) => {
    id.writeUInt16BE(number, 10);
    return encodeMessage({ class: 'request', transactionId: transactionIdOf(id), attributes: [] });
  });
  writeFileSync(file, Buffer.concat(requests));
  const { stdout } = await client.run(compile('lanes/load.c'), [
    ...[primary, `${PORT}`, file, `${CAPACITY_SECONDS}`, '0', `${WINDOW}`],
  ]);
  await running.stop();
  const { answered, seconds } = JSON.parse(stdout) as { answered: number; seconds: number };
  return answered / seconds;
}

async function startServer(
  server: Namespace,
  more: readonly string[],
): Promise<{ readonly pid: number; stop(): Promise<void> }> {
  const args = [join(ROOT, 'server/main.ts'), '--ip', primary, '--alt-ip', alternate, '--no-http', ...more];
  const child = server.spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const running = await serverOf(child, 'natprobed', (log) => log.includes('natprobed ready'));
  return { pid: child.pid!, stop: () => running.stop() };
}

/** UDP datagrams that reached the namespace, those that a full socket dropped among them. */
async function datagramsAt(namespace: Namespace): Promise<number> {
  const { stdout } = await namespace.run('cat', ['/proc/net/snmp']);
  const [names, counts] = stdout
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '));
  const count = (name: string): number => Number(counts![names!.indexOf(name)]);
  return count('InDatagrams') + count('InErrors');
}

function compile(source: string): string {
  const program = join(folder, source.replaceAll(/\W/g, '-'));
  execFileSync('cc', ['-O2', '-o', program, join(ROOT, 'test/bench', source)], { stdio: 'inherit' });
  return program;
}

function residentMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) / 1024;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

process.exitCode = await main();
