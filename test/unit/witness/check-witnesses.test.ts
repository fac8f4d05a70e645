/** Reports held against witnesses: what a server's own word covers, and what it does not. */
import { describe, expect, it } from 'vitest';
import { parseIpAddress } from '../../../shared/address.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { BindingEvidence, Evidence } from '../../../shared/nat/evidence.ts';
import type { GivenWitness, ReportWitnesses } from '../../../shared/report/witnesses.ts';
import { checkWitnesses } from '../../../server/witness/check-witnesses.ts';
import { WitnessKeys, witnessKeyOf } from '../../../server/witness/witness-keys.ts';
import { witnessMac } from '../../../server/witness/witness-mac.ts';

const PP = { address: '192.0.2.1', port: 3478 };
const AA = { address: '192.0.2.2', port: 3479 };
const MAPPED = { address: '198.51.100.7', port: 40000 };
const NOW_MS = Date.UTC(2026, 0, 2);
const NONCE = '00112233445566778899aabbccddeeff';
const KEY = witnessKeyOf(new Uint8Array(32).fill(1));
const OTHER_KEY = witnessKeyOf(new Uint8Array(32).fill(2));
const KEYS = new WitnessKeys(KEY);

/** A plain series on the first mapping socket, answered at its last send. */
function series(to: Endpoint, id: number, change: Partial<BindingEvidence> = {}): BindingEvidence {
  return {
    kind: 'binding',
    socket: 'mapping',
    to,
    receipt: false,
    sends: [{ atMs: 0, transactionId: idOf(id) }],
    replies: [{ kind: 'response', send: 0, atMs: 10, from: to, mapped: MAPPED }],
    ...change,
  };
}

function evidenceOf(...all: BindingEvidence[]): Evidence[] {
  const local = { address: '10.0.0.2', port: 5000 };
  return [
    { kind: 'socket', socket: 'mapping', purpose: 'mapping', local },
    { kind: 'socket', socket: 'filtering', purpose: 'filtering', local },
    ...all,
  ];
}

function idOf(number: number): string {
  return number.toString(16).padStart(24, '0');
}

function pack({ address, port }: Endpoint) {
  return { address: parseIpAddress(address)!, port };
}

function witness(to: Endpoint, id: number, made: Partial<GivenWitness> = {}, key = KEY): GivenWitness {
  const facts = { transactionId: idOf(id), to, mapped: MAPPED, keyId: key.id, madeAtMs: NOW_MS, ...made };
  const mac = witnessMac(key, {
    purpose: 'report',
    nonce: Buffer.from(NONCE, 'hex'),
    transactionId: Buffer.from(facts.transactionId, 'hex'),
    source: pack(facts.mapped),
    arrival: pack(facts.to),
    madeAtMs: facts.madeAtMs,
  });
  return { ...facts, mac: mac.toString('hex') };
}

function check(given: readonly GivenWitness[], evidence: Evidence[], keys = KEYS, nowMs = NOW_MS) {
  return checkWitnesses({ nonce: NONCE, given }, evidence, keys, nowMs);
}

describe('checkWitnesses', () => {
  const both = evidenceOf(series(PP, 1), series(AA, 2));

  it('is true where all that the mapping rests on is witnessed, partly where some of it is', () => {
    expect(check([witness(PP, 1), witness(AA, 2)], both)).toBe(true);
    expect(check([witness(PP, 1)], both)).toBe('partly');
    expect(check([], both)).toBe(false);
    expect(checkWitnesses(undefined, both, KEYS, NOW_MS)).toBe(false);
  });

  it('is false where there is no mapping evidence: nobody was seen', () => {
    expect(check([witness(PP, 1)], evidenceOf())).toBe(false);
    expect(check([witness(PP, 1)], evidenceOf(series(PP, 1, { replies: [] })))).toBe(false);
  });

  it('asks no witness of filtering tests, nor of requests that were not answered', () => {
    const more = [
      series(PP, 3, { socket: 'filtering' }),
      series(PP, 4, { change: { address: true, port: true }, receipt: true }),
      series(AA, 5, { socket: 'mapping', replies: [] }),
    ];
    expect(check([witness(PP, 1)], evidenceOf(series(PP, 1), ...more))).toBe(true);
  });

  it('takes the witness of a repeated request', () => {
    const sends = [idOf(1), idOf(9)].map((transactionId, index) => ({ atMs: 40 * index, transactionId }));
    expect(check([witness(PP, 9)], evidenceOf(series(PP, 1, { sends })))).toBe(true);
  });

  it('is good from 30 s before its time to 90 s after', () => {
    const one = evidenceOf(series(PP, 1));
    const at = (ms: number) => check([witness(PP, 1)], one, KEYS, NOW_MS + ms);
    expect([-30_001, -30_000, 0, 60_000, 90_000, 90_001].map(at)).toEqual([
      false,
      true,
      true,
      true,
      true,
      false,
    ]);
  });

  it.each<[string, GivenWitness]>([
    ['the evidence claims another endpoint', witness(PP, 1, { mapped: { ...MAPPED, port: 40001 } })],
    ['it came from another server endpoint', witness(AA, 1)],
    ['it belongs to another request', witness(PP, 8)],
    ['another key made it', witness(PP, 1, {}, OTHER_KEY)],
    ['another key made it and it names ours', { ...witness(PP, 1, {}, OTHER_KEY), keyId: KEY.id }],
    ['its time was changed', { ...witness(PP, 1), madeAtMs: NOW_MS - 1 }],
    ['its endpoint was changed', { ...witness(PP, 1, { mapped: { ...MAPPED, port: 1 } }), mapped: MAPPED }],
    ['its HMAC was cut', { ...witness(PP, 1), mac: witness(PP, 1).mac.slice(2) }],
    ['its address is none', { ...witness(PP, 1), mapped: { address: '1.2', port: 1 } }],
  ])('is false where %s', (_, given) => {
    expect(check([given], evidenceOf(series(PP, 1)))).toBe(false);
  });

  it('is false under another nonce', () => {
    const other: ReportWitnesses = { nonce: NONCE.replace('00', '01'), given: [witness(PP, 1)] };
    expect(checkWitnesses(other, evidenceOf(series(PP, 1)), KEYS, NOW_MS)).toBe(false);
  });
});

describe('keys', () => {
  const one = evidenceOf(series(PP, 1));

  it('go on checking when the next one makes witnesses, until that is replaced too', () => {
    const keys = new WitnessKeys(KEY);
    const old = witness(PP, 1);
    keys.rotate(OTHER_KEY);
    expect(keys.current).toBe(OTHER_KEY);
    expect([check([old], one, keys), check([witness(PP, 1, {}, OTHER_KEY)], one, keys)]).toEqual([
      true,
      true,
    ]);
    keys.rotate(witnessKeyOf(new Uint8Array(32).fill(3)));
    expect(check([old], one, keys)).toBe(false);
    expect(check([witness(PP, 1, {}, OTHER_KEY)], one, keys)).toBe(true);
  });

  it('have ids that follow from them, and are 32 bytes', () => {
    expect(witnessKeyOf(new Uint8Array(32).fill(1)).id).toBe(KEY.id);
    expect(OTHER_KEY.id).not.toBe(KEY.id);
    expect(() => witnessKeyOf(new Uint8Array(31))).toThrow(RangeError);
  });

  it('are told apart by more than their id', () => {
    const sameId = { id: KEY.id, secret: OTHER_KEY.secret };
    expect(check([witness(PP, 1)], one, new WitnessKeys(sameId, KEY))).toBe(true);
    expect(check([witness(PP, 1)], one, new WitnessKeys(sameId))).toBe(false);
  });
});
