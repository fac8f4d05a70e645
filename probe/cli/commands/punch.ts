import { TEXT_LENGTH } from '../../../shared/broker/names.ts';
import { plainLine } from '../../../shared/words.ts';
import { type Hole, punch, PunchFailedError, type PunchReport } from '../../index.ts';
import type { MembershipEvent, PunchOptions } from '../../join.ts';
import { EXIT } from '../exit-codes.ts';
import { type PunchFlags, readPeerName, settlePsk } from '../peer-settings.ts';
import { showStatus } from '../render/progress.ts';
import { describePunching, plainName, renderPunch } from '../render/punch.ts';
import { decideStyle } from '../render/style.ts';
import type { Settings } from '../settings.ts';
import { classifyHere } from './classify-here.ts';
import { interruptibly } from './interrupt.ts';
import { linger } from './linger.ts';
import { prepareRoom } from './prepare-room.ts';

/** `natprobe punch PEER`: opens a hole, says how, and returns the exit code. Rejects with a NatprobeError. */
export async function punchCommand(peer: string, flags: PunchFlags): Promise<number> {
  const psk = settlePsk(flags, process.env);
  const { settings, options } = prepareRoom(flags);
  const asked: PunchOptions = {
    ...options,
    ...(flags.as !== undefined && { as: flags.as }),
    ...(psk !== undefined && { psk }),
    transport: flags.tcp === true ? 'tcp' : 'udp',
  };
  return interruptibly(async (signal) => {
    const ended = await openHole(peer, { ...asked, signal }, settings);
    const isOpen = !(ended instanceof PunchFailedError);
    print(ended.report, settings);
    if (!isOpen) return ended.report.predicted.outcome === 'relay' ? EXIT.noGo : EXIT.punchFailed;
    await linger(ended, signal);
    await ended.close();
    return EXIT.opened;
  });
}

/** The hole, or how the punch failed; tells meanwhile how far it is. */
async function openHole(
  peer: string,
  options: PunchOptions & { readonly signal: AbortSignal },
  settings: Settings,
): Promise<Hole<unknown> | PunchFailedError> {
  const status = showStatus(process.stderr, 'waiting for the server');
  try {
    const report = await classifyHere(settings, status, options.signal);
    status.say('joining the room');
    return await punch(readPeerName(peer), {
      ...options,
      report,
      onEvent(event) {
        const text = describeProgress(event);
        if (text !== undefined) status.say(text);
      },
    });
  } catch (error) {
    if (error instanceof PunchFailedError) return error;
    throw error;
  } finally {
    status.end();
  }
}

function print(report: PunchReport, { json, color }: Settings): void {
  const style = decideStyle(color, process.env, process.stdout.isTTY);
  process.stdout.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : renderPunch(report, style));
}

/** What goes on, for a line on a terminal; undefined where that is as before. */
function describeProgress(event: MembershipEvent): string | undefined {
  switch (event.kind) {
    case 'joined':
      return `in room ${plainName(event.room)} as ${plainName(event.name)}`;
    case 'registered':
      return 'registered, asking for an introduction';
    case 'waiting':
      return 'the peer is being asked';
    case 'planned':
      return describePunching({ predicted: event.prediction, attempt: event.attempt });
    case 'lost':
    case 'unregistered':
    case 'trouble':
      return plainLine(event.error.message, TEXT_LENGTH);
    default:
      return undefined;
  }
}
