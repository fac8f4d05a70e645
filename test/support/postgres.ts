/** A PostgreSQL of a test's own: its files in a temporary folder, its port on loopback, its user never root. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { findFreePorts } from '../unit/server/loopback.ts';
import type { Missing } from './requirements.ts';
import { missingPrograms } from './system-programs.ts';

const HOST = '127.0.0.1';
const USER = 'natprobe';
/** Only with it may one connect: a test that loses it fails. */
export const POSTGRES_PASSWORD = 's3cret/with@signs';
/** Debian keeps each version's programs in a folder of its own. */
const VERSIONS = '/usr/lib/postgresql';
const START_TIMEOUT_MS = 30_000;

export function postgresMissing(): Missing {
  if (programsFolder() === undefined) return 'not installed: postgresql';
  return isRoot() ? missingPrograms('setpriv') : undefined;
}

export interface PostgresCluster {
  readonly port: number;
  /** Of a database with nothing in it, with the password. */
  createDatabase(): Promise<string>;
  /** Of a database that is there, as seen by an administrator. */
  query(url: string, text: string): Promise<readonly Record<string, unknown>[]>;
  /** SIGKILL of it all; resolves once it is gone. */
  kill(): Promise<void>;
  /** After `kill`; resolves once it answers. */
  restart(): Promise<void>;
  /** SIGSTOP and SIGCONT: it is there, and says nothing. */
  pause(): void;
  resume(): void;
  remove(): Promise<void>;
}

/** Resolves once it answers; `settings` are as in postgresql.conf. */
export async function startPostgres(settings: readonly string[] = []): Promise<PostgresCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-postgres-'));
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${POSTGRES_PASSWORD}\n`);
  const owner = ownerOf();
  if (owner !== undefined) for (const path of [folder, passwordFile]) chownSync(path, owner.uid, owner.gid);
  const data = join(folder, 'data');
  const asOwner = owner === undefined ? [] : ['setpriv', ...owner.flags];
  const [initdb, ...initdbArgs] = [
    ...asOwner,
    join(programsFolder()!, 'initdb'),
    ...['-D', data, '-U', USER, '-A', 'scram-sha-256', '--pwfile', passwordFile, '-E', 'UTF8', '--no-sync'],
  ];
  execFileSync(initdb!, initdbArgs, { stdio: 'pipe', cwd: folder });
  const [port] = await findFreePorts(HOST);
  const urlOf = (name: string): string =>
    `postgres://${USER}:${encodeURIComponent(POSTGRES_PASSWORD)}@${HOST}:${port}/${name}`;
  let server: ChildProcess;
  const start = async (): Promise<void> => {
    // What is killed loses nothing that the kernel has; what loses power is not tested.
    const options = [`port=${port}`, `listen_addresses=${HOST}`, 'fsync=off', ...settings];
    const [program, ...args] = [
      ...asOwner,
      join(programsFolder()!, 'postgres'),
      ...['-D', data, '-k', folder, ...options.flatMap((option) => ['-c', option])],
    ];
    server = spawn(program!, args, { stdio: 'ignore', cwd: folder });
    await untilItAnswers(urlOf('postgres'));
  };
  const kill = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    // All processes of its, that none writes on: each of its backends leads a group of its own.
    const family = childrenOf(server.pid!);
    for (const pid of [server.pid!, ...family]) killProcess(pid, 'SIGKILL');
    await ended;
  };
  await start();
  let databases = 0;
  return {
    port,
    async createDatabase() {
      databases += 1;
      const name = `natprobe_${databases}`;
      await query(urlOf('postgres'), `create database ${name} template template0 strategy wal_log`);
      return urlOf(name);
    },
    query,
    kill,
    restart: start,
    pause: () => [server.pid!, ...childrenOf(server.pid!)].forEach((pid) => killProcess(pid, 'SIGSTOP')),
    resume: () => [server.pid!, ...childrenOf(server.pid!)].forEach((pid) => killProcess(pid, 'SIGCONT')),
    async remove() {
      await kill();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function query(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

async function untilItAnswers(url: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      await query(url, 'select 1');
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

function childrenOf(pid: number): number[] {
  try {
    const output = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' });
    return output.split('\n').filter(Boolean).map(Number);
  } catch {
    // ps ends in 1 if there are none.
    return [];
  }
}

function killProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** Of the newest version. */
function programsFolder(): string | undefined {
  try {
    const newest = readdirSync(VERSIONS)
      .filter((name) => /^\d+$/.test(name))
      .sort((a, b) => Number(b) - Number(a))[0];
    return newest === undefined ? undefined : join(VERSIONS, newest, 'bin');
  } catch {
    return undefined;
  }
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
  readonly flags: readonly string[];
}

/** Whom it runs as where this is root, which it refuses to. */
function ownerOf(): Owner | undefined {
  if (!isRoot()) return undefined;
  const idOf = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  const [uid, gid] = [idOf('-u'), idOf('-g')];
  return { uid, gid, flags: [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'] };
}
