/** PCP's MAP to the byte, after the figures of RFC 6887 §7.1, §7.2 and §11.1. */
import { describe, expect, it } from 'vitest';
import {
  decodePcpMapAnswer,
  encodePcpMapRequest,
  type PcpMapRequest,
  pcpQuestion,
} from '../../../shared/portmap/pcp.ts';
import { fromHex, toHex } from '../../vectors/hex.ts';
import { CLIENT, NONCE, OUTSIDE, pcpAnswer, REMOVAL, REQUEST } from './requests.ts';

const MAP: PcpMapRequest = { ...REQUEST, nonce: NONCE };
const IPV6_CLIENT = '2001:db8::2';

describe('a MAP request', () => {
  it.each([
    [
      'UDP',
      MAP,
      `02 01 0000 00001c20 00000000000000000000ffffc0a80102
       0102030405060708090a0b0c 11 000000 a028 b26e 00000000000000000000ffff00000000`,
    ],
    [
      'TCP, from an IPv6 address',
      { ...MAP, transport: 'tcp' as const, internalAddress: IPV6_CLIENT },
      `02 01 0000 00001c20 20010db8000000000000000000000002
       0102030405060708090a0b0c 06 000000 a028 b26e 00000000000000000000000000000000`,
    ],
    [
      'removal, which wishes no external port (§15)',
      { ...MAP, lifetimeSeconds: 0 },
      `02 01 0000 00000000 00000000000000000000ffffc0a80102
       0102030405060708090a0b0c 11 000000 a028 0000 00000000000000000000ffff00000000`,
    ],
    [
      'the question that maps nothing',
      pcpQuestion(CLIENT, NONCE),
      `02 01 0000 00000000 00000000000000000000ffffc0a80102
       0102030405060708090a0b0c 11 000000 0009 0000 00000000000000000000ffff00000000`,
    ],
  ])('for %s', (_what, request, hex) => {
    expect(toHex(encodePcpMapRequest(request))).toBe(hex.replace(/\s/g, ''));
  });

  it.each(['router', '', '1.2.3', 'fe80::1%eth0'])('is not made for an address like “%s”', (address) => {
    expect(() => encodePcpMapRequest({ ...MAP, internalAddress: address })).toThrow(RangeError);
  });
});

describe('an answer to a MAP request', () => {
  it('tells port, outer address and lifetime', () => {
    expect(decodePcpMapAnswer(pcpAnswer(), MAP)).toEqual({
      kind: 'mapped',
      externalPort: 0xb26e,
      externalAddress: OUTSIDE,
      lifetimeSeconds: 7200,
    });
  });

  it('tells an IPv6 address too', () => {
    const answer = pcpAnswer({ externalAddress: '20010db8000000000000000000000007' });
    expect(decodePcpMapAnswer(answer, MAP)).toMatchObject({ externalAddress: '2001:db8::7' });
  });

  it.each(['00000000000000000000000000000000', '00000000000000000000ffff00000000'])(
    'tells no outer address by %s',
    (externalAddress) => {
      const answer = decodePcpMapAnswer(pcpAnswer({ externalAddress }), MAP);
      expect(answer).toEqual({ kind: 'mapped', externalPort: 0xb26e, lifetimeSeconds: 7200 });
    },
  );

  it('is read with options behind it, and inside a larger buffer', () => {
    const around = Buffer.concat([fromHex('ff'), pcpAnswer(), fromHex('02000000')]);
    expect(decodePcpMapAnswer(around.subarray(1), MAP)).toMatchObject({ externalPort: 0xb26e });
  });

  it('to a removal has no lifetime', () => {
    const answer = decodePcpMapAnswer(pcpAnswer({ lifetime: '00000000' }), { ...REMOVAL, nonce: NONCE });
    expect(answer).toMatchObject({ kind: 'mapped', lifetimeSeconds: 0 });
  });

  it.each([
    ['01', 'unsupported'],
    ['02', 'not-authorized'],
    ['03', 'refused'],
    ['04', 'unsupported'],
    ['05', 'unsupported'],
    ['06', 'refused'],
    ['07', 'no-external-address'],
    ['08', 'no-resources'],
    ['09', 'unsupported'],
    ['0a', 'no-resources'],
    ['0b', 'conflict'],
    ['0c', 'address-mismatch'],
    ['0d', 'refused'],
    ['ff', 'refused'],
  ])('refuses by result code %s (§7.4): %s', (result, error) => {
    const refused = { kind: 'refused', error };
    expect(decodePcpMapAnswer(pcpAnswer({ result }), MAP)).toEqual({
      ...refused,
      externalAddress: OUTSIDE,
    });
    // Of the common header alone, as a server answers what it can't read.
    expect(decodePcpMapAnswer(pcpAnswer({ result }).subarray(0, 24), MAP)).toEqual(refused);
  });

  it('of a server that speaks NAT-PMP alone says that it doesn’t speak this (RFC 6886 §3.5)', () => {
    const answer = decodePcpMapAnswer(fromHex('00 81 0001 00012345'), MAP);
    expect(answer).toEqual({ kind: 'refused', error: 'unsupported' });
  });

  it('of another version of PCP says so too (§9)', () => {
    const answer = pcpAnswer({ version: '01', result: '01' });
    expect(decodePcpMapAnswer(answer, MAP)).toEqual({ kind: 'refused', error: 'unsupported' });
  });

  it.each([
    ['a request', { op: '01' }],
    ['the answer to ANNOUNCE', { op: '80' }],
    ['the answer to PEER', { op: '82' }],
    ['that to another nonce', { nonce: '0102030405060708090a0b0d' }],
    ['that about TCP', { protocol: '06' }],
    ['that about another internal port', { internalPort: 'a029' }],
    ['a refusal of another nonce', { nonce: '000000000000000000000000', result: '02' }],
  ])('is not %s', (_what, change) => {
    expect(decodePcpMapAnswer(pcpAnswer(change), MAP)).toBeUndefined();
  });

  it.each([
    ['cut off', pcpAnswer().subarray(0, 59)],
    ['of the common header alone', pcpAnswer().subarray(0, 24)],
    ['with external port 0', pcpAnswer({ externalPort: '0000' })],
    ['with a lifetime of 0', pcpAnswer({ lifetime: '00000000' })],
  ])('that is a success %s is nonsense', (_what, bytes) => {
    expect(decodePcpMapAnswer(bytes, MAP)).toEqual({ kind: 'refused', error: 'malformed' });
  });
});
