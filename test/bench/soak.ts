/**
 * `npm run soak [-- --minutes 30 --rate 50000 --lanes N --svg FILE]`: natprobed under a steady load on
 * loopback (Linux). Each answer is checked, each second memory, latency, losses and the kernel's drops are
 * sampled, and drawn at the end. Ends in 0 if memory did not grow after the first minute (the 95 % confidence
 * interval of its slope is below 0.1 MiB a minute), no answer was wrong, and none was lost that the
 * kernel doesn't report as dropped; in 1 if not; in 2 if it can't run, or was too short to tell of memory.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Endpoint } from '../../shared/endpoint.ts';
import type { FamilyConfig } from '../../server/config.ts';
import { openDropReader } from '../../server/udp/kernel-drops.ts';
import { number, readArguments, text } from '../support/arguments.ts';
import { batchedLanesMissing } from '../support/batched-lanes.ts';
import { findFreePorts, loopbackFamily } from '../unit/server/loopback.ts';
import {
  findFaults,
  judgeGrowth,
  MOST_GROWTH,
  SETTLING_SECONDS,
  slopeOf,
  type SoakSample,
} from './soak/judge.ts';
import type { LoadSecond, LoadTask } from './soak/load.ts';
import { plotPanels } from './soak/plot.ts';

const MIB = 2 ** 20;
const MAIN = new URL('../../server/main.ts', import.meta.url).pathname;
const LOAD = new URL('soak/load.ts', import.meta.url).pathname;
/** A line for people after so many seconds. */
const REPORT_SECONDS = 10;

const { minutes, rate, lanes, svg } = readArguments('soak', {
  minutes: number(30, { least: 0.01, step: 0 }),
  rate: number(50_000, { least: 1 }),
  lanes: number(1, { least: 0, most: 256 }),
  svg: text('the file to draw to', 'soak.svg'),
});
const seconds = minutes * 60;
const children: ChildProcess[] = [];

async function main(): Promise<number> {
  if (process.platform !== 'linux' || batchedLanesMissing !== undefined) {
    console.error(`soak cannot run: ${batchedLanesMissing ?? 'this is not Linux'}`);
    return 2;
  }
  const family = await loopbackFamily('127.0.0.1', '127.0.0.2');
  const [httpPort] = await findFreePorts('127.0.0.1');
  const server = await startServer(family, httpPort);
  const endpoints = family.bound.filter((endpoint) => endpoint !== undefined);
  const samples = await sampleLoad(server, family, endpoints);
  const { queueFull, errors } = await readSends(httpPort);
  return report(samples, queueFull + errors);
}

async function startServer({ bound: [pp, pa, ap] }: FamilyConfig, httpPort: number): Promise<ChildProcess> {
  const flags = [
    ...['--ip', pp.address, '--alt-ip', ap!.address, '--port', `${pp.port}`, '--alt-port', `${pa.port}`],
    ...['--http', `127.0.0.1:${httpPort}`, '--lanes', `${lanes}`, '--no-rate-limit'],
  ];
  const child = spawn(process.execPath, [MAIN, ...flags], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await Promise.race([once(child.stdout, 'data'), failIfEnded(child, 'natprobed')]);
  child.stdout.resume();
  return child;
}

/** One sample a second until the time is over, and one when all answers are in. */
async function sampleLoad(
  server: ChildProcess,
  family: FamilyConfig,
  endpoints: readonly Endpoint[],
): Promise<SoakSample[]> {
  const samples: SoakSample[] = [];
  const readDrops = openDropReader(family);
  const backlogAtStart = readBacklogDrops();
  const load = fork(LOAD);
  children.push(load);
  const done = new Promise<void>((resolve) => {
    load.on('message', (second: LoadSecond) => {
      samples.push({
        seconds: second.seconds,
        load: second,
        residentBytes: readResidentBytes(server.pid!),
        serverDrops: readDrops() ?? 0,
        backlogDrops: readBacklogDrops() - backlogAtStart,
      });
      if (second.kind === 'end') resolve();
      else if (second.seconds >= seconds) load.send('stop');
      if (samples.length % REPORT_SECONDS === 0) console.log(describe(samples.at(-1)!));
    });
  });
  load.send({ endpoints, rate } satisfies LoadTask);
  await Promise.race([done, failIfEnded(server, 'natprobed'), failIfEnded(load, 'the load')]);
  return samples;
}

async function failIfEnded(child: ChildProcess, name: string): Promise<never> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  throw new Error(`${name} ended by itself (${code ?? signal})`);
}

function readResidentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line![1]) * 1024;
}

/** Of all cores: the second column, hexadecimal. */
function readBacklogDrops(): number {
  const lines = readFileSync('/proc/net/softnet_stat', 'utf8').trim().split('\n');
  return lines.reduce((sum, line) => sum + parseInt(line.split(/\s+/)[1]!, 16), 0);
}

/** What the system didn't take from the server, by its own count. */
async function readSends(httpPort: number): Promise<{ queueFull: number; errors: number }> {
  const metrics = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const count = (outcome: string): number => {
    const lines = metrics.matchAll(
      new RegExp(`^natprobed_udp_sends_total\\{.*"${outcome}".*\\} (\\d+)$`, 'gm'),
    );
    return [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
  };
  return { queueFull: count('queueFull'), errors: count('errors') };
}

function describe({ seconds: at, load, residentBytes, serverDrops, backlogDrops }: SoakSample): string {
  const { sent, lost, wrong, drops, p50, p99 } = load;
  return (
    `${at.toFixed(0).padStart(5)} s  ${Math.round(sent / at)} asked/s  p50 ${p50.toFixed(2)} ms  p99 ${p99.toFixed(2)} ms  ` +
    `${(residentBytes / MIB).toFixed(1)} MiB  lost ${lost}, wrong ${wrong}, ` +
    `dropped at the server ${serverDrops}, here ${drops}, on the way ${backlogDrops}`
  );
}

function report(samples: readonly SoakSample[], queueFull: number): number {
  const last = samples.at(-1)!;
  const settled = samples.filter(({ seconds: at }) => at >= SETTLING_SECONDS);
  const slope = slopeOf(settled.map(({ seconds: at, residentBytes }) => [at, residentBytes]));
  const growth = judgeGrowth(slope);
  writeFileSync(svg, draw(samples));
  console.log(describe(last));
  const perMinute = (bytes: number): string => ((bytes * 60) / MIB).toFixed(3);
  console.log(
    slope === undefined
      ? 'memory after the first minute: too few samples'
      : `memory after the first minute: ${perMinute(slope.value)} MiB a minute ` +
          `(95 %: ${perMinute(slope.low)} to ${perMinute(slope.high)}; at most ${perMinute(MOST_GROWTH)}): ` +
          { none: 'it does not grow', grows: 'it GROWS', unknown: 'it takes longer to tell' }[growth],
  );
  const faults = findFaults(last, rate, queueFull);
  if (growth === 'grows') faults.push('memory grows');
  for (const fault of faults) console.log(`missed: ${fault}`);
  if (faults.length === 0)
    console.log('no answer was wrong, and none lost that the kernel does not report as dropped');
  console.log(`drawn: ${svg}`);
  if (faults.length > 0) return 1;
  return growth === 'unknown' ? 2 : 0;
}

function draw(samples: readonly SoakSample[]): string {
  const line = (
    name: string,
    colour: string,
    read: (sample: SoakSample, before: SoakSample | undefined) => number,
  ) => ({
    name,
    colour,
    values: samples.map((sample, i) => read(sample, samples[i - 1])),
  });
  const perSecond =
    (name: 'sent' | 'answered') =>
    ({ seconds: at, load }: SoakSample, before: SoakSample | undefined): number =>
      at > (before?.seconds ?? 0)
        ? (load[name] - (before?.load[name] ?? 0)) / (at - (before?.seconds ?? 0))
        : 0;
  const title = `natprobed, ${lanes} lanes, ${rate} requests a second on loopback`;
  // The last sample is of what came late, and of no second of its own.
  return plotPanels(
    title,
    samples.map(({ seconds: at }) => at),
    [
      {
        title: 'Resident memory, MiB',
        lines: [line('natprobed', '#1f5fbf', ({ residentBytes }) => residentBytes / MIB)],
      },
      {
        title: 'Latency, ms',
        lines: [
          line('p50', '#1f5fbf', ({ load }) => load.p50),
          line('p99', '#c2410c', ({ load }) => load.p99),
        ],
      },
      {
        title: 'A second',
        lines: [
          line('asked', '#888888', perSecond('sent')),
          line('answered', '#1f5fbf', perSecond('answered')),
        ],
      },
      {
        title: 'Since the start',
        lines: [
          line('lost or under way', '#c2410c', ({ load }) => load.sent - load.answered),
          line(
            'dropped by the kernel',
            '#888888',
            (sample) => sample.serverDrops + sample.load.drops + sample.backlogDrops,
          ),
        ],
      },
    ],
  );
}

try {
  process.exitCode = await main();
} finally {
  for (const child of children) if (child.exitCode === null) child.kill();
}
