import type { Consent } from '../../../shared/broker/messages.ts';
import { readOwnName } from '../../../shared/broker/read-name.ts';
import { joinRoom } from '../../drive/join-room.ts';
import type { JoinOptions, RoomOptions } from '../../join.ts';
import { askYesNo, checkTerminal, type Terminal } from '../ask.ts';
import { settleProgram } from '../hole-program.ts';
import { type JoinFlags, settleConsent, settlePsk } from '../peer-settings.ts';
import { showStatus } from '../render/progress.ts';
import { namePeer } from '../render/punch.ts';
import { renderRoomEvent, type RoomNews } from '../render/room-events.ts';
import { decideStyle } from '../../../shared/style.ts';
import type { Settings } from '../settings.ts';
import { classifyHere } from './classify-here.ts';
import { type HoleUse, withUse } from './hole-use.ts';
import { callableOff, interruptibly } from './interrupt.ts';
import { prepareRoom } from './prepare-room.ts';
import { HoleService, type ServiceOptions } from './serve-holes.ts';
import { createTeller } from './tell-room.ts';

/**
 * `natprobe join NAME`: registers, lets peers in, and tells what happens, until Ctrl-C or, with --once,
 * after one hole. Returns the exit code. Rejects with a NatprobeError.
 */
export async function joinCommand(name: string, flags: JoinFlags): Promise<number> {
  readOwnName(name, 'NAME');
  const consent = settleConsent(flags);
  const program = settleProgram(flags);
  const psk = settlePsk(flags, process.env);
  const { settings, options } = prepareRoom(flags);
  if (consent === 'ask') checkTerminal(TERMINAL);
  const run: JoinRun = {
    options: { ...options, name, ...(psk !== undefined && { psk }) },
    settings,
    consent,
    // Standard output is the peer's where a program runs through the hole.
    out: program === undefined ? process.stdout : process.stderr,
    program,
    isOnce: flags.once === true,
  };
  return withUse(program, (use) => interruptibly((signal) => joinAndServe(run, use, signal)));
}

const TERMINAL: Terminal = { input: process.stdin, output: process.stderr };

interface JoinRun extends Omit<ServiceOptions, 'tell'> {
  readonly options: RoomOptions & { readonly name: string };
  readonly settings: Settings;
  readonly consent: Consent;
  readonly out: NodeJS.WriteStream;
}

async function joinAndServe<Raw>(run: JoinRun, use: HoleUse<Raw>, signal: AbortSignal): Promise<number> {
  const { settings, consent } = run;
  const status = showStatus(process.stderr, 'waiting for the server');
  const print = createPrinter(run);
  const tell = (news: RoomNews): void => {
    status.end();
    print(news);
  };
  const service = new HoleService(use, { ...run, tell });
  const isAsking = consent === 'ask';
  try {
    // A peer may ask for either.
    const report = await classifyHere(settings, status, 'tcp', signal);
    status.say('joining the room');
    const options: JoinOptions<Raw> = {
      ...run.options,
      ...service.admission(consent, isAsking ? createAsker() : undefined),
      report,
      onEvent: createTeller(tell, isAsking),
    };
    const membership = await callableOff(signal, (callSignal) =>
      joinRoom({ ...options, signal: callSignal }, use.means),
    );
    status.end();
    return await service.serve(membership, signal);
  } finally {
    status.end();
  }
}

function createPrinter({ settings, out }: JoinRun): (news: RoomNews) => void {
  const style = decideStyle(settings.color, process.env, out.isTTY);
  return (news) => {
    const event = { schema: 'natprobe/join@1', at: new Date().toISOString(), ...news } as const;
    out.write(settings.json ? `${JSON.stringify(event)}\n` : renderRoomEvent(event, style));
  };
}

/** Asks one question at a time. */
function createAsker(): NonNullable<JoinOptions['onAsk']> {
  let before: Promise<unknown> = Promise.resolve();
  return (peer, { signal }) => {
    const ask = (): Promise<boolean | undefined> => askYesNo(`Let ${namePeer(peer)} in?`, signal, TERMINAL);
    const answer = before.then(ask).then((yes) => yes === true);
    before = answer.catch(() => undefined);
    return answer;
  };
}
