import { describe, expect, it } from 'vitest';
import type { BindingEvidence, BindingReply, Evidence, Stray } from '../../../shared/nat/evidence.ts';
import { assessLifetime, describeLifetime, type LifetimeAxis } from '../../../shared/nat/lifetime.ts';
import { AA, PP, publicPort, receipt, response, run, series } from '../../support/evidence.ts';

const END_MS = 200_000;
const COMPANION = publicPort(50_000);

/** A socket that contacted the server at these times, 10 ms each, and was seen at that port. */
function contact(socket: string, port: number, sendsMs: readonly number[]): BindingEvidence {
  const replies = sendsMs.map((ms, send) => response(send, ms + 10, PP, publicPort(port)));
  return series(socket, PP, sendsMs, replies);
}

const STREAM_MS = [0, 1200, 2400];

/** A dozen answered requests, so that silence counts; the last ones among the questions. */
function companion(atMs: readonly number[] = [], mapped = COMPANION): BindingEvidence {
  const sendsMs = [...Array.from({ length: 60 }, (_, index) => index * 20), ...atMs];
  const replies = sendsMs.map((ms, send) => response(send, ms + 10, PP, mapped));
  return series('lifetime', PP, sendsMs, replies);
}

type Told = 'heard' | 'silent' | 'lost' | { readonly heardBy: string };

/** Questions of the companion about a port, and what became of each. */
function questions(port: number, asked: readonly (readonly [number, Told])[], by: string): BindingEvidence {
  const replies: BindingReply[] = [];
  const strays: Stray[] = [];
  for (const [send, [ms, told]] of asked.entries()) {
    if (told !== 'lost') replies.push(receipt(send, ms + 10, PP));
    if (told === 'lost' || told === 'silent') continue;
    const socket = told === 'heard' ? by : told.heardBy;
    strays.push({ kind: 'response', send, atMs: ms + 10, socket, from: PP });
  }
  return {
    ...series(
      'lifetime',
      PP,
      asked.map(([ms]) => ms),
      replies,
    ),
    responsePort: port,
    receipt: true,
    strays,
  };
}

const SILENCE = (ms: number): [number, Told][] =>
  [0, 100, 200, 300].map((later) => [ms + later, 'silent'] as [number, Told]);

function assess(...evidence: Evidence[]): LifetimeAxis {
  return assessLifetime([run(END_MS), ...evidence]);
}

const codesOf = ({ reasons }: Pick<LifetimeAxis, 'reasons'>): string[] => reasons.map(({ code }) => code);

const ALIVE_25 = [
  contact('lifetime-brief-1', 1001, [100]),
  questions(1001, [[25_100, 'heard']], 'lifetime-brief-1'),
];
const GONE_30 = [
  contact('lifetime-brief-2', 1002, [100]),
  questions(1002, SILENCE(30_100), 'lifetime-brief-2'),
];

describe('a lifetime', () => {
  it('lies between the longest interval that was heard and the first that was silent', () => {
    const axis = assess(companion([25_100, 30_100]), ...ALIVE_25, ...GONE_30);
    expect([axis.value, axis.atLeastMs, axis.atMostMs]).toEqual(['finite', 24_990, 30_210]);
    expect(axis.confidence).toBeGreaterThan(0.999);
    expect(codesOf(axis)).toEqual(['lifetime-alive', 'lifetime-gone']);
    expect(axis.reasons.map(({ text }) => text)).toEqual([
      '25 s after one exchange a response still came in through the mapping',
      '30 s after one exchange none of 4 responses sent to the mapping came in',
    ]);
    expect(axis.stream.value).toBe('unknown');
    expect(describeLifetime(axis)).toBe('25 to 30 s');
  });

  it('is told apart for one exchange and for a stream', () => {
    const stream = [
      contact('lifetime-stream-1', 1003, STREAM_MS),
      questions(1003, [[122_400, 'heard']], 'lifetime-stream-1'),
    ];
    const axis = assess(companion([25_100, 30_100, 122_400]), ...ALIVE_25, ...GONE_30, ...stream);
    expect(axis.stream).toMatchObject({ value: 'longer-than-tried', confidence: 1, atLeastMs: 119_990 });
    expect(axis.stream).not.toHaveProperty('atMostMs');
    expect(describeLifetime(axis)).toBe('25 to 30 s after one exchange, at least 120 s after several');
  });

  it('is not measured by flows that are neither, or whose last packet was not answered', () => {
    const between = [
      contact('lifetime-brief-3', 1004, [0, 1800]),
      questions(1004, [[40_000, 'heard']], 'lifetime-brief-3'),
    ];
    const unanswered = series('lifetime-brief-4', PP, [0, 500], [response(0, 10, PP, publicPort(1005))]);
    const asked = questions(1005, [[40_000, 'heard']], 'lifetime-brief-4');
    const axis = assess(companion([40_000]), ...between, unanswered, asked);
    expect([axis.value, axis.stream.value, codesOf(axis)]).toEqual(['unknown', 'unknown', ['lifetime-open']]);
  });

  it('needs silence that is counted: slots, receipts, waits', () => {
    const valueOf = (asked: [number, Told][], untilMs = END_MS) =>
      assessLifetime([
        run(untilMs),
        companion(asked.map(([ms]) => ms)),
        ...ALIVE_25,
        contact('lifetime-brief-2', 1002, [100]),
        questions(1002, asked, 'lifetime-brief-2'),
      ]).value;
    expect(valueOf(SILENCE(30_100))).toBe('finite');
    expect(valueOf(SILENCE(30_100).slice(0, 2))).toBe('longer-than-tried');
    expect(valueOf([0, 1, 2, 3].map((ms) => [30_100 + ms, 'silent']))).toBe('longer-than-tried');
    expect(valueOf([0, 100, 200, 300].map((ms) => [30_100 + ms, 'lost']))).toBe('longer-than-tried');
    // The wait after the receipt of the third question, 50 ms, is not over.
    expect(valueOf(SILENCE(30_100).slice(0, 3), 30_355)).toBe('longer-than-tried');
    expect(valueOf(SILENCE(30_100).slice(0, 3), 30_360)).toBe('finite');
  });

  it('is over where the response reaches another socket, or its port is seen there', () => {
    const heardElsewhere = questions(1002, [[10_100, { heardBy: 'lifetime-brief-9' }]], 'lifetime-brief-2');
    const taken = assess(
      companion([10_100]),
      contact('lifetime-fresh', 1000, [0]),
      questions(1000, [[20, 'heard']], 'lifetime-fresh'),
      contact('lifetime-brief-2', 1002, [100]),
      heardElsewhere,
    );
    expect([taken.value, taken.atMostMs, taken.confidence]).toEqual(['finite', 10_010, 1]);
    expect(codesOf(taken)).toContain('lifetime-port-reused');

    const seen = assess(
      companion(),
      contact('lifetime-fresh', 1000, [0]),
      questions(1000, [[20, 'heard']], 'lifetime-fresh'),
      contact('lifetime-brief-2', 1002, [100]),
      contact('lifetime-stream-2', 1002, [0, 4000]),
    );
    expect([seen.value, seen.atMostMs]).toEqual(['finite', 3910]);
  });

  it('has no upper bound where mappings lived unequally long', () => {
    const longer = [
      contact('lifetime-brief-3', 1003, [100]),
      questions(1003, [[35_100, 'heard']], 'lifetime-brief-3'),
    ];
    const axis = assess(companion([25_100, 30_100, 35_100]), ...ALIVE_25, ...GONE_30, ...longer);
    expect([axis.value, axis.atLeastMs, axis.atMostMs]).toEqual(['finite', 24_990, undefined]);
    expect(codesOf(axis)).toEqual(['lifetime-gone', 'lifetime-uneven']);
  });

  it('of a run that was stopped is what had been decided by then', () => {
    const waiting = contact('lifetime-brief-3', 1003, [100]);
    const axis = assessLifetime([run(26_000), companion([25_100]), ...ALIVE_25, waiting]);
    expect([axis.value, axis.atLeastMs]).toEqual(['longer-than-tried', 24_990]);
    expect(axis.reasons.at(-1)).toEqual({
      code: 'lifetime-open',
      text: '1 longer intervals were not decided',
    });
  });
});

describe('refresh by inbound packets', () => {
  const inbound = (asked: [number, Told][]): Evidence[] => [
    contact('lifetime-inbound-1', 1010, [100]),
    questions(1010, asked, 'lifetime-inbound-1'),
  ];
  const base = [companion([25_100, 30_100]), ...ALIVE_25, ...GONE_30];

  it('is seen where a mapping outlives the lifetime by them', () => {
    const axis = assess(...base, ...inbound([10, 20, 30, 40].map((s) => [s * 1000, 'heard'])));
    expect([axis.refreshedByInbound, codesOf(axis).at(-1)]).toEqual([
      'inbound-too',
      'lifetime-inbound-refreshes',
    ]);
    expect(describeLifetime(axis)).toBe('25 to 30 s; inbound packets refresh it too');
  });

  it('is not where a mapping is gone soon after one', () => {
    const axis = assess(...base, ...inbound([[20_000, 'heard'], ...SILENCE(33_000)]));
    expect([axis.refreshedByInbound, codesOf(axis).at(-1)]).toEqual([
      'outbound-only',
      'lifetime-inbound-does-not-refresh',
    ]);
  });

  it('is unknown while neither shows', () => {
    // Gone, but so long after the last packet that it would be gone in any case.
    const tooLate = inbound([[20_000, 'heard'], ...SILENCE(50_000)]);
    const notYet = inbound([
      [10_000, 'heard'],
      [20_000, 'heard'],
    ]);
    for (const trial of [tooLate, notYet]) {
      expect(assess(...base, ...trial).refreshedByInbound).toBe('unknown');
    }
  });
});

describe('what stands in the way of a lifetime', () => {
  const trial = contact('lifetime-brief-1', 1001, [100]);

  it('is a server without RESPONSE-PORT', () => {
    const asked = questions(1001, [[25_100, 'lost']], 'lifetime-brief-1');
    const error: BindingReply = {
      kind: 'error',
      send: 0,
      atMs: 25_110,
      from: PP,
      code: 420,
      unknownAttributes: [0x27],
    };
    for (const reply of [error, response(0, 25_110, PP, COMPANION)]) {
      const axis = assess(companion([25_100]), trial, { ...asked, replies: [reply] });
      expect([axis.value, axis.atLeastMs, codesOf(axis)]).toEqual([
        'unknown',
        0,
        ['response-port-unsupported'],
      ]);
    }
  });

  it('but not that the companion itself has been given the port', () => {
    const own = publicPort(1001);
    const asked = {
      ...questions(1001, [[25_100, 'lost']], 'lifetime-brief-1'),
      replies: [response(0, 25_110, PP, own)],
    };
    const fresh = [contact('lifetime-fresh', 1000, [0]), questions(1000, [[20, 'heard']], 'lifetime-fresh')];
    const axis = assess(companion([25_100], own), trial, asked, ...fresh);
    expect([axis.value, axis.atMostMs]).toEqual(['finite', 25_010]);
  });

  it('is an address pool', () => {
    const elsewhere = companion([25_100], { address: '203.0.113.8', port: 50_000 });
    const axis = assess(elsewhere, trial, questions(1001, SILENCE(25_100), 'lifetime-brief-1'));
    expect([axis.value, codesOf(axis)]).toEqual(['unknown', ['address-pool']]);
  });

  it('is that nothing comes in even at once', () => {
    const axis = assess(
      companion([120]),
      contact('lifetime-fresh', 1001, [100]),
      questions(1001, SILENCE(120), 'lifetime-fresh'),
    );
    expect([axis.value, codesOf(axis)]).toEqual(['unknown', ['lifetime-nothing-heard']]);
    expect(describeLifetime(axis)).toBe('unknown');
  });

  it('is that nothing answers; a response from elsewhere is none', () => {
    expect(codesOf(assess(series('lifetime', PP, [0, 250])))).toEqual(['no-answer']);
    const forged = {
      ...questions(1001, [[25_100, 'silent']], 'lifetime-brief-1'),
      strays: [
        { kind: 'response', send: 0, atMs: 25_110, socket: 'lifetime-brief-1', from: AA },
      ] satisfies Stray[],
    };
    expect(assess(companion([25_100]), trial, forged).value).toBe('unknown');
  });
});
