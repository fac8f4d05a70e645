import { join, type JoinOptions, type Membership } from '../../index.ts';
import { askYesNo, checkTerminal, type Terminal } from '../ask.ts';
import { EXIT } from '../exit-codes.ts';
import { type JoinFlags, settleConsent, settlePsk } from '../peer-settings.ts';
import { showStatus } from '../render/progress.ts';
import { describePeer } from '../render/punch.ts';
import { renderRoomEvent, type RoomEvent, type RoomNews } from '../render/room-events.ts';
import { decideStyle } from '../render/style.ts';
import type { Settings } from '../settings.ts';
import { classifyHere } from './classify-here.ts';
import { interruptibly } from './interrupt.ts';
import { linger } from './linger.ts';
import { prepareRoom } from './prepare-room.ts';
import { createTeller } from './tell-room.ts';

/**
 * `natprobe join NAME`: registers, lets peers in, and tells what happens, until Ctrl-C or, with --once,
 * after one hole. Returns the exit code. Rejects with a NatprobeError.
 */
export async function joinCommand(name: string, flags: JoinFlags): Promise<number> {
  const consent = settleConsent(flags);
  const psk = settlePsk(flags, process.env);
  const { settings, options } = prepareRoom(flags);
  const terminal = { input: process.stdin, output: process.stderr };
  if (consent === 'ask') checkTerminal(terminal);
  const asked: JoinOptions = {
    ...options,
    name,
    consent,
    ...(psk !== undefined && { psk }),
    onAsk: createAsker(terminal),
  };
  return interruptibly(async (signal) => {
    const membership = await goIn({ ...asked, signal }, settings);
    for await (const hole of membership.holes()) {
      if (flags.once !== true) continue;
      await linger(hole, signal);
      await membership.leave();
    }
    const reason = await membership.left;
    if (reason !== undefined) throw reason;
    return EXIT.opened;
  });
}

/** Classifies this machine and registers it; from then on tells what happens. */
async function goIn(
  options: JoinOptions & { readonly signal: AbortSignal },
  settings: Settings,
): Promise<Membership> {
  const style = decideStyle(settings.color, process.env, process.stdout.isTTY);
  const status = showStatus(process.stderr, 'waiting for the server');
  const tell = (news: RoomNews): void => {
    status.end();
    const event: RoomEvent = { schema: 'natprobe/join@1', at: new Date().toISOString(), ...news };
    process.stdout.write(settings.json ? `${JSON.stringify(event)}\n` : renderRoomEvent(event, style));
  };
  try {
    const report = await classifyHere(settings, status, options.signal);
    status.say('joining the room');
    return await join({ ...options, report, onEvent: createTeller(tell) });
  } finally {
    status.end();
  }
}

/** Asks one question at a time. */
function createAsker(terminal: Terminal): NonNullable<JoinOptions['onAsk']> {
  let before: Promise<unknown> = Promise.resolve();
  return (peer, { signal }) => {
    const ask = (): Promise<boolean | undefined> =>
      askYesNo(`Let ${describePeer(peer)}, in?`, signal, terminal);
    const answer = before.then(ask).then((yes) => yes === true);
    before = answer.catch(() => undefined);
    return answer;
  };
}
