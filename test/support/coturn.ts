/** A coturn with the settings of deploy/, which a test may change. */
import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readDeployFile } from '../deploy/deploy-files.ts';
import { type RunningServer, serverOf } from '../lab/natprobe.ts';
import { programPath } from './system-programs.ts';

export interface CoturnOptions {
  readonly address: string;
  readonly secret: string;
  /** Settings in place of those of the same name. */
  readonly change?: Readonly<Record<string, string>>;
  /** In a namespace. */
  readonly spawn?: (command: string, args: readonly string[], options: SpawnOptions) => ChildProcess;
}

const SETTINGS = readDeployFile('coturn/turnserver.conf');
export const COTURN_PORT = Number(/^listening-port=(\d+)$/m.exec(SETTINGS)![1]);

export async function startCoturn(options: CoturnOptions): Promise<RunningServer> {
  const { address, secret, change = {}, spawn: start = spawn } = options;
  const folder = await mkdtemp(join(tmpdir(), 'natprobe-coturn-'));
  const file = join(folder, 'turnserver.conf');
  const kept = SETTINGS.split('\n').filter((line) => !(line.split('=')[0]! in change));
  const changed = Object.entries(change).map(([name, value]) => `${name}=${value}`);
  await writeFile(file, [...kept, ...changed, `static-auth-secret=${secret}`, ''].join('\n'));
  const own = [`--pidfile=${join(folder, 'pid')}`, `--userdb=${join(folder, 'users')}`];
  const args = ['-c', file, `--listening-ip=${address}`, `--relay-ip=${address}`, ...own];
  const child = start(programPath('turnserver')!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const server = await serverOf(child, 'turnserver', (log) => log.includes('admin thread'));
  return {
    ...server,
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true });
    },
  };
}
