import { describe, expect, it } from 'vitest';
import { MessageCursor } from '../../../shared/stun/cursor.ts';
import { ATTRIBUTE, BINDING_ERROR, BINDING_SUCCESS } from '../../../shared/stun/registry.ts';
import { MessageWriter } from '../../../shared/stun/writer.ts';
import { fromHex, toHex } from '../../vectors/hex.ts';

const MODERN_REQUEST = fromHex('00010000 2112a442 b7e7a701 bc34d686 fa87dfae');
const CLASSIC_REQUEST = fromHex('00010000 0f0e0d0c 0b0a0908 07060504 03020100');
const IPV4 = fromHex('c0000201');
const IPV6 = fromHex('20010db8123456780011223344556677');

/** What `write` puts behind the header, in a buffer that held other bytes before. */
function body(request: Uint8Array, write: (writer: MessageWriter) => void): string {
  const writer = new MessageWriter(new Uint8Array(200).fill(0xee));
  writer.begin(BINDING_SUCCESS, request, 0);
  write(writer);
  const length = writer.end();
  expect(writer.buffer[length]).toBe(0xee);
  expect((writer.buffer[2]! << 8) | writer.buffer[3]!).toBe(length - 20);
  return toHex(writer.buffer.subarray(20, length));
}

const modern = (write: (writer: MessageWriter) => void): string => body(MODERN_REQUEST, write);
const classic = (write: (writer: MessageWriter) => void): string => body(CLASSIC_REQUEST, write);

describe('MessageWriter', () => {
  it('begins with the request’s cookie and transaction id, from wherever the request lies', () => {
    const writer = new MessageWriter(new Uint8Array(20));
    writer.begin(BINDING_ERROR, Buffer.concat([fromHex('ffff'), CLASSIC_REQUEST]), 2);
    expect(writer.modern).toBe(false);
    expect(writer.end()).toBe(20);
    expect(toHex(writer.buffer)).toBe('011100000f0e0d0c0b0a09080706050403020100');
  });

  it('writes addresses of both families', () => {
    expect(modern((writer) => writer.address(ATTRIBUTE.MAPPED_ADDRESS, 4, IPV4, 0, 32853))).toBe(
      '0001000800018055c0000201',
    );
    const elsewhere = Buffer.concat([fromHex('ffff'), IPV6]);
    expect(modern((writer) => writer.address(ATTRIBUTE.OTHER_ADDRESS, 6, elsewhere, 2, 1))).toBe(
      '802c00140002000120010db8123456780011223344556677',
    );
  });

  it('XORs addresses with cookie and transaction id (RFC 5769 §2.2, §2.3)', () => {
    expect(modern((writer) => writer.xorAddress(ATTRIBUTE.XOR_MAPPED_ADDRESS, 4, IPV4, 0, 32853))).toBe(
      '002000080001a147e112a643',
    );
    expect(modern((writer) => writer.xorAddress(ATTRIBUTE.XOR_MAPPED_ADDRESS, 6, IPV6, 0, 32853))).toBe(
      '002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9',
    );
  });

  it('writes a receipt: the XORed endpoint, then the delay', () => {
    expect(modern((writer) => writer.receipt(4, IPV4, 0, 32853, 0xfffffffe))).toBe(
      'ed11000c0001a147e112a643fffffffe',
    );
    expect(modern((writer) => writer.receipt(6, IPV6, 0, 32853, 258))).toBe(
      'ed1100180002a1470113a9faa5d3f179bc25f4b5bed2b9d900000102',
    );
  });

  it('writes numbers, bytes and filling, padded with zeros', () => {
    expect(modern((writer) => writer.u16Pair(ATTRIBUTE.RESPONSE_PORT, 0x1234, 0xabcd))).toBe(
      '002700041234abcd',
    );
    expect(modern((writer) => writer.u32(ATTRIBUTE.PRIORITY, 0xfedcba98))).toBe('00240004fedcba98');
    expect(modern((writer) => writer.bytes(ATTRIBUTE.SOFTWARE, IPV6, 1, 5))).toBe('80220005010db81234000000');
    expect(modern((writer) => writer.filler(ATTRIBUTE.RECEIPT_REQUEST, 5))).toBe('ed1000050000000000000000');
    expect(modern((writer) => writer.filler(ATTRIBUTE.USE_CANDIDATE, 0))).toBe('00250000');
  });

  it('writes ERROR-CODE with the registry’s phrase, to a multiple of four in RFC 3489', () => {
    const phrase = (text: string): string => toHex(Buffer.from(text));
    expect(modern((writer) => writer.errorCode(420))).toBe(
      `0009001500000414${phrase('Unknown Attribute\0\0\0')}`,
    );
    expect(classic((writer) => writer.errorCode(420))).toBe(
      `0009001800000414${phrase('Unknown Attribute   ')}`,
    );
    expect(modern((writer) => writer.errorCode(699))).toBe('0009000400000663');
    expect(modern((writer) => writer.errorCode(400, Buffer.from('né')))).toBe('00090007000004006ec3a900');
  });

  it('writes UNKNOWN-ATTRIBUTES, an odd last one twice where asked (RFC 3489 §11.2.10)', () => {
    const types = Uint16Array.of(0x0026, 0x7fff, 0x0031, 0x1111);
    expect(modern((writer) => writer.unknownAttributes(types, 3, false))).toBe('000a000600267fff00310000');
    expect(classic((writer) => writer.unknownAttributes(types, 3, true))).toBe('000a000800267fff00310031');
    expect(classic((writer) => writer.unknownAttributes(types, 2, true))).toBe('000a000400267fff');
    expect(modern((writer) => writer.unknownAttributes(types, 0, true))).toBe('000a0000');
  });

  it('ends in a FINGERPRINT that the cursor takes', () => {
    const writer = new MessageWriter(new Uint8Array(64).fill(0xee));
    writer.begin(BINDING_SUCCESS, MODERN_REQUEST, 0);
    writer.bytes(ATTRIBUTE.SOFTWARE, IPV4, 0, 3);
    writer.fingerprint();
    const cursor = new MessageCursor();
    expect(cursor.reset(writer.buffer, 0, writer.end())).toBe('message');
    expect(cursor.hasFingerprint).toBe(true);
  });

  it('serves one message after the other, and tells the length so far', () => {
    const writer = new MessageWriter(new Uint8Array(64));
    writer.begin(BINDING_SUCCESS, MODERN_REQUEST, 0);
    writer.u32(ATTRIBUTE.PRIORITY, 1);
    expect(writer.length).toBe(28);
    expect(writer.end()).toBe(28);
    writer.begin(BINDING_ERROR, CLASSIC_REQUEST, 0);
    expect(writer.length).toBe(20);
    expect(writer.modern).toBe(false);
    expect(writer.end()).toBe(20);
    expect(toHex(writer.buffer.subarray(0, 4))).toBe('01110000');
  });

  it('throws at the attribute that does not fit the buffer, and leaves it out', () => {
    const writer = new MessageWriter(new Uint8Array(30));
    writer.begin(BINDING_SUCCESS, MODERN_REQUEST, 0);
    expect(() => {
      writer.address(ATTRIBUTE.MAPPED_ADDRESS, 4, IPV4, 0, 1);
    }).toThrow(new RangeError('a message of 32 bytes in a buffer of 30'));
    expect(writer.end()).toBe(20);
  });

  it('throws where a length field cannot say it', () => {
    const writer = new MessageWriter(new Uint8Array(200_000));
    writer.begin(BINDING_SUCCESS, MODERN_REQUEST, 0);
    expect(() => writer.filler(ATTRIBUTE.PADDING, 0x10000)).toThrow(
      new RangeError('an attribute value of 65536 bytes'),
    );
    writer.filler(ATTRIBUTE.PADDING, 0xfff0);
    writer.filler(ATTRIBUTE.PADDING, 4);
    expect(writer.end()).toBe(0x10010);
    writer.filler(ATTRIBUTE.PADDING, 4);
    expect(() => writer.end()).toThrow(RangeError);
  });
});
