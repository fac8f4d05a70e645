/**
 * What starting costs: `natprobe --help` beside a bare `node -e 0`, compiled and from source, and a
 * bare `natprobe` against a server on loopback. Medians of interleaved runs; exits 1 if a target is missed.
 *
 *     npm run bench:startup [-- RUNS]
 */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { configureServer } from '../../server/config.ts';
import { startServer } from '../../server/server.ts';
import { number, readArguments } from '../support/arguments.ts';
import { findFreePorts } from '../unit/server/loopback.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const { runs } = readArguments('bench:startup', { runs: number(15, { least: 1 }) }, ['runs']);

/** Of the help, to a bare node; and of a verdict's whole process, in milliseconds. */
const HELP_TARGET = 2.5;
const VERDICT_TARGET_MS = 400;

function medianOf(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** Medians of the wall times of these node commands, in milliseconds, run in turn. */
function timeInTurn(commands: readonly (readonly string[])[]): number[] {
  const times = commands.map((): number[] => []);
  for (let run = 0; run < runs; run++) {
    for (const [index, args] of commands.entries()) {
      const startedAt = performance.now();
      const { status, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
      if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}: ${stderr}`);
      times[index]!.push(performance.now() - startedAt);
    }
  }
  return times.map(medianOf);
}

const build = spawnSync('npm', ['run', 'build'], { cwd: ROOT, encoding: 'utf8' });
if (build.status !== 0) throw new Error(`npm run build failed: ${build.stdout}${build.stderr}`);

const [port, altPort] = await findFreePorts('127.0.0.1', '127.0.0.2');
const local = ['127.0.0.1', '127.0.0.2'].map((address) => ({
  interface: 'lo',
  family: 'ipv4' as const,
  address,
  prefixLength: 8,
  loopback: true,
}));
const flags = { ip: ['127.0.0.1'], altIp: ['127.0.0.2'], port: String(port), altPort: String(altPort) };
const server = await startServer(configureServer({ ...flags, http: false }, local));
const probe = ['--server', `127.0.0.1:${port}`];

console.log(`medians of ${runs} interleaved runs, whole processes`);
const [bare, compiled, source] = timeInTurn([
  ['-e', '0'],
  ['dist/probe/cli/main.js', '--help'],
  ['probe/cli/main.ts', '--help'],
]) as [number, number, number];
console.log(`node -e 0                  ${bare.toFixed(0)} ms   1.00`);
console.log(`natprobe --help            ${compiled.toFixed(0)} ms   ${(compiled / bare).toFixed(2)}`);
console.log(`natprobe --help, source    ${source.toFixed(0)} ms   ${(source / bare).toFixed(2)}`);

// This process serves: the probe must not be waited for synchronously.
const verdicts: number[] = [];
for (let run = 0; run < runs; run++) verdicts.push(await timeVerdict());
await server.stop();
const verdict = medianOf(verdicts);
console.log(`natprobe --server local    ${verdict.toFixed(0)} ms   ${(verdict / bare).toFixed(2)}`);

const missed = [
  ...(compiled > HELP_TARGET * bare ? [`natprobe --help takes more than ${HELP_TARGET} bare starts`] : []),
  ...(verdict > VERDICT_TARGET_MS ? [`a verdict takes more than ${VERDICT_TARGET_MS} ms`] : []),
];
for (const target of missed) console.error(`missed: ${target}`);
process.exitCode = missed.length > 0 ? 1 : 0;

async function timeVerdict(): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, ['dist/probe/cli/main.js', ...probe], { cwd: ROOT, stdio: 'ignore' });
  const code = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`natprobe ended with ${code}`);
  return performance.now() - startedAt;
}
