/** The real programs in the lab: natprobed in the server's namespace, natprobe in a client's. */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Report } from '../../shared/report/report.ts';
import { FAMILIES, SERVER_ADDRESSES } from './internet.ts';
import { collectOutput, endOf, type Finished, type Namespace, type RunOptions } from './namespaces.ts';

export interface RunningServer {
  /** What it has printed. */
  log(): string;
  stop(): Promise<void>;
  /** SIGSTOP and SIGCONT: it is there, and does nothing for that long. */
  standStill(ms: number): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SERVER = `${ROOT}server/main.ts`;
/** Runs natprobe from source. */
export const NATPROBE_COMMAND = [process.execPath, `${ROOT}probe/cli/main.ts`] as const;
/** Neither a developer's configuration nor their server. */
export const NATPROBE_ENVIRONMENT = { NATPROBE_SERVER: '', XDG_CONFIG_HOME: '/nonexistent' };
const READY = 'natprobed ready';
const START_TIMEOUT_MS = 30_000;

/** Of both families, to who runs by `knowingServer`. */
export const SERVER_NAME = 'server.lab.test';

/** The command line with which a program knows the server by that name. */
export function knowingServer(command: readonly string[]): [program: string, ...args: string[]] {
  const hosts = FAMILIES.map((family) => `${SERVER_ADDRESSES[family].primary} ${SERVER_NAME}\n`).join('');
  const script =
    'mount -t tmpfs none /mnt; printf %s "$0" >/mnt/hosts; mount --bind /mnt/hosts /etc/hosts; exec "$@"';
  return ['unshare', '--mount', 'sh', '-ec', script, hosts, ...command];
}

/** Starts natprobed on the lab's addresses and the default ports; resolves once it answers. */
export function startNatprobed(namespace: Namespace): Promise<RunningServer> {
  return startNatprobedOn(
    namespace,
    FAMILIES.flatMap((family) => [
      '--ip',
      SERVER_ADDRESSES[family].primary,
      '--alt-ip',
      SERVER_ADDRESSES[family].alternate,
    ]),
  );
}

/** Starts natprobed with these address flags. */
export function startNatprobedOn(
  namespace: Namespace,
  addresses: readonly string[],
  http: readonly string[] = ['--no-http'],
): Promise<RunningServer> {
  const child = namespace.spawn(process.execPath, [SERVER, ...addresses, ...http], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return serverOf(child, 'natprobed', (log) => log.includes(READY));
}

/** Waits until `ready` of what the server has printed so far; stops it by SIGTERM. */
export async function serverOf(
  child: ChildProcess,
  name: string,
  ready: (log: string) => boolean | Promise<boolean>,
): Promise<RunningServer> {
  const output = collectOutput(child);
  const log = (): string => output.stdout + output.stderr;
  const ended = endOf(child);
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!(await ready(log()))) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`${name} ended before it was ready:\n${log()}`);
    if (performance.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`${name} was not ready within ${START_TIMEOUT_MS} ms:\n${log()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    log,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
    async standStill(ms) {
      child.kill('SIGSTOP');
      await new Promise((resolve) => setTimeout(resolve, ms));
      child.kill('SIGCONT');
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Runs the probe from source, as JSON, with these arguments. */
export function runNatprobe(
  client: Namespace,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  return client.run(NATPROBE_COMMAND[0], [NATPROBE_COMMAND[1], ...args, '--json'], {
    ...options,
    env: { ...NATPROBE_ENVIRONMENT, ...options.env },
  });
}

/** The report that natprobe printed; throws with all that it printed if there is none. */
export function readReport({ stdout, stderr, code }: Finished): Report {
  let report: Partial<Report> | undefined;
  try {
    report = JSON.parse(stdout) as Partial<Report>;
  } catch {
    // It is shown below.
  }
  // An error is told as JSON too.
  if (report?.verdict === undefined)
    throw new Error(`natprobe printed no report (exit ${code}):\n${stdout}${stderr}`);
  return report as Report;
}

/** Reads counters of the natprobed whose HTTP is at `api` in that namespace: the first line of each that has such labels. */
export async function readCounters(
  namespace: Namespace,
  api: string,
): Promise<(name: string, labels: string) => number> {
  const read = `fetch('http://${api}/metrics').then((r) => r.text()).then((t) => process.stdout.write(t))`;
  const { stdout } = await namespace.run(process.execPath, ['-e', read]);
  return (name, labels) => Number(new RegExp(`^${name}\\{.*${labels}\\} (\\d+)$`, 'm').exec(stdout)?.[1]);
}
