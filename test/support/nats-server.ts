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
  const ports = options.ports ?? (await freePorts(count));
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-nats-'));
  const routes = Array.from({ length: count }, (_, index) => `nats://${host}:${ports[2 * index + 1]}`);
  const servers = await Promise.all(
    routes.map(async (_, index): Promise<TestNatsServer> => {
      const port = ports[2 * index]!;
      const home = join(folder, `n${index}`);
      mkdirSync(home);
      const file = join(home, 'nats.conf');
      writeFileSync(
        file,
        [
          `server_name: n${index}`,
          `listen: "${host}:${port}"`,
          ...(jetStream ? [`jetstream { store_dir: "${home}" }`] : []),
          ...(count > 1
            ? [
                `cluster { name: lab, listen: "${host}:${ports[2 * index + 1]}", routes: ${JSON.stringify(routes)} }`,
              ]
            : []),
          ...lines,
        ].join('\n'),
      );
      let child: ChildProcess;
      const restart = async (): Promise<void> => {
        child = start(programPath('nats-server')!, ['-c', file]);
        if (options.spawn === undefined) await untilItListens(host, port);
      };
      await restart();
      return {
        url: `nats://${host}:${port}`,
        async kill() {
          if (child.exitCode !== null || child.signalCode !== null) return;
          const ended = once(child, 'exit');
          child.kill('SIGKILL');
          await ended;
        },
        restart,
      };
    }),
  );
  return {
    servers,
    async remove() {
      await Promise.all(servers.map((server) => server.kill()));
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function freePorts(pairs: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < 2 * pairs) {
    const pair = await findFreePorts(HOST);
    if (!pair.some((port) => ports.includes(port))) ports.push(...pair);
  }
  return ports;
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
