/** The session descriptions of a connection that carries one data channel (RFC 8866, RFC 8839, RFC 8841). */
import type { Endpoint } from '../endpoint.ts';
import { decodeCandidate, encodeHostCandidate, type IceCandidate } from './candidate.ts';
import { type IceCredentials, isIcePassword, isUfrag } from './credentials.ts';

/** What an offer says, as far as connectivity checks need it. */
export interface IceOffer {
  readonly credentials: IceCredentials;
  /** The identification of its one media section (RFC 5888). */
  readonly mid: string;
  readonly bundled: boolean;
  /** Those known when it was written; more may follow, or be found by their checks alone. */
  readonly candidates: readonly IceCandidate[];
}

export interface IceAnswer {
  readonly credentials: IceCredentials;
  readonly mid: string;
  readonly bundled: boolean;
  /** SHA-256 of the certificate: 32 bytes. */
  readonly fingerprint: Uint8Array;
  /** Host candidates, the preferred first. */
  readonly candidates: readonly Endpoint[];
  /** Names the session; 64 bits. */
  readonly sessionId: bigint;
}

/** No browser's offer of one data channel comes near. */
export const LONGEST_OFFER = 16_384;
const MOST_CANDIDATES = 64;

/** Reads an offer of one data channel and nothing else; the text says what is wrong with any other. */
export function decodeOffer(sdp: string): IceOffer | string {
  if (sdp.length > LONGEST_OFFER) return `longer than ${LONGEST_OFFER} characters`;
  const lines = sdp.split(/\r?\n/);
  const media = lines.filter((line) => line.startsWith('m='));
  if (media.length !== 1 || !/^m=application \d+ UDP\/DTLS\/SCTP webrtc-datachannel$/.test(media[0]!))
    return 'not an offer of one data channel';
  const attributes = lines.filter((line) => line.startsWith('a=')).map((line) => line.slice(2));
  const ufrag = valueOf(attributes, 'ice-ufrag');
  const password = valueOf(attributes, 'ice-pwd');
  const mid = valueOf(attributes, 'mid');
  if (ufrag === undefined || !isUfrag(ufrag)) return 'no usable ice-ufrag';
  if (password === undefined || !isIcePassword(password)) return 'no usable ice-pwd';
  if (mid === undefined || !/^[!-~]{1,32}$/.test(mid)) return 'no usable mid';
  const candidates = attributes
    .filter((line) => line.startsWith('candidate:'))
    .slice(0, MOST_CANDIDATES)
    .map(decodeCandidate)
    .filter((candidate) => candidate !== undefined);
  const bundled = valueOf(attributes, 'group')?.startsWith('BUNDLE') ?? false;
  return { credentials: { ufrag, password }, mid, bundled, candidates };
}

/**
 * The answer of a peer that only makes checks. It says that it begins DTLS, so that the offerer
 * waits for it, and that there will be no more candidates.
 */
export function encodeAnswer(answer: IceAnswer): string {
  const { credentials, mid, bundled, fingerprint, candidates, sessionId } = answer;
  const lines = [
    'v=0',
    `o=- ${sessionId} 1 IN IP4 0.0.0.0`,
    's=-',
    't=0 0',
    ...(bundled ? [`a=group:BUNDLE ${mid}`] : []),
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    `a=mid:${mid}`,
    `a=ice-ufrag:${credentials.ufrag}`,
    `a=ice-pwd:${credentials.password}`,
    `a=fingerprint:sha-256 ${colonHex(fingerprint)}`,
    'a=setup:active',
    'a=sctp-port:5000',
    ...candidates.map((candidate, index) => `a=${encodeHostCandidate(candidate, index)}`),
    'a=end-of-candidates',
  ];
  return `${lines.join('\r\n')}\r\n`;
}

/** The first such attribute, of the media section or of the whole. */
function valueOf(attributes: readonly string[], name: string): string | undefined {
  return attributes.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1);
}

function colonHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join(':');
}
