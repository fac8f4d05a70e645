/** A page's side of a measurement, by hand: offers, checks and answers as an ICE agent or an attacker writes them. */
import { AA, AP, PA, PP } from './evidence.ts';
import { BrowserSessions, type SessionLimits } from '../../server/ice/session-table.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import { encodeCheck, encodeCheckResponse } from '../../shared/ice/check.ts';
import { CREDENTIAL_BYTES, type IceCredentials, iceCredentials } from '../../shared/ice/credentials.ts';
import type { IceOffer } from '../../shared/ice/sdp.ts';
import { decodeMessage, type StunMessage, transactionIdOf } from '../../shared/stun/message.ts';
import { Random } from '../sim/random.ts';

export interface HandMadePage {
  readonly sessions: BrowserSessions;
  readonly random: Random;
  readonly id: string;
  /** By connection: filtering, mapping, mapping 2. */
  readonly connections: readonly HandMadeConnection[];
}

export interface HandMadeConnection {
  readonly theirs: IceCredentials;
  readonly ours: IceCredentials;
}

export const SERVER_ENDPOINTS = [PP, PA, AP, AA] as const;

/** Sessions of a server with two addresses, with no page in it. */
export function openSessions(
  seed: number,
  limits?: SessionLimits,
): { sessions: BrowserSessions; random: Random } {
  const random = new Random(seed);
  const sessions = new BrowserSessions({
    endpoints: SERVER_ENDPOINTS,
    own: SERVER_ENDPOINTS,
    random: (length) => random.bytes(length),
    ...(limits && { limits }),
  });
  return { sessions, random };
}

/** A page that has got its answers at time 0, with two mapping connections. */
export function openPage(seed: number): HandMadePage {
  const { sessions, random } = openSessions(seed);
  const credentials = Array.from({ length: 3 }, () => iceCredentials(random.bytes(CREDENTIAL_BYTES)));
  const [filtering, ...mapping] = credentials.map(offerOf) as [IceOffer, ...IceOffer[]];
  const { id, answers } = sessions.begin({ filtering, mapping }, 'page', 0);
  const connections = [answers.filtering, ...answers.mapping].map((sdp, index) => ({
    theirs: credentials[index]!,
    ours: { ufrag: attributeOf(sdp, 'ice-ufrag'), password: attributeOf(sdp, 'ice-pwd') },
  }));
  return { sessions, random, id, connections };
}

export function offerOf(credentials: IceCredentials): IceOffer {
  return { credentials, mid: '0', bundled: true, candidates: [] };
}

/** A check as the browser sends it. */
export function browserCheck(
  { random }: Pick<HandMadePage, 'random'>,
  { ours, theirs }: HandMadeConnection,
): Uint8Array {
  return encodeCheck(
    {
      transactionId: transactionIdOf(random.bytes(12)),
      receiverUfrag: ours.ufrag,
      senderUfrag: theirs.ufrag,
      priority: 1,
      role: { kind: 'controlling', tieBreaker: 1n },
      nominates: false,
    },
    ours.password,
  );
}

/** The browser's success response to a check of the server. */
export function browserResponse(
  check: StunMessage,
  from: Endpoint,
  { theirs }: HandMadeConnection,
): Uint8Array {
  return encodeCheckResponse(check.transactionId, from, theirs.password);
}

/** Throws for what is no STUN message. */
export function decoded(bytes: Uint8Array): StunMessage {
  const result = decodeMessage(bytes);
  if (result.kind !== 'message') throw new Error(`not a message: ${result.kind}`);
  return result.message;
}

export function attributeOf(sdp: string, name: string): string {
  const line = sdp.split('\r\n').find((text) => text.startsWith(`a=${name}:`));
  if (line === undefined) throw new Error(`no ${name} in ${sdp}`);
  return line.slice(`a=${name}:`.length);
}
