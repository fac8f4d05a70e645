import { describe, expect, it } from 'vitest';
import { decodeCandidate, encodeHostCandidate } from '../../../shared/ice/candidate.ts';
import { CREDENTIAL_BYTES, iceCredentials, isIcePassword, isUfrag } from '../../../shared/ice/credentials.ts';
import { decodeOffer, encodeAnswer, LONGEST_OFFER } from '../../../shared/ice/sdp.ts';

/** As Chromium 156 writes it. */
const CHROMIUM = [
  'v=0',
  'o=- 6719546825184260270 2 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0',
  'a=extmap-allow-mixed',
  'a=msid-semantic: WMS',
  'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
  'c=IN IP4 0.0.0.0',
  'a=candidate:296294477 1 udp 2113937151 5009657e-e281-4f99-9645-29c9b896d5f4.local 59338 typ host generation 0 network-cost 999',
  'a=ice-ufrag:6Hme',
  'a=ice-pwd:LliXT09jAu1JbRlkk27cS/+x',
  'a=ice-options:trickle',
  'a=setup:actpass',
  'a=mid:0',
  'a=sctp-port:5000',
  '',
].join('\r\n');

describe('an offer', () => {
  it('of Chromium is read', () => {
    expect(decodeOffer(CHROMIUM)).toEqual({
      credentials: { ufrag: '6Hme', password: 'LliXT09jAu1JbRlkk27cS/+x' },
      mid: '0',
      bundled: true,
      candidates: [
        {
          type: 'host',
          transport: 'udp',
          address: '5009657e-e281-4f99-9645-29c9b896d5f4.local',
          port: 59338,
          isHidden: true,
          priority: 2113937151,
        },
      ],
    });
  });

  it('may have its credentials before the media section, and no candidate', () => {
    const sdp =
      'v=0\na=ice-ufrag:abcd\na=ice-pwd:0123456789abcdef012345\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:data\n';
    expect(decodeOffer(sdp)).toMatchObject({ mid: 'data', bundled: false, candidates: [] });
  });

  it.each([
    ['no media', 'v=0\r\n'],
    ['audio', CHROMIUM.replace('m=application 9 UDP/DTLS/SCTP webrtc-datachannel', 'm=audio 9 RTP/AVP 0')],
    ['two media sections', `${CHROMIUM}m=audio 9 RTP/AVP 0\r\n`],
    ['no ufrag', CHROMIUM.replace('a=ice-ufrag:6Hme\r\n', '')],
    ['a ufrag with a colon', CHROMIUM.replace('6Hme', '6H:me')],
    ['a short password', CHROMIUM.replace('LliXT09jAu1JbRlkk27cS/+x', 'short')],
    ['a long password', CHROMIUM.replace('LliXT09jAu1JbRlkk27cS/+x', 'x'.repeat(257))],
    ['no mid', CHROMIUM.replace('a=mid:0\r\n', '')],
    ['too many characters', CHROMIUM.padEnd(LONGEST_OFFER + 1, '\r\n')],
  ])('with %s is not taken, and the reason said', (_, sdp) => {
    expect(decodeOffer(sdp)).toEqual(expect.any(String));
  });

  it('with unreadable candidates is read without them', () => {
    const sdp = CHROMIUM.replace('a=candidate:296294477 1', 'a=candidate:broken');
    expect(decodeOffer(sdp)).toMatchObject({ candidates: [] });
  });
});

it('an answer says what a browser needs to begin its checks', () => {
  const sdp = encodeAnswer({
    credentials: { ufrag: 'ours', password: 'p'.repeat(24) },
    mid: 'data',
    bundled: true,
    fingerprint: new Uint8Array([0xab, ...Array<number>(31).fill(1)]),
    candidates: [
      { address: '192.0.2.1', port: 3478 },
      { address: '2001:db8::1', port: 3479 },
    ],
    sessionId: 42n,
  });
  expect(sdp.split('\r\n')).toEqual([
    'v=0',
    'o=- 42 1 IN IP4 0.0.0.0',
    's=-',
    't=0 0',
    'a=group:BUNDLE data',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    'a=mid:data',
    'a=ice-ufrag:ours',
    `a=ice-pwd:${'p'.repeat(24)}`,
    `a=fingerprint:sha-256 AB${':01'.repeat(31)}`,
    'a=setup:active',
    'a=sctp-port:5000',
    'a=candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host',
    'a=candidate:2 1 udp 2130706175 2001:db8::1 3479 typ host',
    'a=end-of-candidates',
    '',
  ]);
});

describe('a candidate', () => {
  it('comes out as it went in', () => {
    const endpoint = { address: '2001:db8::1', port: 3479 };
    const line = encodeHostCandidate(endpoint, 0);
    expect(decodeCandidate(line)).toMatchObject({ ...endpoint, type: 'host', isHidden: false });
  });

  it.each([
    'candidate:1 1 udp 1 192.0.2.1 70000 typ host',
    'candidate:1 1 udp 1 not-an-address 1 typ host',
    'candidate:1 1 sctp 1 192.0.2.1 1 typ host',
    'candidate:1 1 udp 1 192.0.2.1 1 typ other',
    'candidate:1 1 udp 99999999999 192.0.2.1 1 typ host',
  ])('%s is none', (line) => {
    expect(decodeCandidate(line)).toBeUndefined();
  });
});

it('credentials of any random bytes are of the length and the characters of RFC 8839 §5.4', () => {
  for (const byte of [0, 0xff, 0xfb, 0x3e]) {
    const { ufrag, password } = iceCredentials(new Uint8Array(CREDENTIAL_BYTES).fill(byte));
    expect([ufrag.length, password.length]).toEqual([8, 24]);
    expect([isUfrag(ufrag), isIcePassword(password)]).toEqual([true, true]);
  }
});
