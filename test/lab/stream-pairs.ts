/** Two clients of the lab with a hole between them, and a program that runs through it. */
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { formatEndpoint } from '../../shared/endpoint.ts';
import { SERVER_ADDRESSES } from './internet.ts';
import type { Namespace } from './namespaces.ts';
import type { StreamTask } from './stream-agent.ts';

const AGENT = fileURLToPath(new URL('stream-agent.ts', import.meta.url));
const STUN_PORT = 3478;
const PATIENCE_MS = 60_000;

/** One end: its process, and what it has said so far. */
export interface StreamEnd {
  readonly process: ChildProcess;
  readonly talk: () => string;
  /** Resolves when it has said something of that kind; rejects if it ends before. */
  said(words: RegExp): Promise<RegExpExecArray>;
  /** Resolves with its exit code when it has ended. */
  readonly ended: Promise<number | null>;
}

/** Starts the program on both sides: bob waits, alice punches him. `stdio` is for standard input and output. */
export async function runThroughHole(
  alice: Namespace,
  bob: Namespace,
  programs: { readonly alice: StreamTask['program']; readonly bob: StreamTask['program'] },
  stdio: { readonly alice?: StdioOptions; readonly bob?: StdioOptions } = {},
): Promise<{ readonly alice: StreamEnd; readonly bob: StreamEnd }> {
  const server = formatEndpoint({ address: SERVER_ADDRESSES.ipv4.primary, port: STUN_PORT });
  const atBob = startEnd(bob, { server, name: 'bob', program: programs.bob }, stdio.bob);
  await atBob.said(/^registered$/m);
  const task = { server, name: 'alice', peer: 'bob', program: programs.alice };
  const atAlice = startEnd(alice, task, stdio.alice);
  return { alice: atAlice, bob: atBob };
}

function startEnd(client: Namespace, task: StreamTask, stdio: StdioOptions = ['pipe', 'pipe']): StreamEnd {
  const child = client.spawn(process.execPath, [AGENT, JSON.stringify(task)], {
    stdio: [...(stdio as 'pipe'[]), 'pipe'],
  });
  let talk = '';
  let look = (): void => undefined;
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    talk += text;
    look();
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    process: child,
    talk: () => talk,
    ended,
    said: (words) =>
      new Promise((resolve, reject) => {
        const fail = (why: string): void => reject(new Error(`${task.name} ${why} before ${words}: ${talk}`));
        const timer = setTimeout(() => fail('said nothing'), PATIENCE_MS);
        void ended.then(() => fail('ended'));
        look = () => {
          const found = words.exec(talk);
          if (found === null) return;
          clearTimeout(timer);
          resolve(found);
        };
        look();
      }),
  };
}
