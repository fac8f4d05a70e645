/** natprobed under a load of reports, and what is left of them when it is killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { PostedReport } from '../../server/http/routes/post-report.ts';
import { findFreePorts } from '../unit/server/loopback.ts';

const NATPROBED = fileURLToPath(new URL('../../server/main.ts', import.meta.url));
const HOST = '127.0.0.1';

export interface HttpServer {
  readonly child: ChildProcess;
  /** `http://127.0.0.1:PORT` */
  readonly api: string;
  /** SIGKILL; resolves once the process is gone. */
  readonly kill: () => Promise<void>;
}

/** A whole natprobed, its HTTP on loopback; `prefix` is a command to start it with, as `taskset -c 0`. */
export async function startHttpServer(
  more: readonly string[],
  prefix: readonly string[] = [],
): Promise<HttpServer> {
  const [[port, alternatePort], [httpPort]] = [await findFreePorts(HOST), await findFreePorts(HOST)];
  const flags = ['--ip', HOST, '--port', `${port}`, '--alt-port', `${alternatePort}`, '--no-self-test'];
  const args = [NATPROBED, ...flags, '--http', `${HOST}:${httpPort}`, ...more];
  return {
    ...(await startOnHttp([...prefix, process.execPath, ...args])),
    api: `http://${HOST}:${httpPort}`,
  };
}

/** Starts a command that prints a line once it serves. */
export async function startOnHttp(command: readonly string[]): Promise<Omit<HttpServer, 'api'>> {
  const [program, ...args] = command;
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const ended = once(child, 'exit');
  await Promise.race([
    once(child.stdout, 'data'),
    ended.then(() => Promise.reject(new Error(`${command.join(' ')} ended before it was ready: ${log}`))),
  ]);
  return {
    child,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Posts `body` from several connections at once, kills the server after `count` answers; returns all ids that it has answered. */
export async function killAfterAnswers(
  { api, kill }: HttpServer,
  body: string,
  connections: number,
  count: number,
): Promise<string[]> {
  const ids: string[] = [];
  const headers = { 'content-type': 'application/json' };
  await Promise.all(
    Array.from({ length: connections }, async () => {
      for (;;) {
        try {
          const response = await fetch(`${api}/classify`, { method: 'POST', headers, body });
          if (response.status === 201) {
            if (ids.push(((await response.json()) as PostedReport).id) === count) void kill();
          } else throw new RangeError(`answered ${response.status}: ${await response.text()}`);
        } catch (error) {
          if (error instanceof RangeError) throw error;
          return;
        }
      }
    }),
  );
  return ids;
}

/** Those of the ids that the server does not have. */
export async function missingReports(api: string, ids: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (const id of ids) {
    const response = await fetch(`${api}/classify/${id}`);
    await response.arrayBuffer();
    if (response.status !== 200) missing.push(id);
  }
  return missing;
}
