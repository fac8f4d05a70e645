import { describe, expect, it } from 'vitest';
import {
  ALTERNATE_SERVER,
  CHANGED_ADDRESS,
  MAPPED_ADDRESS,
  OTHER_ADDRESS,
  REFLECTED_FROM,
  RESPONSE_ADDRESS,
  RESPONSE_ORIGIN,
  SOURCE_ADDRESS,
  XOR_MAPPED_ADDRESS,
  XOR_PEER_ADDRESS,
  XOR_RELAYED_ADDRESS,
} from '../../../shared/stun/attributes/address.ts';
import { rawAttribute } from '../../../shared/stun/attributes/attribute.ts';
import type { Attribute, AttributeValue } from '../../../shared/stun/attributes/attribute.ts';
import { CHANGE_REQUEST, PADDING, RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import {
  PASSWORD_ALGORITHM,
  PASSWORD_ALGORITHMS,
  USERHASH,
} from '../../../shared/stun/attributes/credential.ts';
import { ERROR_CODE, UNKNOWN_ATTRIBUTES } from '../../../shared/stun/attributes/error.ts';
import {
  ICE_CONTROLLED,
  ICE_CONTROLLING,
  PRIORITY,
  USE_CANDIDATE,
} from '../../../shared/stun/attributes/ice.ts';
import { DIAL_BACK } from '../../../shared/stun/attributes/dial-back.ts';
import { RECEIPT, RECEIPT_REQUEST, SERVICE, WITNESS } from '../../../shared/stun/attributes/natprobe.ts';
import {
  ALTERNATE_DOMAIN,
  NONCE,
  PASSWORD,
  REALM,
  SOFTWARE,
  USERNAME,
} from '../../../shared/stun/attributes/text.ts';
import {
  CHANNEL_NUMBER,
  DATA,
  LIFETIME,
  REQUESTED_ADDRESS_FAMILY,
  REQUESTED_TRANSPORT,
  UDP_PROTOCOL,
} from '../../../shared/stun/attributes/turn.ts';
import { encodeMessage, readAttribute } from '../../../shared/stun/message.ts';
import { fromHex, toHex } from '../../vectors/hex.ts';
import { CLASSIC_ID, decodedMessage, MODERN_ID } from './messages.ts';

type Dialect = 'modern' | 'classic';

function encode(value: AttributeValue, dialect: Dialect): Uint8Array {
  const transactionId = dialect === 'modern' ? MODERN_ID : CLASSIC_ID;
  return encodeMessage({ class: 'success', transactionId, attributes: [value] });
}

/** The attribute as it is written, header and padding included. */
function written(value: AttributeValue, dialect: Dialect = 'modern'): string {
  return toHex(encode(value, dialect).subarray(20));
}

/** What is read of an attribute with these bytes as its value. */
function read<T>(attribute: Attribute<T>, hex: string, dialect: Dialect = 'modern'): T | undefined {
  const bytes = encode(rawAttribute(attribute.type, fromHex(hex)), dialect);
  return readAttribute(decodedMessage(bytes), attribute);
}

describe('address attributes', () => {
  const ipv4 = { address: '192.0.2.1', port: 32853 };
  const ipv6 = { address: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 };

  it.each([
    [MAPPED_ADDRESS, '0001'],
    [RESPONSE_ADDRESS, '0002'],
    [SOURCE_ADDRESS, '0004'],
    [CHANGED_ADDRESS, '0005'],
    [REFLECTED_FROM, '000b'],
    [ALTERNATE_SERVER, '8023'],
    [RESPONSE_ORIGIN, '802b'],
    [OTHER_ADDRESS, '802c'],
  ])('$name stand plainly under their number', (attribute, type) => {
    expect(written(attribute.of(ipv4))).toBe(`${type}000800018055c0000201`);
    expect(written(attribute.of(ipv6))).toBe(`${type}00140002805520010db8123456780011223344556677`);
    expect(read(attribute, '00018055c0000201', 'classic')).toEqual(ipv4);
    expect(read(attribute, '0002805520010db8123456780011223344556677')).toEqual(ipv6);
  });

  it('XOR-MAPPED-ADDRESS is XORed with the cookie, or RFC 3489’s id in its place', () => {
    expect(written(XOR_MAPPED_ADDRESS.of(ipv4))).toBe('002000080001a147e112a643');
    expect(written(XOR_MAPPED_ADDRESS.of(ipv4), 'classic')).toBe('0020000800018f5bcf0e0f0d');
    expect(read(XOR_MAPPED_ADDRESS, '00018f5bcf0e0f0d', 'classic')).toEqual(ipv4);
  });

  it('ignore the first byte, and refuse a family or length that is none', () => {
    expect(read(MAPPED_ADDRESS, 'ff018055c0000201')).toEqual(ipv4);
    for (const attribute of [MAPPED_ADDRESS, XOR_MAPPED_ADDRESS]) {
      expect(read(attribute, '00038055c0000201')).toBeUndefined();
      expect(read(attribute, '00028055c0000201')).toBeUndefined();
      expect(read(attribute, '0001805520010db8123456780011223344556677')).toBeUndefined();
      expect(read(attribute, '00018055c00002')).toBeUndefined();
      expect(read(attribute, '')).toBeUndefined();
    }
  });

  it('refuse to be made of what is no endpoint', () => {
    expect(() => written(MAPPED_ADDRESS.of({ address: 'example.org', port: 1 }))).toThrow(
      new RangeError('not an IP address: "example.org"'),
    );
    expect(() => written(XOR_MAPPED_ADDRESS.of({ address: '192.0.2.1', port: 65536 }))).toThrow(
      new RangeError('port 65536 is not a whole number from 0 to 65535'),
    );
  });
});

describe('behaviour attributes (RFC 5780 §7)', () => {
  it.each([
    [true, true, '00000006'],
    [true, false, '00000004'],
    [false, true, '00000002'],
    [false, false, '00000000'],
  ])('CHANGE-REQUEST: address %s, port %s', (address, port, hex) => {
    expect(written(CHANGE_REQUEST.of({ address, port }))).toBe(`00030004${hex}`);
    expect(read(CHANGE_REQUEST, hex, 'classic')).toEqual({ address, port });
  });

  it('CHANGE-REQUEST ignores other bits and refuses other lengths', () => {
    expect(read(CHANGE_REQUEST, 'fffffff9')).toEqual({ address: false, port: false });
    expect(read(CHANGE_REQUEST, '0000000600')).toBeUndefined();
    expect(read(CHANGE_REQUEST, '0006')).toBeUndefined();
  });

  it('RESPONSE-PORT, read with its padding counted or not', () => {
    expect(written(RESPONSE_PORT.of(0x1234))).toBe('0027000412340000');
    expect(read(RESPONSE_PORT, '1234ffff')).toBe(0x1234);
    expect(read(RESPONSE_PORT, '1234')).toBe(0x1234);
    expect(read(RESPONSE_PORT, '123456')).toBeUndefined();
    expect(() => RESPONSE_PORT.of(-1)).toThrow(RangeError);
  });

  it('PADDING is a length', () => {
    expect(written(PADDING.of(6))).toBe('002600060000000000000000');
    expect(read(PADDING, '616263')).toBe(3);
    expect(() => PADDING.of(1.5)).toThrow(RangeError);
  });
});

describe('error attributes', () => {
  it('ERROR-CODE', () => {
    expect(written(ERROR_CODE.of({ code: 487 }))).toBe(
      `0009001100000457${toHex(Buffer.from('Role Conflict'))}000000`,
    );
    expect(written(ERROR_CODE.of({ code: 599, reason: 'x' }))).toBe('000900050000056378000000');
    // The upper bits of the class byte are reserved.
    expect(read(ERROR_CODE, 'fffffc1461')).toEqual({ code: 420, reason: 'a' });
    expect(read(ERROR_CODE, '00000414612020')).toEqual({ code: 420, reason: 'a  ' });
  });

  it('ERROR-CODE in RFC 3489 is padded with spaces (§11.2.9)', () => {
    expect(written(ERROR_CODE.of({ code: 599, reason: 'x' }), 'classic')).toBe('000900080000056378202020');
    expect(read(ERROR_CODE, '0000056378202020', 'classic')).toEqual({ code: 599, reason: 'x' });
  });

  it.each(['000004', '00000014', '00000714', '00000464', '00000414ff'])('ERROR-CODE refuses %s', (hex) => {
    expect(read(ERROR_CODE, hex)).toBeUndefined();
  });

  it('ERROR-CODE refuses to be made of what it can’t say', () => {
    expect(() => ERROR_CODE.of({ code: 99 })).toThrow(RangeError);
    expect(() => ERROR_CODE.of({ code: 700 })).toThrow(RangeError);
    expect(() => ERROR_CODE.of({ code: 400, reason: 'x'.repeat(128) })).toThrow(
      new RangeError('a reason of 128, more than 127'),
    );
  });

  it('UNKNOWN-ATTRIBUTES, whose odd last one RFC 3489 has twice (§11.2.10)', () => {
    expect(written(UNKNOWN_ATTRIBUTES.of([0x0026, 0x7fff, 3]))).toBe('000a000600267fff00030000');
    expect(written(UNKNOWN_ATTRIBUTES.of([0x0026, 0x7fff, 3]), 'classic')).toBe('000a000800267fff00030003');
    expect(read(UNKNOWN_ATTRIBUTES, '00267fff00030003', 'classic')).toEqual([0x0026, 0x7fff, 3]);
    expect(read(UNKNOWN_ATTRIBUTES, '00267fff', 'classic')).toEqual([0x0026, 0x7fff]);
    expect(read(UNKNOWN_ATTRIBUTES, '00030003')).toEqual([3, 3]);
    expect(read(UNKNOWN_ATTRIBUTES, '')).toEqual([]);
    expect(read(UNKNOWN_ATTRIBUTES, '000300')).toBeUndefined();
  });
});

describe('text attributes', () => {
  it.each([
    [USERNAME, '0006'],
    [PASSWORD, '0007'],
    [REALM, '0014'],
    [NONCE, '0015'],
    [ALTERNATE_DOMAIN, '8003'],
    [SOFTWARE, '8022'],
  ])('$name is UTF-8', (attribute, type) => {
    expect(written(attribute.of('é?'))).toBe(`${type}0003c3a93f00`);
    expect(read(attribute, 'c3a93f')).toBe('é?');
    expect(read(attribute, 'c3')).toBeUndefined();
    expect(read(attribute, '')).toBe('');
    // A byte order mark is text like any other.
    expect(read(attribute, 'efbbbf61')).toBe('\ufeffa');
  });

  it('keep to the limits of RFC 8489 when written, and allow as much as it says when read', () => {
    const euro = '€';
    for (const attribute of [REALM, NONCE, SOFTWARE]) {
      expect(written(attribute.of(euro.repeat(127)))).toHaveLength((4 + 384) * 2);
      // An astral character is one character, though two UTF-16 units.
      expect(() => attribute.of('😀'.repeat(127))).not.toThrow();
      expect(() => attribute.of(euro.repeat(128))).toThrow(
        new RangeError(`${attribute.name} of 128, more than 127`),
      );
      expect(read(attribute, '61'.repeat(763))).toBe('a'.repeat(763));
      expect(read(attribute, '61'.repeat(764))).toBeUndefined();
    }
    expect(() => USERNAME.of('a'.repeat(509))).toThrow(new RangeError('USERNAME of 509, more than 508'));
    expect(() => ALTERNATE_DOMAIN.of('a'.repeat(256))).toThrow(
      new RangeError('ALTERNATE-DOMAIN of 256, more than 255'),
    );
  });

  it('are a multiple of four bytes in RFC 3489 (§11.2.6, §11.2.7)', () => {
    expect(written(USERNAME.of('abcd'), 'classic')).toBe('0006000461626364');
    expect(() => written(USERNAME.of('abc'), 'classic')).toThrow(
      new RangeError('USERNAME of 3 bytes in an RFC 3489 message, no multiple of four'),
    );
  });
});

describe('credential attributes', () => {
  it('USERHASH is 32 bytes', () => {
    const hash = fromHex('ab'.repeat(32));
    expect(written(USERHASH.of(hash))).toBe(`001e0020${toHex(hash)}`);
    expect(read(USERHASH, 'ab'.repeat(31))).toBeUndefined();
    expect(() => USERHASH.of(hash.subarray(1))).toThrow(RangeError);
  });

  it('PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS, each with its parameters padded (RFC 8489 §14.11, §14.12)', () => {
    const md5 = { algorithm: 1, parameters: fromHex('') };
    const other = { algorithm: 0x1234, parameters: fromHex('aabbccddee') };
    expect(written(PASSWORD_ALGORITHM.of(md5))).toBe('001d000400010000');
    expect(written(PASSWORD_ALGORITHMS.of([other, md5]))).toBe(
      '80020010' + '12340005aabbccddee000000' + '00010000',
    );
    expect(read(PASSWORD_ALGORITHMS, '12340005aabbccddeeffffff00010000')).toEqual([other, md5]);
    // The last parameters' padding may be counted or be the attribute's own.
    expect(read(PASSWORD_ALGORITHM, '12340005aabbccddee')).toEqual(other);
    expect(read(PASSWORD_ALGORITHM, '0001000000020000')).toBeUndefined();
    expect(read(PASSWORD_ALGORITHMS, '12340005aabbccdd')).toBeUndefined();
    expect(read(PASSWORD_ALGORITHMS, '0001')).toBeUndefined();
  });
});

describe('ICE attributes (RFC 8445 §16.1)', () => {
  it('PRIORITY is 32 bits, the tie-breakers 64, USE-CANDIDATE none', () => {
    expect(written(PRIORITY.of(0xfedcba98))).toBe('00240004fedcba98');
    expect(read(PRIORITY, 'fedcba')).toBeUndefined();
    expect(written(ICE_CONTROLLED.of(0xfedcba9876543210n))).toBe('80290008fedcba9876543210');
    expect(written(ICE_CONTROLLING.of(1n))).toBe('802a00080000000000000001');
    expect(read(ICE_CONTROLLED, '00000001')).toBeUndefined();
    expect(() => ICE_CONTROLLING.of(1n << 64n)).toThrow(RangeError);
    expect(written(USE_CANDIDATE.of(true))).toBe('00250000');
    expect(read(USE_CANDIDATE, '00')).toBeUndefined();
  });
});

describe('attributes of relays (RFC 8656 §18)', () => {
  it('are 32 bits, or a number and what is reserved', () => {
    expect(written(LIFETIME.of(600))).toBe('000d000400000258');
    expect(read(LIFETIME, '00000258')).toBe(600);
    expect(read(LIFETIME, '0258')).toBeUndefined();
    expect(written(CHANNEL_NUMBER.of(0x4001))).toBe('000c000440010000');
    expect(read(CHANNEL_NUMBER, '4fffffff')).toBe(0x4fff);
    expect(read(CHANNEL_NUMBER, '50000000')).toBeUndefined();
    expect(read(CHANNEL_NUMBER, '4001')).toBeUndefined();
    expect(() => CHANNEL_NUMBER.of(0x5000)).toThrow(RangeError);
    expect(written(REQUESTED_TRANSPORT.of(UDP_PROTOCOL))).toBe('0019000411000000');
    expect(read(REQUESTED_TRANSPORT, '11ffffff')).toBe(17);
    expect(written(REQUESTED_ADDRESS_FAMILY.of('ipv6'))).toBe('0017000402000000');
    expect(read(REQUESTED_ADDRESS_FAMILY, '01000000')).toBe('ipv4');
    expect(read(REQUESTED_ADDRESS_FAMILY, '03000000')).toBeUndefined();
  });

  it('carry a datagram, and endpoints as XOR-MAPPED-ADDRESS does', () => {
    expect(written(DATA.of(Buffer.from('abc')))).toBe('0013000361626300');
    expect(read(DATA, '616263')).toEqual(new Uint8Array([0x61, 0x62, 0x63]));
    const endpoint = { address: '192.0.2.1', port: 32853 };
    expect(written(XOR_PEER_ADDRESS.of(endpoint))).toBe('001200080001a147e112a643');
    expect(written(XOR_RELAYED_ADDRESS.of(endpoint))).toBe('001600080001a147e112a643');
  });
});

describe('natprobe’s own attributes', () => {
  it('RECEIPT-REQUEST is its filling', () => {
    expect(written(RECEIPT_REQUEST.of(4))).toBe('ed10000400000000');
    expect(read(RECEIPT_REQUEST, '0000000000')).toBe(5);
  });

  it('RECEIPT is an XORed endpoint and a delay', () => {
    const ipv4 = { sentFrom: { address: '192.0.2.1', port: 32853 }, relayDelayMs: 0xfffffffe };
    expect(written(RECEIPT.of(ipv4))).toBe('ed11000c0001a147e112a643fffffffe');
    expect(read(RECEIPT, '0001a147e112a643fffffffe')).toEqual(ipv4);
    const ipv6 = {
      sentFrom: { address: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 },
      relayDelayMs: 0,
    };
    expect(written(RECEIPT.of(ipv6))).toBe('ed1100180002a1470113a9faa5d3f179bc25f4b5bed2b9d900000000');
    expect(read(RECEIPT, '0002a1470113a9faa5d3f179bc25f4b5bed2b9d900000000')).toEqual(ipv6);
    for (const hex of [
      '',
      '0001a147',
      '0001a147e112a643',
      '0001a147e112a643ffff',
      '0003a147e112a643fffffffe',
    ]) {
      expect(read(RECEIPT, hex)).toBeUndefined();
    }
    expect(() => RECEIPT.of({ ...ipv4, relayDelayMs: 0.5 })).toThrow(RangeError);
  });

  it('WITNESS as asked for: purpose, nonce and filling', () => {
    const asked = { kind: 'asked', purpose: 'report', nonce: fromHex('aabbcc'), fillerLength: 2 } as const;
    expect(written(WITNESS.of(asked))).toBe('ed12000900020300aabbcc0000000000');
    expect(read(WITNESS, '00020300aabbcc0000')).toEqual(asked);
    expect(read(WITNESS, '00010000')).toEqual({
      kind: 'asked',
      purpose: 'broker',
      nonce: fromHex(''),
      fillerLength: 0,
    });
    // No such purpose; a nonce past the end; no such form; too short.
    for (const hex of ['00000000', '00030000', '00010200aa', '02010000', '000100']) {
      expect(read(WITNESS, hex)).toBeUndefined();
    }
    expect(() => WITNESS.of({ ...asked, nonce: new Uint8Array(256) })).toThrow(RangeError);
  });

  it('WITNESS as given: key id, time and HMAC', () => {
    const given = {
      kind: 'given',
      keyId: 0x1234,
      madeAtMs: 0x019b76da907b,
      mac: fromHex('ab'.repeat(32)),
    } as const;
    const hex = `010012340000019b76da907b${'ab'.repeat(32)}`;
    expect(written(WITNESS.of(given))).toBe(`ed12002c${hex}`);
    expect(read(WITNESS, hex)).toEqual(given);
    expect(read(WITNESS, hex.slice(0, -2))).toBeUndefined();
    expect(read(WITNESS, `0100123400200000000000${'00'.repeat(33)}`)).toBeUndefined();
    expect(() => WITNESS.of({ ...given, mac: new Uint8Array(20) })).toThrow(RangeError);
  });

  it('SERVICE: zeros in a request, scheme and port in an answer of the same length', () => {
    expect(written(SERVICE.of({ kind: 'asked' }))).toBe('ed13000400000000');
    expect(written(SERVICE.of({ kind: 'given', scheme: 'http', port: 8080 }))).toBe('ed13000400011f90');
    expect(written(SERVICE.of({ kind: 'given', scheme: 'https', port: 443 }))).toBe('ed130004000201bb');
    expect(read(SERVICE, '00000000')).toEqual({ kind: 'asked' });
    expect(read(SERVICE, '00011f90')).toEqual({ kind: 'given', scheme: 'http', port: 8080 });
    expect(read(SERVICE, '000201bb')).toEqual({ kind: 'given', scheme: 'https', port: 443 });
    for (const hex of ['00010000', '00000050', '00030050', '0001', '0001005000']) {
      expect(read(SERVICE, hex)).toBeUndefined();
    }
    expect(() => SERVICE.of({ kind: 'given', scheme: 'http', port: 0 })).toThrow(RangeError);
  });

  it('DIAL-BACK: origin or outcome, milliseconds, and at the end where the dial came from', () => {
    const cases = [
      [{ kind: 'asked', origin: 'same-address', timeoutMs: 800 }, '00010320'],
      [{ kind: 'asked', origin: 'other-address', timeoutMs: 0 }, '00020000'],
      [{ kind: 'dialling', origin: 'other-address', timeoutMs: 65535 }, '0102ffff'],
      [{ kind: 'ended', outcome: 'declined', tookMs: 0 }, '02050000'],
      [
        {
          kind: 'ended',
          outcome: 'connected',
          tookMs: 258,
          dialledFrom: { address: '192.0.2.1', port: 32853 },
        },
        '020101020001a147e112a643',
      ],
      [
        {
          kind: 'ended',
          outcome: 'timeout',
          tookMs: 800,
          dialledFrom: { address: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 },
        },
        '020403200002a1470113a9faa5d3f179bc25f4b5bed2b9d9',
      ],
    ] as const;
    for (const [dial, hex] of cases) {
      const length = (hex.length / 2).toString(16).padStart(4, '0');
      expect(written(DIAL_BACK.of(dial))).toBe(`ed14${length}${hex}`);
      expect(read(DIAL_BACK, hex)).toEqual(dial);
    }
    // Too short; no such form, origin or outcome; something behind; an address cut off or of no family.
    for (const hex of [
      '000103',
      '03010320',
      '00000320',
      '01030320',
      '0001032000',
      '02000000',
      '02080000',
      '020101020001a147',
      '020101020003a147e112a643',
    ]) {
      expect(read(DIAL_BACK, hex), hex).toBeUndefined();
    }
    expect(() => DIAL_BACK.of({ kind: 'asked', origin: 'same-address', timeoutMs: 65536 })).toThrow(
      RangeError,
    );
    expect(() => DIAL_BACK.of({ kind: 'ended', outcome: 'timeout', tookMs: 0.5 })).toThrow(RangeError);
  });
});
