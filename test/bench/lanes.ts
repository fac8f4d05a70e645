/**
 * `npm run bench:lanes [-- --rounds N --seconds S]`: how fast natprobed answers UDP, by batched lanes and
 * by node:dgram, beside coturn, a minimal server in C (compiled here, if there is a cc) and stuntman
 * (if NATPROBE_STUNTMAN names its stunserver). A bare echo by node:dgram shows what that allows at best.
 * Each has one core to itself, and who asks another one; they take turns, and medians are printed. Then the
 * latency at half of coturn's rate.
 *
 * Two rates are printed: answers a second, and answers a second of CPU time that the server used,
 * which tells more where others use the machine too: targets are held against that where one of the two
 * was not kept busy, and its rate is the asker's. Ends in 1 if a target is missed.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Family } from '../../shared/endpoint.ts';
import { CHANGE_REQUEST } from '../../shared/stun/attributes/behaviour.ts';
import { encodeMessage, transactionIdOf } from '../../shared/stun/message.ts';
import { printTable } from '../lab/table.ts';
import { number, readArguments } from '../support/arguments.ts';
import { missingPrograms, programPath } from '../support/system-programs.ts';
import { findFreePorts } from '../unit/server/loopback.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const SERVER_CPU = '1';
const LOAD_CPU = '0';
/** How many requests are under way: enough to keep a server busy, too few to overrun its socket. */
const WINDOW = 1024;
const REQUESTS = 65_536;
const START_TIMEOUT_MS = 20_000;
/** For each round: one p99 says little, since whatever else the machine does is in it. */
const LATENCY_TURNS = 3;
const SIGN_TEST_DEVIATIONS = 1.645;
/** Of its core, by a server whose answers a second are all that it can give. */
const KEPT_BUSY = 0.95;

const BATCHED = 'natprobed, batched';
const DGRAM = 'natprobed, dgram';
const COTURN = 'coturn';
const REFERENCE = 'minimal C';
const BARE = 'bare dgram echo';

/** The least that the first is of the second. */
const TARGETS: readonly (readonly [string, number, string])[] = [
  [BATCHED, 1.4, COTURN],
  [BATCHED, 0.9, REFERENCE],
  [DGRAM, 0.85, COTURN],
];

interface Addresses {
  readonly family: Family;
  readonly ip: string;
  /** None over IPv6: loopback has one address. */
  readonly alternate: string | undefined;
}
const ADDRESSES: Readonly<Record<Family, Addresses>> = {
  ipv4: { family: 'ipv4', ip: '127.0.0.1', alternate: '127.0.0.2' },
  ipv6: { family: 'ipv6', ip: '::1', alternate: undefined },
};

interface Contender {
  readonly name: string;
  /** The command line of a server there. */
  command(at: Addresses, port: number, alternatePort: number): readonly string[];
}

interface RunningContender {
  readonly name: string;
  readonly family: Family;
  readonly child: ChildProcess;
  readonly port: number;
}

interface Load {
  readonly name: string;
  readonly family: Family;
  /** A file of requests. */
  readonly file: string;
}

/** What load.c prints, and the CPU time that the server used meanwhile. */
interface Measured {
  readonly seconds: number;
  readonly sent: number;
  readonly answered: number;
  readonly p50: number;
  readonly p99: number;
  readonly serverCpuSeconds: number;
}

const { rounds, seconds } = readArguments('bench:lanes', {
  rounds: number(7, { least: 1 }),
  seconds: number(0.5, { least: 0.1, step: 0 }),
});
const folder = mkdtempSync(join(tmpdir(), 'natprobe-bench-'));
const children: ChildProcess[] = [];

async function main(): Promise<number> {
  const missing =
    availableParallelism() < 2 ? 'it takes two cores' : missingPrograms('taskset', 'turnserver', 'cc');
  if (missing !== undefined || process.platform !== 'linux') {
    console.error(`bench:lanes cannot run: ${missing ?? 'this is not Linux'}`);
    return 2;
  }
  const load = compile('load');
  const loads = writeLoads();
  const running = new Map<Family, readonly RunningContender[]>();
  for (const family of ['ipv4', 'ipv6'] as const) {
    const file = loads.find((item) => item.family === family)!.file;
    const started: RunningContender[] = [];
    for (const contender of contenders()) {
      const server = await start(contender, ADDRESSES[family]);
      await waitUntilAnswers(load, server, file);
      started.push(server);
    }
    running.set(family, started);
  }
  const missed: string[] = [];
  let halfRate = 0;
  for (const item of loads) {
    const results = await takeTurns(load, item, running.get(item.family)!);
    report(item.name, results, missed);
    if (item === loads[0]) halfRate = Math.round(rateOf(results.get(COTURN)!) / 2);
  }
  await compareLatency(load, loads[0]!, running.get('ipv4')!, halfRate, missed);
  for (const line of missed) console.log(`missed: ${line}`);
  return missed.length === 0 ? 0 : 1;
}

function contenders(): Contender[] {
  const natprobed = (name: string, lanes: string): Contender => ({
    name,
    command: ({ ip, alternate }, port, alternatePort) => [
      ...[process.execPath, join(ROOT, 'server/main.ts'), '--no-http', '--lanes', lanes],
      // Limits are on, and their ceiling is above the load.
      ...['--answer-rate', '100000000'],
      ...['--ip', ip, '--port', `${port}`, '--alt-port', `${alternatePort}`],
      ...(alternate === undefined ? [] : ['--alt-ip', alternate]),
    ],
  });
  const reference = compile('reference');
  const stuntman = process.env['NATPROBE_STUNTMAN'];
  return [
    natprobed(BATCHED, '1'),
    natprobed(DGRAM, '0'),
    {
      name: COTURN,
      command: ({ ip, alternate }, port, alternatePort) => [
        ...[programPath('turnserver')!, '-n', '--stun-only', '--no-cli', '--no-tls', '--no-dtls', '-m', '0'],
        ...['--listening-ip', ip, ...(alternate === undefined ? [] : ['--listening-ip', alternate])],
        ...['--listening-port', `${port}`, '--alt-listening-port', `${alternatePort}`],
        ...['--log-file', 'stdout', '--pidfile', '/dev/null', '--userdb', '/dev/null'],
      ],
    },
    {
      name: REFERENCE,
      command: ({ ip, alternate = '-' }, port, alternatePort) => [
        ...[reference, ip, alternate, `${port}`, `${alternatePort}`],
      ],
    },
    {
      name: BARE,
      command: ({ ip }, port) => [
        process.execPath,
        join(ROOT, 'test/bench/lanes/bare-dgram.ts'),
        ip,
        `${port}`,
      ],
    },
    ...(stuntman === undefined ? [] : [stuntmanContender(stuntman)]),
  ];
}

function stuntmanContender(program: string): Contender {
  return {
    name: 'stuntman',
    command: ({ ip, alternate, family }, port, alternatePort) => [
      ...[program, '--family', family === 'ipv4' ? '4' : '6', '--primaryinterface', ip],
      ...['--primaryport', `${port}`, '--mode', alternate === undefined ? 'basic' : 'full'],
      ...(alternate === undefined ? [] : ['--altinterface', alternate, '--altport', `${alternatePort}`]),
    ],
  };
}

/** Where the program of that C file is. */
function compile(name: string): string {
  const program = join(folder, name);
  execFileSync('cc', ['-O2', '-o', program, join(ROOT, `test/bench/lanes/${name}.c`)], { stdio: 'inherit' });
  return program;
}

/** Requests by kind, each with a transaction id of its own that ends in its number. */
function writeLoads(): Load[] {
  const kinds: readonly [string, Family, Parameters<typeof encodeMessage>[0]['attributes'], boolean][] = [
    ['20 bytes, IPv4', 'ipv4', [], false],
    ['FINGERPRINT, IPv4', 'ipv4', [], true],
    ['CHANGE-REQUEST, IPv4', 'ipv4', [CHANGE_REQUEST.of({ address: true, port: true })], false],
    ['20 bytes, IPv6', 'ipv6', [], false],
  ];
  const id = Buffer.from('natprobe 0..');
  return kinds.map(([name, family, attributes, fingerprint], index) => {
    const requests = Array.from({ length: REQUESTS }, (_, number) => {
      id.writeUInt16BE(number, 10);
      return encodeMessage({ class: 'request', transactionId: transactionIdOf(id), attributes, fingerprint });
    });
    const file = join(folder, `requests-${index}`);
    writeFileSync(file, Buffer.concat(requests));
    return { name, family, file };
  });
}

async function start(contender: Contender, at: Addresses): Promise<RunningContender> {
  const addresses = at.alternate === undefined ? [at.ip] : [at.ip, at.alternate];
  const [port, alternatePort] = await findFreePorts(...addresses);
  const command = contender.command(at, port, alternatePort);
  const child = spawn('taskset', ['-c', SERVER_CPU, ...command], { stdio: 'ignore' });
  children.push(child);
  return { name: contender.name, family: at.family, child, port };
}

async function waitUntilAnswers(load: string, server: RunningContender, file: string): Promise<void> {
  const until = performance.now() + START_TIMEOUT_MS;
  while ((await measure(load, server, { file, seconds: 0.05 })).answered === 0) {
    if (performance.now() > until || server.child.exitCode !== null)
      throw new Error(`${server.name} does not answer over ${server.family}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** By contender, a measurement a round. */
async function takeTurns(
  load: string,
  { file }: Load,
  servers: readonly RunningContender[],
  { rate = 0, turns = rounds }: { rate?: number; turns?: number } = {},
): Promise<Map<string, Measured[]>> {
  const results = new Map<string, Measured[]>(servers.map(({ name }) => [name, []]));
  for (const server of servers) await measure(load, server, { file, seconds: seconds / 2, rate });
  for (let turn = 0; turn < turns; turn++) {
    for (const server of servers) {
      results.get(server.name)!.push(await measure(load, server, { file, seconds, rate }));
    }
  }
  return results;
}

async function measure(
  load: string,
  { family, port, child }: RunningContender,
  { file, seconds, rate = 0 }: { file: string; seconds: number; rate?: number },
): Promise<Measured> {
  const before = cpuSecondsOf(child.pid!);
  const { stdout } = await promisify(execFile)('taskset', [
    ...['-c', LOAD_CPU, load, ADDRESSES[family].ip, `${port}`, file, `${seconds}`, `${rate}`, `${WINDOW}`],
  ]);
  const serverCpuSeconds = cpuSecondsOf(child.pid!) - before;
  return { ...(JSON.parse(stdout) as Omit<Measured, 'serverCpuSeconds'>), serverCpuSeconds };
}

/** Of all threads of a process. */
function cpuSecondsOf(pid: number): number {
  const nanoseconds = readdirSync(`/proc/${pid}/task`).map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, value) => sum + value, 0) / 1e9;
}

function report(title: string, results: ReadonlyMap<string, readonly Measured[]>, missed: string[]): void {
  const rates = new Map([...results].map(([name, all]) => [name, rateOf(all)]));
  const cpuRates = new Map([...results].map(([name, all]) => [name, cpuRateOf(all)]));
  const ratio = (of: ReadonlyMap<string, number>, name: string, to: string): string =>
    (of.get(name)! / of.get(to)!).toFixed(2);
  console.log(`\n${title}`);
  printTable([
    ['', 'answers/s', '× coturn', '× C', 'answers/CPU s', '× coturn', '× C', 'busy', 'lost'],
    ...[...results].map(([name, all]) => [
      name,
      thousands(rates.get(name)!),
      ratio(rates, name, COTURN),
      ratio(rates, name, REFERENCE),
      thousands(cpuRates.get(name)!),
      ratio(cpuRates, name, COTURN),
      ratio(cpuRates, name, REFERENCE),
      percent(busyOf(all)),
      percent(median(all.map(({ sent, answered }) => Math.max(0, sent - answered - WINDOW) / sent))),
    ]),
  ]);
  for (const [name, least, to] of TARGETS) {
    const keptBusy = [name, to].every((one) => busyOf(results.get(one)!) >= KEPT_BUSY);
    const judged = keptBusy ? rates : cpuRates;
    if (judged.get(name)! / judged.get(to)! >= least) continue;
    const ceiling = name === DGRAM ? `; a bare echo by node:dgram is ${ratio(judged, BARE, to)}` : '';
    const by = keptBusy ? '' : ' by CPU time';
    missed.push(`${title}: ${name} is ${ratio(judged, name, to)} × ${to}${by}, not ${least}${ceiling}`);
  }
}

async function compareLatency(
  load: string,
  item: Load,
  servers: readonly RunningContender[],
  rate: number,
  missed: string[],
): Promise<void> {
  const turns = LATENCY_TURNS * rounds;
  const results = await takeTurns(load, item, servers, { rate, turns });
  console.log(`\nLatency at ${thousands(rate)} requests/s (half of what coturn answers), ${item.name}`);
  const p99 = new Map([...results].map(([name, all]) => [name, median(all.map((one) => one.p99))]));
  printTable([
    ['', 'p50 µs', 'p99 µs', 'lost'],
    ...[...results].map(([name, all]) => [
      name,
      median(all.map(({ p50 }) => p50)).toFixed(0),
      p99.get(name)!.toFixed(0),
      percent(median(all.map(({ sent, answered }) => (sent - answered) / sent))),
    ]),
  ]);
  const theirs = results.get(COTURN)!;
  const worse = results.get(BATCHED)!.filter((one, turn) => one.p99 > theirs[turn]!.p99).length;
  console.log(`p99 of ${BATCHED} is above coturn's in ${worse} of ${turns} turns`);
  // As often in one of twenty runs where both are alike (sign test).
  if (worse > turns / 2 + SIGN_TEST_DEVIATIONS * Math.sqrt(turns / 4)) {
    missed.push(
      `p99 of ${BATCHED} is ${p99.get(BATCHED)!.toFixed(0)} µs, coturn's ${p99.get(COTURN)!.toFixed(0)} µs`,
    );
  }
}

function rateOf(all: readonly Measured[]): number {
  return median(all.map(({ answered, seconds }) => answered / seconds));
}

function cpuRateOf(all: readonly Measured[]): number {
  return median(all.map(({ answered, serverCpuSeconds }) => answered / serverCpuSeconds));
}

function busyOf(all: readonly Measured[]): number {
  return median(all.map(({ serverCpuSeconds, seconds }) => serverCpuSeconds / seconds));
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

function thousands(number: number): string {
  return `${Math.round(number / 1000)} k`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

try {
  process.exitCode = await main();
} finally {
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode !== null) return;
      child.kill();
      await once(child, 'exit');
    }),
  );
  rmSync(folder, { recursive: true });
}
