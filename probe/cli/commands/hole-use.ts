/** What a hole is punched from, and what becomes of it once it is open. */
import type { Socket } from 'node:dgram';
import type { Socket as TcpSocket } from 'node:net';
import type { RoomMeans } from '../../drive/join-room.ts';
import { openUdpSocket } from '../../drive/udp.ts';
import type { Hole } from '../../hole.ts';
import { classify } from '../../index.ts';
import { linger } from '../../linger.ts';
import { EXIT } from '../exit-codes.ts';
import type { HoleProgram } from '../hole-program.ts';

export interface HoleUse<Raw> {
  readonly means: RoomMeans<Raw>;
  /** To its end, with an exit code. An abort ends it in good order. */
  run(hole: Hole<Raw | TcpSocket>, signal: AbortSignal): Promise<number>;
}

/** Runs `act` with the use that goes with a program; without one, a hole is opened and closed. */
export async function withUse<Result>(
  program: HoleProgram | undefined,
  act: <Raw>(use: HoleUse<Raw>) => Promise<Result>,
): Promise<Result> {
  if (program === undefined) return act(onDatagrams(runNothing));
  if (program.kind === 'exec') {
    const { execThrough } = await import('../../streams/exec.ts');
    return act(onDatagrams((hole, signal) => execThrough(hole, program.command, signal)));
  }
  const [{ runStreamProgram }, { openUdxSocket }] = await Promise.all([
    import('../../streams/programs.ts'),
    import('../../streams/udx-socket.ts'),
  ]);
  const io = { input: process.stdin, output: process.stdout, talk: process.stderr };
  return act({
    means: { open: openUdxSocket, measure: classify },
    async run(hole, signal) {
      await runStreamProgram(hole, program, io, signal);
      return EXIT.opened;
    },
  });
}

function onDatagrams(run: HoleUse<Socket>['run']): HoleUse<Socket> {
  return { means: { open: openUdpSocket, measure: classify }, run };
}

async function runNothing(hole: Hole<unknown>, signal: AbortSignal): Promise<number> {
  await linger(hole, signal);
  return EXIT.opened;
}
