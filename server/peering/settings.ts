/** What natprobed is told about its broker: flags in, settings out. Pure. */
import { NatprobeError } from '../../shared/errors.ts';
import { parseTurnUri } from '../../shared/turn-uri.ts';

/** As typed. */
export interface PeeringFlags {
  /** URIs of TURN servers. */
  readonly relay?: readonly string[];
  readonly relaySecretFile?: string;
  readonly roomJwtKey?: string;
  readonly roomJwtAudience?: string;
  readonly peers?: string;
  readonly peersPerClient?: string;
}

export interface PeeringSettings {
  readonly relays: readonly string[];
  /** Of the secret that the relays know too. */
  readonly relaySecretFile?: string;
  /** Who joins needs a token that was signed with this key. */
  readonly roomKeyFile?: string;
  /** Whom tokens that name somebody have to be for. */
  readonly roomAudience: string;
  /** Connections of the broker, in all and from one client; without them its own defaults hold. */
  readonly limits: { readonly connections?: number; readonly connectionsPerClient?: number };
}

export const DEFAULT_ROOM_AUDIENCE = 'natprobed';

/** Throws ERR_RELAY, ERR_NUMBER or ERR_FLAGS. */
export function readPeeringSettings(flags: PeeringFlags): PeeringSettings {
  const { relay = [], relaySecretFile, roomJwtKey, roomJwtAudience } = flags;
  if (relaySecretFile !== undefined && relay.length === 0)
    throw new NatprobeError('ERR_FLAGS', '--relay-secret-file', 'it takes --relay too');
  if (roomJwtAudience !== undefined && roomJwtKey === undefined)
    throw new NatprobeError('ERR_FLAGS', '--room-jwt-audience', 'it takes --room-jwt-key too');
  if (relay.length > MOST_RELAYS)
    throw new NatprobeError('ERR_FLAGS', '--relay', `there are more than ${MOST_RELAYS}`);
  return {
    relays: relay.map(readRelay),
    ...(relaySecretFile !== undefined && { relaySecretFile }),
    ...(roomJwtKey !== undefined && { roomKeyFile: roomJwtKey }),
    roomAudience: roomJwtAudience ?? DEFAULT_ROOM_AUDIENCE,
    limits: {
      ...(flags.peers !== undefined && { connections: readCount(flags.peers, '--peers') }),
      ...(flags.peersPerClient !== undefined && {
        connectionsPerClient: readCount(flags.peersPerClient, '--peers-per-client'),
      }),
    },
  };
}

function readCount(text: string, place: string): number {
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  const detail = `got ${JSON.stringify(text)}; it takes a number from 1 to 9999999`;
  throw new NatprobeError('ERR_NUMBER', place, detail);
}

/** As many as a plan names. */
const MOST_RELAYS = 8;

function readRelay(text: string): string {
  if (parseTurnUri(text) === undefined)
    throw new NatprobeError('ERR_RELAY', '--relay', `got ${JSON.stringify(text)}`);
  return text;
}
