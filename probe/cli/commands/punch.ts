import { readName, readOwnName } from '../../../shared/broker/read-name.ts';
import type { Socket as TcpSocket } from 'node:net';
import { TEXT_LENGTH } from '../../../shared/broker/names.ts';
import { plainLine } from '../../../shared/words.ts';
import { punchAndStay } from '../../drive/join-room.ts';
import type { Hole, PunchReport } from '../../hole.ts';
import { type MembershipEvent, PunchFailedError, type PunchOptions } from '../../join.ts';
import { EXIT } from '../exit-codes.ts';
import { settleProgram } from '../hole-program.ts';
import { type PunchFlags, readPeerName, settlePsk, transportOf } from '../peer-settings.ts';
import { showStatus } from '../render/progress.ts';
import { describeGuessing, describePunching, nameOutcome, plainName, renderPunch } from '../render/punch.ts';
import { decideStyle } from '../../../shared/style.ts';
import type { Settings } from '../settings.ts';
import { classifyHere } from './classify-here.ts';
import { type HoleUse, withUse } from './hole-use.ts';
import { callableOff, interruptibly } from './interrupt.ts';
import { prepareRoom } from './prepare-room.ts';

/**
 * `natprobe punch PEER`: opens a hole, says how, runs a program through it if one was asked for, and
 * returns the exit code. Rejects with a NatprobeError.
 */
export async function punchCommand(peer: string, flags: PunchFlags): Promise<number> {
  readName(peer, 'PEER');
  if (flags.as !== undefined) readOwnName(flags.as, '--as');
  const transport = transportOf(flags);
  const program = settleProgram(flags);
  const psk = settlePsk(flags, process.env);
  const { settings, options } = prepareRoom(flags);
  const asked = {
    ...options,
    ...(flags.as !== undefined && { as: flags.as }),
    ...(psk !== undefined && { psk }),
    transport,
  } as const;
  const tell = (report: PunchReport): void => print(report, settings, program !== undefined);
  return withUse(program, (use) =>
    interruptibly(async (signal) => {
      const ended = await openHole(peer, asked, use, settings, signal);
      if (ended instanceof PunchFailedError) {
        tell(ended.report);
        return ended.report.predicted.outcome === 'relay' ? EXIT.noGo : EXIT.punchFailed;
      }
      const { hole, leave } = ended;
      tell(hole.report);
      try {
        return await use.run(hole, signal);
      } finally {
        // A command may have had the hole's port, and with it what the router maps to that, until now.
        await hole.close();
        await leave();
      }
    }),
  );
}

/** With a way to leave the room that it was asked for in. */
interface OpenedHole<Raw> {
  readonly hole: Hole<Raw | TcpSocket>;
  readonly leave: () => Promise<void>;
}

/** The hole, or how the punch failed; tells meanwhile how far it is, and afterwards what was in its way. Once it is open, `signal` is not for it any more. */
async function openHole<Raw>(
  peer: string,
  options: Omit<PunchOptions<Raw>, 'socket'> & Required<Pick<PunchOptions, 'transport'>>,
  { means }: HoleUse<Raw>,
  settings: Settings,
  signal: AbortSignal,
): Promise<OpenedHole<Raw> | PunchFailedError> {
  const status = showStatus(process.stderr, 'waiting for the server');
  const troubles = new Set<string>();
  const onEvent = (event: MembershipEvent<Raw>): void => {
    if (event.kind === 'trouble') troubles.add(event.error.message);
    const text = describeProgress(event);
    if (text !== undefined) status.say(text);
  };
  try {
    const report = await classifyHere(settings, status, options.transport, signal);
    status.say('joining the room');
    return await callableOff(signal, (callSignal) =>
      punchAndStay(readPeerName(peer), { ...options, report, signal: callSignal, onEvent }, means),
    );
  } catch (error) {
    if (error instanceof PunchFailedError) return error;
    throw error;
  } finally {
    status.end();
    for (const text of troubles) process.stderr.write(`natprobe: ${plainLine(text, LONGEST_TROUBLE)}\n`);
  }
}

/** More than any of ours comes to. */
const LONGEST_TROUBLE = 1000;

/** Standard output is the peer's where a program runs through the hole. */
function print(report: PunchReport, { json, color }: Settings, hasProgram: boolean): void {
  const out = hasProgram ? process.stderr : process.stdout;
  const style = decideStyle(color, process.env, out.isTTY);
  if (json) out.write(`${JSON.stringify(report, undefined, 2)}\n`);
  else out.write(hasProgram ? `${nameOutcome(report, style)}\n` : renderPunch(report, style));
}

/** What goes on, for a line on a terminal; undefined where that is as before. */
function describeProgress<Raw>(event: MembershipEvent<Raw>): string | undefined {
  switch (event.kind) {
    case 'joined':
      return `in room ${plainName(event.room)} as ${plainName(event.name)}`;
    case 'registered':
      return 'registered, asking for an introduction';
    case 'waiting':
      return 'the peer is being asked';
    case 'planned':
      return describePunching({ predicted: event.prediction, attempt: event.attempt });
    case 'guessing':
      return describeGuessing(event);
    case 'lost':
    case 'unregistered':
    case 'trouble':
      return plainLine(event.error.message, TEXT_LENGTH);
    default:
      return undefined;
  }
}
