/** Reads the secrets that the broker is given in files. */
import { readFileSync } from 'node:fs';
import { NatprobeError } from '../../shared/errors.ts';
import { systemErrorCode } from '../bind-error.ts';
import type { CheckRoomToken } from '../broker/rooms.ts';
import type { NameRelay } from '../broker/punches.ts';
import { nameRelay } from './relay-credentials.ts';
import { checkRoomToken, readRoomTokenKey } from './room-tokens.ts';
import type { PeeringSettings } from './settings.ts';

export interface Peering {
  readonly limits: PeeringSettings['limits'];
  readonly nameRelay?: NameRelay;
  readonly checkRoomToken?: CheckRoomToken;
}

/** Throws ERR_KEY_FILE. */
export function openPeering(settings: PeeringSettings): Peering {
  const { relays, roomKeyFile, roomAudience, limits } = settings;
  const secret = readRelaySecret(settings);
  const roomKey = roomKeyFile === undefined ? undefined : readRoomKey(roomKeyFile, roomAudience);
  return {
    limits,
    ...(relays.length > 0 && { nameRelay: (user) => nameRelay(relays, secret, user, Date.now()) }),
    ...(roomKey !== undefined && {
      checkRoomToken: (token, room, name) => checkRoomToken(roomKey, token, room, name, Date.now()),
    }),
  };
}

/** Undefined where none is given. Throws ERR_KEY_FILE. */
export function readRelaySecret({ relaySecretFile }: PeeringSettings): string | undefined {
  if (relaySecretFile === undefined) return undefined;
  const secret = readKeyFile(relaySecretFile, '--relay-secret-file').trim();
  if (secret === '') throw new NatprobeError('ERR_KEY_FILE', '--relay-secret-file', 'it is empty');
  return secret;
}

function readRoomKey(file: string, audience: string): ReturnType<typeof readRoomTokenKey> {
  const text = readKeyFile(file, '--room-jwt-key');
  try {
    return readRoomTokenKey(text, audience);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new NatprobeError('ERR_KEY_FILE', '--room-jwt-key', error.message, { cause: error });
  }
}

function readKeyFile(file: string, flag: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new NatprobeError('ERR_KEY_FILE', flag, systemErrorCode(error) ?? String(error), { cause: error });
  }
}
