/** The settings of the commands that meet peers: the room, its secrets, and who gets in. */
import type { Consent, Transport } from '../../shared/broker/messages.ts';
import { DEFAULT_ROOM } from '../../shared/broker/names.ts';
import { readName } from '../../shared/broker/read-name.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { ProgramFlags } from './hole-program.ts';
import { readSecret } from './secrets.ts';
import type { Flags } from './settings.ts';

/** Those of `peers`, `preflight PEER`, `join` and `punch`. */
export interface RoomFlags extends Flags {
  readonly room?: string;
  readonly roomKey?: string;
  readonly roomKeyFile?: string;
  readonly roomTokenFile?: string;
}

/** Those of `natprobe preflight`. */
export interface PreflightFlags extends RoomFlags {
  readonly tcp?: boolean;
}

/** Those of `join` and `punch`. */
export interface HoleFlags extends RoomFlags, ProgramFlags {
  readonly psk?: string;
  readonly pskFile?: string;
}

/** Those of `natprobe join`. */
export interface JoinFlags extends HoleFlags {
  readonly ask?: boolean;
  readonly refuse?: boolean;
  readonly once?: boolean;
}

/** Those of `natprobe punch`. */
export interface PunchFlags extends HoleFlags, PreflightFlags {
  readonly as?: string;
}

/** Which room, and what lets one into it. */
export interface RoomSettings {
  readonly room: string;
  readonly roomKey?: string;
  readonly roomToken?: string;
}

/** Throws ERR_PEER_NAME, ERR_FLAGS, ERR_SECRET. */
export function settleRoom(flags: RoomFlags, env: NodeJS.ProcessEnv): RoomSettings {
  const { room = DEFAULT_ROOM, roomKey: given, roomKeyFile, roomTokenFile } = flags;
  readName(room, '--room');
  const roomKey = readSecret(
    {
      fileFlag: '--room-key-file',
      file: roomKeyFile,
      flag: '--room-key',
      given,
      variable: 'NATPROBE_ROOM_KEY',
    },
    env,
  );
  const roomToken = readSecret(
    { fileFlag: '--room-token-file', file: roomTokenFile, variable: 'NATPROBE_ROOM_TOKEN' },
    env,
  );
  return {
    room,
    ...(roomKey !== undefined && { roomKey }),
    ...(roomToken !== undefined && { roomToken }),
  };
}

/** The secret that both peers were given beforehand, if any. Throws ERR_FLAGS, ERR_SECRET. */
export function settlePsk({ psk, pskFile }: HoleFlags, env: NodeJS.ProcessEnv): string | undefined {
  return readSecret(
    { fileFlag: '--psk-file', file: pskFile, flag: '--psk', given: psk, variable: 'NATPROBE_PSK' },
    env,
  );
}

/** What is punched over. */
export function transportOf({ tcp = false }: PreflightFlags): Transport {
  return tcp ? 'tcp' : 'udp';
}

/** Whether others are let in. Throws ERR_FLAGS. */
export function settleConsent({ ask = false, refuse = false }: JoinFlags): Consent {
  if (ask && refuse) throw new NatprobeError('ERR_FLAGS', '--ask and --refuse', 'choose one of them');
  if (refuse) return 'refuse';
  return ask ? 'ask' : 'auto';
}

/** As typed: digits alone are a number, and everything else is a name (the broker takes no other names). */
export function readPeerName(text: string): string | number {
  return /^\d{1,10}$/.test(text) ? Number(text) : text;
}
