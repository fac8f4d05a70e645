/** NAT-PMP to the byte, after the figures of RFC 6886 §3.2 to §3.5. */
import { describe, expect, it } from 'vitest';
import {
  decodeAddressAnswer,
  decodeNatPmpMapAnswer,
  encodeAddressRequest,
  encodeNatPmpMapRequest,
} from '../../../shared/portmap/nat-pmp.ts';
import { fromHex, toHex } from '../../vectors/hex.ts';
import { NAT_PMP_ADDRESS_ANSWER, NAT_PMP_MAP_ANSWER, OUTSIDE, REMOVAL, REQUEST } from './requests.ts';

const RESULTS = [
  ['0001', 'unsupported'],
  ['0002', 'not-authorized'],
  ['0003', 'no-external-address'],
  ['0004', 'no-resources'],
  ['0005', 'unsupported'],
  ['0006', 'refused'],
  ['0100', 'refused'],
  ['ffff', 'refused'],
] as const;

describe('the question for the outer address', () => {
  it('is two zero bytes', () => {
    expect(toHex(encodeAddressRequest())).toBe('0000');
  });

  it('is answered with the address', () => {
    expect(decodeAddressAnswer(NAT_PMP_ADDRESS_ANSWER)).toEqual({
      kind: 'external-address',
      address: OUTSIDE,
    });
  });

  it('is answered with no address by a router whose line is down', () => {
    const refused = { kind: 'refused', error: 'no-external-address' };
    expect(decodeAddressAnswer(fromHex('0080 0000 00012345 00000000'))).toEqual(refused);
    expect(decodeAddressAnswer(fromHex('0080 0003 00012345 00000000'))).toEqual(refused);
  });

  it.each(RESULTS)('is refused by result code %s, address or not: %s', (code, error) => {
    expect(decodeAddressAnswer(fromHex(`0080 ${code} 00012345`))).toEqual({ kind: 'refused', error });
    expect(decodeAddressAnswer(fromHex(`0080 ${code} 00012345 c0000281`))).toEqual({
      kind: 'refused',
      error,
    });
  });

  it.each([
    ['nothing', ''],
    ['the question itself', '0000'],
    ['less than a result code and an epoch', '0080 0000 000123'],
    ['another version', '0180 0000 00012345 c0000281'],
    ['PCP', '0280 0000 00012345 c0000281'],
    ['an answer to a map request', '0081 0000 00012345 a028 b26e 00001c20'],
  ])('is not answered by %s', (_what, hex) => {
    expect(decodeAddressAnswer(fromHex(hex))).toBeUndefined();
  });

  it.each(['0080 0000 00012345', '0080 0000 00012345 c00002'])(
    'is answered with nonsense by a success without an address: %s',
    (hex) => {
      expect(decodeAddressAnswer(fromHex(hex))).toEqual({ kind: 'refused', error: 'malformed' });
    },
  );
});

describe('a map request', () => {
  it.each([
    ['UDP', REQUEST, '00 01 0000 a028 b26e 00001c20'],
    ['TCP', { ...REQUEST, transport: 'tcp' as const }, '00 02 0000 a028 b26e 00001c20'],
    ['any external port', { ...REQUEST, externalPort: 0 }, '00 01 0000 a028 0000 00001c20'],
    ['the longest lifetime', { ...REQUEST, lifetimeSeconds: 0xffff_ffff }, '00 01 0000 a028 b26e ffffffff'],
    ['removal, which names no external port (§3.4)', REMOVAL, '00 01 0000 a028 0000 00000000'],
  ])('for %s', (_what, request, hex) => {
    expect(toHex(encodeNatPmpMapRequest(request))).toBe(hex.replaceAll(' ', ''));
  });

  it('is granted, with another port and lifetime than it wished perhaps', () => {
    expect(decodeNatPmpMapAnswer(NAT_PMP_MAP_ANSWER, REQUEST)).toEqual({
      kind: 'mapped',
      externalPort: 0xb26e,
      lifetimeSeconds: 7200,
    });
    const other = fromHex('0081 0000 00012345 a028 0401 00000078');
    expect(decodeNatPmpMapAnswer(other, REQUEST)).toEqual({
      kind: 'mapped',
      externalPort: 1025,
      lifetimeSeconds: 120,
    });
  });

  it('is granted where the answer stands inside a larger buffer', () => {
    const around = Buffer.concat([fromHex('ffffff'), NAT_PMP_MAP_ANSWER, fromHex('ffffff')]);
    const inside = around.subarray(3, 3 + NAT_PMP_MAP_ANSWER.length);
    expect(decodeNatPmpMapAnswer(inside, REQUEST)).toMatchObject({ externalPort: 0xb26e });
  });

  it('to remove is answered without port and lifetime', () => {
    const answer = fromHex('0081 0000 00012345 a028 0000 00000000');
    expect(decodeNatPmpMapAnswer(answer, REMOVAL)).toEqual({
      kind: 'mapped',
      externalPort: 0,
      lifetimeSeconds: 0,
    });
  });

  it.each(RESULTS)('is refused by result code %s: %s', (code, error) => {
    for (const rest of ['', 'a028 0000 00000000']) {
      const bytes = fromHex(`0081 ${code} 00012345 ${rest}`);
      expect(decodeNatPmpMapAnswer(bytes, REQUEST)).toEqual({ kind: 'refused', error });
    }
  });

  it.each([
    ['nothing', ''],
    ['an answer to the address question', '0080 0000 00012345 c0000281'],
    ['an answer about TCP', '0082 0000 00012345 a028 b26e 00001c20'],
    ['an answer about another internal port', '0081 0000 00012345 a029 b26e 00001c20'],
    ['a refusal about another internal port', '0081 0002 00012345 a029 0000 00000000'],
    ['PCP’s answer', '0281 0000 00001c20 00012345'],
  ])('is not answered by %s', (_what, hex) => {
    expect(decodeNatPmpMapAnswer(fromHex(hex), REQUEST)).toBeUndefined();
  });

  it.each([
    ['no mapping', '0081 0000 00012345'],
    ['half a lifetime', '0081 0000 00012345 a028 b26e 0000'],
    ['port 0', '0081 0000 00012345 a028 0000 00001c20'],
    ['a lifetime of 0', '0081 0000 00012345 a028 b26e 00000000'],
  ])('is answered with nonsense by a success with %s', (_what, hex) => {
    expect(decodeNatPmpMapAnswer(fromHex(hex), REQUEST)).toEqual({ kind: 'refused', error: 'malformed' });
  });
});
