/**
 * Runs inside a namespace: goes into a room, opens a hole or waits for one, and runs a program through it
 * with its own standard input and output. What it is to do is its argument, in JSON (`StreamTask`); it says
 * `registered`, `open` and how it ended on standard error, a line each.
 */
import { execThrough } from '../../probe/streams/exec.ts';
import { joinForStreams, punchForStreams } from '../../probe/streams/room.ts';
import { runStreamProgram, type StreamProgram } from '../../probe/streams/programs.ts';
import type { Hole } from '../../probe/hole.ts';
import type { UDXSocket } from 'udx-native';

export interface StreamTask {
  readonly server: string;
  readonly name: string;
  /** Whom to punch; without one a hole is waited for. */
  readonly peer?: string;
  readonly program: StreamProgram | { readonly kind: 'exec'; readonly command: string };
}

const task = JSON.parse(process.argv[2]!) as StreamTask;
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
process.exitCode = await (task.peer === undefined ? accept() : ask(task.peer));

async function accept(): Promise<number> {
  const { server, name } = task;
  const membership = await joinForStreams({ server, name, families: ['ipv4'] });
  tell('registered');
  for await (const hole of membership.holes()) {
    const code = await run(hole);
    await membership.leave();
    return code;
  }
  return 1;
}

async function ask(peer: string): Promise<number> {
  const { server, name } = task;
  const hole = await punchForStreams(peer, { server, as: name, families: ['ipv4'] });
  const code = await run(hole);
  await hole.close();
  return code;
}

async function run(hole: Hole<UDXSocket>): Promise<number> {
  tell(`open ${hole.report.strategy}`);
  if (task.program.kind === 'exec') return execThrough(hole, task.program.command, stop.signal);
  const { stdin: input, stdout: output, stderr: talk } = process;
  await runStreamProgram(hole, task.program, { input, output, talk }, stop.signal);
  tell('done');
  return 0;
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}
