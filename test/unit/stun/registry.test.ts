import { describe, expect, it } from 'vitest';
import {
  ATTRIBUTE,
  ERROR_PHRASES,
  METHOD,
  OWN_ATTRIBUTES,
  attributeName,
  classOfType,
  isComprehensionRequired,
  messageType,
  methodName,
  methodOfType,
} from '../../../shared/stun/registry.ts';
import type { MessageClassNumber } from '../../../shared/stun/registry.ts';
import { formerName, isAssigned, readRegistry } from '../../vectors/iana.ts';

const methods = readRegistry('iana-stun-methods.csv');
const attributes = readRegistry('iana-stun-attributes.csv');
const errorCodes = readRegistry('iana-stun-error-codes.csv');

/** Where IETF review assigns; above it stand vendors' own. */
const IETF_METHODS_END = 0x07f;
const IETF_ATTRIBUTES_END = 0xbfff;
const OWN: ReadonlySet<number> = new Set(OWN_ATTRIBUTES);

describe('the registry against IANA’s', () => {
  it('reads whole registries, with no hole and no overlap', () => {
    expect(methods.at(-1)?.last).toBe(0xfff);
    expect(attributes.at(-1)?.last).toBe(0xffff);
    expect(errorCodes.at(-1)?.last).toBe(699);
    for (const registry of [methods, attributes, errorCodes]) {
      expect(registry[0]?.first).toBe(0);
      registry.slice(1).forEach((entry, index) => expect(entry.first).toBe(registry[index]!.last + 1));
    }
  });

  it('has every method that the IETF assigned, and SharedSecret of RFC 3489', () => {
    const expected = methods
      .filter(({ last }) => last <= IETF_METHODS_END)
      .filter((entry) => isAssigned(entry) || formerName(entry) !== undefined)
      .map((entry) => [entry.first, formerName(entry) ?? entry.name]);
    expect(Object.values(METHOD).map((method) => [method, methodName(method)])).toEqual(expected);
  });

  it('has every attribute that the IETF assigned and those of RFC 3489, under IANA’s names', () => {
    const neverOurs = ['BANDWIDTH', 'TIMER-VAL'];
    const expected = attributes
      .filter(({ last }) => last <= IETF_ATTRIBUTES_END)
      .map((entry) => [entry.first, isAssigned(entry) ? entry.name : formerName(entry)] as const)
      .filter(([, name]) => name !== undefined && !neverOurs.includes(name));
    const ours = Object.values(ATTRIBUTE).filter((type) => !OWN.has(type));
    expect(ours.map((type) => [type, attributeName(type)])).toEqual(expected);
  });

  it('has every error code and phrase, and those of RFC 3489 besides', () => {
    const onlyRfc3489 = ['430', '431', '432', '433', '600'];
    const expected = errorCodes.filter(isAssigned).map(({ first, name }) => [String(first), name]);
    const ours = Object.entries(ERROR_PHRASES);
    expect(ours.filter(([code]) => !onlyRfc3489.includes(code))).toEqual(expected);
    expect(ours.map(([code]) => code)).toEqual(expect.arrayContaining(onlyRfc3489));
  });

  it('keeps natprobe’s own attributes in unassigned comprehension-optional expert-review space', () => {
    expect(OWN_ATTRIBUTES.map(attributeName)).toEqual([
      'RECEIPT-REQUEST',
      'RECEIPT',
      'WITNESS',
      'SERVICE',
      'DIAL-BACK',
    ]);
    for (const type of OWN_ATTRIBUTES) {
      expect(type).toBeGreaterThanOrEqual(0xc000);
      expect(isComprehensionRequired(type)).toBe(false);
      expect(attributes.find(({ first, last }) => first <= type && type <= last)?.name).toBe('Unassigned');
    }
    expect(new Set(OWN_ATTRIBUTES).size).toBe(OWN_ATTRIBUTES.length);
  });
});

describe('numbers', () => {
  it('have comprehension-required attributes below 0x8000', () => {
    expect(isComprehensionRequired(0x7fff)).toBe(true);
    expect(isComprehensionRequired(0x8000)).toBe(false);
  });

  it('without a name are written in hexadecimal', () => {
    expect(attributeName(0x00ab)).toBe('0x00ab');
    expect(methodName(0x0ab)).toBe('0x0ab');
  });

  it.each([
    // RFC 3489 §11.1 and RFC 8656 have these in full.
    [0, METHOD.BINDING, 0x0001],
    [1, METHOD.BINDING, 0x0011],
    [2, METHOD.BINDING, 0x0101],
    [3, METHOD.BINDING, 0x0111],
    [0, METHOD.SHARED_SECRET, 0x0002],
    [2, METHOD.SHARED_SECRET, 0x0102],
    [3, METHOD.SHARED_SECRET, 0x0112],
    [1, METHOD.SEND, 0x0016],
    [3, METHOD.ALLOCATE, 0x0113],
    [0, 0xfff, 0x3eef],
    [3, 0xfff, 0x3fff],
  ] as const)('class %i and method %i make type %i', (messageClass, method, type) => {
    expect(messageType(messageClass, method)).toBe(type);
    expect(classOfType(type)).toBe(messageClass);
    expect(methodOfType(type)).toBe(method);
  });

  it('of all 16,384 message types come back from their class and method', () => {
    const types = new Set<number>();
    for (let method = 0; method <= 0xfff; method += 1) {
      for (const messageClass of [0, 1, 2, 3] as MessageClassNumber[]) {
        const type = messageType(messageClass, method);
        expect([classOfType(type), methodOfType(type)]).toEqual([messageClass, method]);
        types.add(type);
      }
    }
    expect(types.size).toBe(0x4000);
  });
});
