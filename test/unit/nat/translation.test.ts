import { describe, expect, it } from 'vitest';
import type { Evidence } from '../../../shared/nat/evidence.ts';
import {
  assessTranslation,
  describeTranslation,
  type TranslationAxis,
} from '../../../shared/nat/translation.ts';
import { translatePrefix } from '../../support/nptv6.ts';
import { MAPPED, PP, response, run, series, socket } from '../../support/evidence.ts';

const INNER = { address: 'fd01:203:405::', length: 48 };
const OUTER = { address: '2001:db8:1::', length: 48 };
const PREFIX: Evidence = { kind: 'nat64', prefix: '64:ff9b::/96', used: false };

/** A local address, how the server saw it, and the port where it is another one. */
type Seen = readonly [string, string, number?];

function seen(...pairs: readonly Seen[]): Evidence[] {
  return pairs.flatMap(([local, mapped, port = 40000], index) => {
    const name = index === 0 ? 'mapping' : `filtering-${index}`;
    return [
      socket(name, { address: local, port: 40000 }),
      series(name, PP, [0], [response(0, 10, PP, { address: mapped, port })]),
    ];
  });
}

function judged(...pairs: readonly Seen[]): TranslationAxis {
  return assessTranslation([run(100), ...seen(...pairs)]);
}

describe('a translation of prefixes', () => {
  it('is the example of RFC 6296 §3.1', () => {
    expect(translatePrefix('fd01:203:405:1::1234', INNER, OUTER)).toBe('2001:db8:1:d550::1234');
    expect(translatePrefix('2001:db8:1:d550::1234', OUTER, INNER)).toBe('fd01:203:405:1::1234');
  });

  it('is told by the checksum that it keeps, at either length', () => {
    const axis = judged(['fd01:203:405:1::1234', '2001:db8:1:d550::1234']);
    expect([axis.value, axis.reasons[0]?.code]).toEqual(['nptv6', 'translation-checksum']);
    expect(axis.confidence).toBeGreaterThan(0.9999);
    const from = { address: 'fd01:203:405:1::', length: 64 };
    const long = translatePrefix('fd01:203:405:1::1234', from, { ...OUTER, length: 64 });
    expect(judged(['fd01:203:405:1::1234', long]).value).toBe('nptv6');
  });

  it('that keeps the whole suffix alone is told by a suffix that nobody would choose', () => {
    const axis = judged(['fd00::5054:ff:fe12:3456', '2001:db8::5054:ff:fe12:3456']);
    expect([axis.value, axis.reasons[0]?.code]).toEqual(['nptv6', 'translation-suffix']);
    const short = judged(['fd00::2', '2001:db8::2']);
    expect([short.value, short.reasons[0]?.text]).toEqual([
      'unknown',
      'only the prefix is translated, or the translator’s own address ends in ::2 as well',
    ]);
  });

  it('is none where a port or the suffix is another one', () => {
    const moved = judged(
      ['fd01:203:405:1::1234', '2001:db8:1:d550::1234'],
      ['fd01:203:405:1::1234', '2001:db8:1:d550::1234', 50000],
    );
    expect([moved.value, moved.confidence, moved.reasons[0]?.code]).toEqual([
      'nat66',
      1,
      'translation-ports',
    ]);
    const other = judged(['fd01:203:405:1::1234', '2001:db8:1::1']);
    expect([other.value, other.reasons[0]?.code]).toEqual(['nat66', 'translation-suffix-unlike']);
  });
});

describe('translation', () => {
  it('is none where the server saw the local endpoint itself', () => {
    const axis = judged(['2001:db8::5', '2001:db8::5']);
    expect([axis.value, axis.confidence, describeTranslation(axis)]).toEqual(['none', 1, undefined]);
  });

  it('of IPv4 is NAT44, or a NAT64’s where the address is a CLAT’s', () => {
    expect(judged(['10.0.0.2', MAPPED.address])).toMatchObject({ value: 'nat44', confidence: 1 });
    const clat = seen(['192.0.0.4', MAPPED.address]);
    expect(assessTranslation(clat)).toMatchObject({ value: 'nat64', confidence: 0.95 });
    const known = assessTranslation(clat, [PREFIX]);
    expect(known).toMatchObject({ value: 'nat64', confidence: 1, nat64Prefixes: ['64:ff9b::/96'] });
    expect(judged(['192.0.0.8', MAPPED.address]).value).toBe('nat44');
  });

  it('to IPv4 from IPv6 is NAT64, whether or not the prefix is known', () => {
    expect(judged(['2001:db8::5', MAPPED.address])).toMatchObject({ value: 'nat64', confidence: 1 });
    const axis = assessTranslation(
      [{ ...PREFIX, used: true }, ...seen(['2001:db8::5', MAPPED.address])],
      [PREFIX],
    );
    expect(axis.nat64Prefixes).toEqual(['64:ff9b::/96']);
    expect(axis.reasons[0]?.text).toContain('the NAT64 at 64:ff9b::/96');
    expect(describeTranslation(axis)).toEqual([
      'NAT64: IPv6 here, IPv4 outside',
      'a NAT64 leads from IPv6 to IPv4, under 64:ff9b::/96',
    ]);
  });

  it('is unknown where nothing came back, and says so', () => {
    const axis = assessTranslation([run(100), socket('mapping')]);
    expect([axis.value, axis.confidence, describeTranslation(axis)]).toEqual([
      'unknown',
      0,
      ['unknown: no answer came back over UDP'],
    ]);
  });

  it('beside a NAT64 that was not needed tells of it', () => {
    const axis = assessTranslation(seen(['2001:db8::5', '2001:db8::5']), [PREFIX]);
    expect(describeTranslation(axis)).toEqual(['a NAT64 leads from IPv6 to IPv4, under 64:ff9b::/96']);
  });
});
