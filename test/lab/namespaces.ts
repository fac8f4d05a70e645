/**
 * Network namespaces that vanish with their owner.
 *
 * Each namespace is held by a shell that waits for the end of its standard input, a pipe from this
 * process. However this process ends, SIGKILL included, the kernel closes the pipe; the shell then
 * kills what still runs in its namespace and ends, and the namespace goes with its devices and rules.
 * So nothing has a name, nothing can clash with another run, and nothing is left to clean.
 *
 * As root the namespaces are plain ones; otherwise they belong to a user namespace of their own.
 */
import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { missingPrograms, systemPath } from '../support/system-programs.ts';

/** What a program in a namespace printed, and how it ended. */
export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
  /** The exit status, or undefined if a signal ended it. */
  readonly code: number | undefined;
  /** From the start of the process to its end, in milliseconds. */
  readonly wallMs: number;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** After this the program is killed and run() rejects. */
  readonly timeoutMs?: number;
}

export interface Namespace {
  readonly name: string;
  /** The process that holds it: what `ip link set DEVICE netns PID` wants. */
  readonly holder: number;
  /** A command line that begins so runs in it. */
  readonly enter: readonly string[];
  /** Starts a program in it. */
  spawn(command: string, args: readonly string[], options?: SpawnOptions): ChildProcess;
  /** Runs a program in it to its end, whatever its exit status. Rejects if it can't start or takes too long. */
  run(command: string, args: readonly string[], options?: RunOptions): Promise<Finished>;
  /** Runs a shell script in it; rejects with the script's talk if any line of it fails. */
  script(lines: string): Promise<void>;
  /** Kills what runs in it and removes it. */
  close(): Promise<void>;
}

/** Makes namespaces that can see each other: all plain, or all in one user namespace. */
export interface NamespaceMaker {
  open(name: string): Promise<Namespace>;
}

type Privilege = 'root' | 'user-namespace';

/** Says why no kernel NAT can be made on this machine, or undefined if one can. */
export function labMissing(): string | undefined {
  if (process.platform !== 'linux') return `network namespaces need Linux, and this is ${process.platform}`;
  return (
    missingPrograms('unshare', 'nsenter', 'ip', 'nft', 'conntrack', 'find') ?? privilegeOrReason().reason
  );
}

/** Throws where labMissing() gives a reason. */
export function namespaceMaker(): NamespaceMaker {
  const { privilege, reason } = privilegeOrReason();
  if (privilege === undefined) throw new Error(`no network namespaces here: ${reason}`);
  let first: Promise<Namespace> | undefined;
  return {
    open(name) {
      if (privilege === 'root') return openNamespace(name, privilege, ['unshare', '--net']);
      if (first === undefined) {
        first = openNamespace(name, privilege, ['unshare', '--user', '--map-root-user', '--net']);
        return first;
      }
      // The later ones go into the user namespace of the first, which has to be up.
      return first.then(({ holder }) =>
        openNamespace(name, privilege, [...enterUserNamespace(holder), '--', 'unshare', '--net']),
      );
    },
  };
}

// What the holder runs. It has to outlive an interrupt typed at the terminal, which reaches its
// whole process group, so that the programs in the namespace can end in their own way first.
const HOLDER_SCRIPT = `
trap '' INT TERM HUP
echo up
cat >/dev/null
inode=$(readlink /proc/self/ns/net | tr -dc 0-9)
for entry in $(find /proc/[0-9]*/ns/net -lname "net:?$inode?" 2>/dev/null); do
  pid=\${entry#/proc/}
  pid=\${pid%%/*}
  [ "$pid" = $$ ] || kill -KILL "$pid" 2>/dev/null
done
`;

async function openNamespace(
  name: string,
  privilege: Privilege,
  unshare: readonly string[],
): Promise<Namespace> {
  const held = spawn(unshare[0]!, [...unshare.slice(1), 'sh', '-c', HOLDER_SCRIPT], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: labEnvironment(),
  });
  const ended = endOf(held);
  await firstOutput(held, `namespace ${name}`);
  const holder = held.pid!;
  const prefix = [
    ...(privilege === 'root' ? ['nsenter', '--target', String(holder)] : enterUserNamespace(holder)),
    '--net',
    '--',
  ];

  const spawnInside: Namespace['spawn'] = (command, args, options = {}) =>
    spawn(prefix[0]!, [...prefix.slice(1), command, ...args], {
      ...options,
      env: { ...labEnvironment(), ...options.env },
    });

  const run: Namespace['run'] = async (command, args, options = {}) => {
    const startedAt = performance.now();
    const child = spawnInside(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    const output = collectOutput(child);
    // A program that ends before it has read its input is no error of ours.
    child.stdin!.on('error', () => undefined);
    child.stdin!.end(options.input ?? '');
    const code = await endOf(child, options.timeoutMs ?? 60_000, `${command} in namespace ${name}`);
    return { ...output, code, wallMs: performance.now() - startedAt };
  };

  return {
    name,
    holder,
    enter: prefix,
    spawn: spawnInside,
    run,
    async script(lines) {
      const { code, stdout, stderr } = await run('sh', ['-e'], { input: lines });
      if (code !== 0)
        throw new Error(`setting up namespace ${name} failed (${code}):\n${stdout}${stderr}\n${lines}`);
    },
    async close() {
      held.stdin.end();
      await ended;
    },
  };
}

/** Resolves with the exit status (undefined after a signal). With a limit, kills and rejects at it. */
export function endOf(
  child: ChildProcess,
  timeoutMs?: number,
  what = 'program',
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            child.kill('SIGKILL');
            reject(new Error(`${what} ran for more than ${timeoutMs} ms`));
          }, timeoutMs);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve(code ?? undefined);
    });
  });
}

/** Gathers what a child prints; the texts grow until it ends. */
export function collectOutput(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  return output;
}

function firstOutput(child: ChildProcess, what: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const output = collectOutput(child);
    child.stdout?.once('data', () => resolve());
    child.once('error', reject);
    child.once('close', () => reject(new Error(`${what} could not be made: ${output.stderr.trim()}`)));
  });
}

function enterUserNamespace(holder: number): string[] {
  return ['nsenter', '--target', String(holder), '--user', '--preserve-credentials'];
}

function labEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: systemPath() };
}

let known: { privilege?: Privilege; reason?: string } | undefined;

function privilegeOrReason(): { privilege?: Privilege; reason?: string } {
  known ??= tryPrivileges();
  return known;
}

// Tried rather than worked out: containers, security modules and kernels forbid each part of it separately.
function tryPrivileges(): { privilege?: Privilege; reason?: string } {
  const trial = ['nft', 'add table ip t; add chain ip t c { type nat hook postrouting priority srcnat; }'];
  const failures: string[] = [];
  for (const [privilege, flags] of [
    ['root', ['--net']],
    ['user-namespace', ['--user', '--map-root-user', '--net']],
  ] as const) {
    if (privilege === 'root' && process.getuid?.() !== 0) continue;
    const { status, stderr } = spawnSync('unshare', [...flags, ...trial], {
      env: labEnvironment(),
      encoding: 'utf8',
      timeout: 10_000,
    });
    if (status === 0) return { privilege };
    failures.push(stderr.trim().split('\n')[0] ?? '');
  }
  return { reason: `network namespaces with netfilter cannot be made: ${failures.join('; ')}` };
}
