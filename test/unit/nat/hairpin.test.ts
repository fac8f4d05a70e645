import { describe, expect, it } from 'vitest';
import { parseEndpoint, type Endpoint } from '../../../shared/endpoint.ts';
import type { BindingEvidence, Evidence, Stray } from '../../../shared/nat/evidence.ts';
import { assessHairpin, describeHairpin } from '../../../shared/nat/hairpin.ts';
import { LOCAL, PP, publicPort, response, run, series, socket } from '../../support/evidence.ts';

const [ONE, OTHER] = [publicPort(1001), publicPort(1002)];
const TIMES = Array.from({ length: 16 }, (_, index) => 100 + index * 20);

/** Both sockets, answered once at first and beside each of TIMES. */
function contacts(mapped: readonly [Endpoint, Endpoint] = [ONE, OTHER]): Evidence[] {
  return ['hairpin-1', 'hairpin-2'].flatMap((name, index) => {
    const sendsMs = index === 0 ? [0, ...TIMES] : [5];
    const replies = sendsMs.map((ms, send) => response(send, ms + 10, PP, mapped[index]!));
    return [
      { ...socket(name, { ...LOCAL, port: 1001 + index }), purpose: 'hairpin' as const },
      series(name, PP, sendsMs, replies),
    ];
  });
}

function sent(from: string, to: Endpoint, atMs = TIMES, strays: Stray[] = []): BindingEvidence {
  return { ...series(from, to, atMs), strays };
}

const arrival = (from: Endpoint, heardBy = 'hairpin-1', kind: Stray['kind'] = 'request'): Stray => ({
  kind,
  send: 3,
  atMs: 161,
  socket: heardBy,
  from,
});

function valueOf(evidence: readonly Evidence[], untilMs = 1000) {
  const { value, seenAs, reasons, confidence } = assessHairpin([run(untilMs), ...evidence]);
  return { value, seenAs, code: reasons[0]!.code, confidence };
}

describe('hairpinning', () => {
  it('is named by what the sender is seen as', () => {
    const seenAs = (from: Endpoint) =>
      valueOf([...contacts(), sent('hairpin-1', OTHER), sent('hairpin-2', ONE, TIMES, [arrival(from)])]);
    expect(seenAs(OTHER)).toEqual({
      value: 'translated',
      seenAs: OTHER,
      code: 'hairpin-heard',
      confidence: 1,
    });
    expect(seenAs({ ...LOCAL, port: 1002 }).value).toBe('untranslated');
    expect(seenAs(parseEndpoint('10.0.0.1:5000', 'a gateway')).value).toBe('translated');
  });

  it('is heard in either direction', () => {
    const heard = sent('hairpin-1', OTHER, TIMES, [arrival(ONE, 'hairpin-2')]);
    expect(valueOf([...contacts(), heard, sent('hairpin-2', ONE)]).value).toBe('translated');
  });

  it('is none once silence is counted', () => {
    const silent = [...contacts(), sent('hairpin-1', OTHER), sent('hairpin-2', ONE)];
    const { value, confidence, code } = valueOf(silent);
    expect([value, code]).toEqual(['none', 'hairpin-silence']);
    expect(confidence).toBeGreaterThan(0.999);
    expect(confidence).toBeLessThan(1);
    // The last packets are still under way: their time is a round trip and 50 ms.
    expect(valueOf(silent, 250)).toMatchObject({ value: 'unknown', code: 'hairpin-open', confidence: 0 });
  });

  it('is not concluded from one side, from few, or without controls beside', () => {
    expect(valueOf([...contacts(), sent('hairpin-2', ONE)]).value).toBe('unknown');
    const few = TIMES.slice(0, 5);
    expect(valueOf([...contacts(), sent('hairpin-1', OTHER, few), sent('hairpin-2', ONE, few)]).value).toBe(
      'unknown',
    );
    const later = TIMES.map((ms) => ms + 400);
    const uncontrolled = [sent('hairpin-1', OTHER, later), sent('hairpin-2', ONE, later)];
    expect(valueOf([...contacts(), ...uncontrolled]).value).toBe('unknown');
  });

  it('is not what a response is, or a packet to the sender itself', () => {
    for (const stray of [arrival(OTHER, 'hairpin-1', 'response'), arrival(OTHER, 'hairpin-2')]) {
      const axis = valueOf([...contacts(), sent('hairpin-1', OTHER), sent('hairpin-2', ONE, TIMES, [stray])]);
      expect(axis.value).toBe('none');
    }
  });

  it('is unknown without translation, without an answer, or with one alone', () => {
    const same = contacts([
      { ...LOCAL, port: 1001 },
      { ...LOCAL, port: 1002 },
    ]);
    expect(valueOf(same).code).toBe('not-translated');
    expect(valueOf([]).code).toBe('no-answer');
    expect(valueOf(contacts().slice(0, 2)).code).toBe('hairpin-open');
  });

  it('is said in words', () => {
    const texts = (['translated', 'untranslated', 'none', 'unknown'] as const).map((value) =>
      describeHairpin({ value, confidence: 1, reasons: [] }),
    );
    expect(new Set(texts).size).toBe(4);
    for (const text of texts) expect(text.length).toBeLessThanOrEqual(70);
  });
});
