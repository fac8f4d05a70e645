/** Two clients of the lab with a hole between them, and a program that runs through it. */
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { expect } from 'vitest';
import { SERVER_ADDRESSES } from './internet.ts';
import type { Namespace } from './namespaces.ts';
import { NATPROBE_COMMAND, NATPROBE_ENVIRONMENT } from './natprobe.ts';

const SERVER = ['--server', SERVER_ADDRESSES.ipv4.primary, '-4'] as const;
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

/** Starts natprobe on both sides: bob joins, alice punches him. `stdio` is for standard input and output. */
export async function runThroughHole(
  alice: Namespace,
  bob: Namespace,
  programs: { readonly alice: readonly string[]; readonly bob: readonly string[] },
  stdio: { readonly alice?: StdioOptions; readonly bob?: StdioOptions } = {},
): Promise<{ readonly alice: StreamEnd; readonly bob: StreamEnd }> {
  const atBob = startEnd(bob, ['join', 'bob', '--once', ...SERVER, ...programs.bob], stdio.bob);
  await atBob.said(/registered as bob/);
  const asked = ['punch', 'bob', '--as', 'alice', ...SERVER, ...programs.alice];
  return { alice: startEnd(alice, asked, stdio.alice), bob: atBob };
}

/** Has both say hello to each other, and alice leave; what alice's natprobe has said to her. */
export async function chatThroughHole(alice: Namespace, bob: Namespace): Promise<string> {
  const chat = ['--chat'];
  const ends = await runThroughHole(alice, bob, { alice: chat, bob: chat });
  const heard = { alice: '', bob: '' };
  for (const name of ['alice', 'bob'] as const)
    ends[name].process.stdout!.setEncoding('utf8').on('data', (text: string) => (heard[name] += text));
  await Promise.all([ends.alice.said(/bob is here/), ends.bob.said(/alice is here/)]);
  ends.alice.process.stdin!.write('hello bob\n');
  ends.bob.process.stdin!.write('hello alice\n');
  await expect.poll(() => heard).toEqual({ alice: 'bob: hello alice\n', bob: 'alice: hello bob\n' });
  ends.alice.process.stdin!.write('/quit\n');
  expect(await Promise.all([ends.alice.ended, ends.bob.ended])).toEqual([0, 0]);
  expect(ends.bob.talk()).toContain('* alice has left');
  return ends.alice.talk();
}

function startEnd(
  client: Namespace,
  args: readonly string[],
  stdio: StdioOptions = ['pipe', 'pipe'],
): StreamEnd {
  const [node, script] = NATPROBE_COMMAND;
  const child = client.spawn(node, [script, ...args], {
    env: { ...process.env, ...NATPROBE_ENVIRONMENT },
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
        const fail = (why: string): void => reject(new Error(`${args[0]!} ${why} before ${words}: ${talk}`));
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
