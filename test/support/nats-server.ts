/** NATS servers of a test's own: one, or a cluster with JetStream; files in a temporary folder, ports free ones. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePorts } from '../unit/server/loopback.ts';
import type { Missing } from './requirements.ts';
import { missingPrograms, programPath } from './system-programs.ts';

const HOST = '127.0.0.1';
const START_TIMEOUT_MS = 15_000;

export function natsMissing(): Missing {
  return missingPrograms('nats-server');
}

export interface TestNatsServer {
  readonly url: string;
  /** SIGKILL; resolves once it is gone. */
  kill(): Promise<void>;
  /** After `kill`; resolves once it takes connections. */
  restart(): Promise<void>;
}

export interface TestNats {
  readonly servers: readonly TestNatsServer[];
  /** Ends all at once, and starts them again, with what they have kept, as a cluster of so many. */
  grow(count: number): Promise<void>;
  remove(): Promise<void>;
}

export interface TestNatsOptions {
  /** More than one are a cluster. */
  readonly servers?: number;
  /** False: without JetStream. */
  readonly jetStream?: boolean;
  /** Lines of every server's configuration: `authorization { user: ann, password: secret }`. */
  readonly lines?: readonly string[];
  /** Where to start them: inside a namespace, say. There `host` is an address of it. */
  readonly spawn?: (program: string, args: readonly string[]) => ChildProcess;
  readonly host?: string;
  /** Of clients and of the cluster's routes, two a server; free ones of this machine if absent. */
  readonly ports?: readonly number[];
}

/** Resolves once all take connections; a cluster's JetStream may need some seconds more to elect its leader. */
export async function startNats(options: TestNatsOptions = {}): Promise<TestNats> {
  const { servers: count = 1, host = HOST, lines = [], jetStream = true } = options;
  const start = options.spawn ?? ((program, args) => spawn(program, args, { stdio: 'ignore' }));
  const ports = [...(options.ports ?? [])];
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-nats-'));
  const homeOf = (index: number): string => join(folder, `n${index}`);
  const servers: TestNatsServer[] = [];
  await startAll(count);
  return {
    servers,
    async grow(larger) {
      await killAll();
      await startAll(larger);
    },
    async remove() {
      await killAll();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };

  async function startAll(size: number): Promise<void> {
    while (ports.length < 2 * size) {
      const pair = await findFreePorts(HOST);
      if (!pair.some((port) => ports.includes(port))) ports.push(...pair);
    }
    const all = Array.from({ length: size }, (_, index) => index);
    for (const index of all) configure(index, size);
    for (const index of all.slice(servers.length)) servers.push(serverAt(index));
    await Promise.all(servers.map((server) => server.restart()));
  }

  async function killAll(): Promise<void> {
    await Promise.all(servers.map((server) => server.kill()));
  }

  function configure(index: number, size: number): void {
    const routes = ports.filter((_, at) => at % 2 === 1).map((port) => `nats://${host}:${port}`);
    const cluster = `cluster { name: lab, listen: "${host}:${ports[2 * index + 1]}", routes: ${JSON.stringify(routes)} }`;
    mkdirSync(homeOf(index), { recursive: true });
    writeFileSync(
      join(homeOf(index), 'nats.conf'),
      [
        `server_name: n${index}`,
        `listen: "${host}:${ports[2 * index]}"`,
        ...(jetStream ? [`jetstream { store_dir: "${homeOf(index)}" }`] : []),
        ...(size > 1 ? [cluster] : []),
        ...lines,
      ].join('\n'),
    );
  }

  function serverAt(index: number): TestNatsServer {
    const port = ports[2 * index]!;
    let child: ChildProcess | undefined;
    return {
      url: `nats://${host}:${port}`,
      async kill() {
        if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      },
      async restart() {
        child = start(programPath('nats-server')!, ['-c', join(homeOf(index), 'nats.conf')]);
        if (options.spawn === undefined) await untilItListens(host, port);
      },
    };
  }
}

async function untilItListens(host: string, port: number): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const socket = connect({ host, port });
    try {
      await once(socket, 'connect');
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(20);
    } finally {
      socket.destroy();
    }
  }
}
