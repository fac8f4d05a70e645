import { describe, expect, it } from 'vitest';
import type { BindingReply, Evidence } from '../../../shared/nat/evidence.ts';
import { assessFiltering, FROM_OTHER_ADDRESS, FROM_OTHER_PORT } from '../../../shared/nat/filtering.ts';
import { observe } from '../../../shared/nat/observations.ts';
import {
  AA,
  AP,
  MAPPED,
  mappingSeries,
  PA,
  PP,
  receipt,
  response,
  run,
  series,
  socket,
} from '../../support/evidence.ts';

const SENDS = [5, 15, 25, 35];
const DIRECT: Evidence[] = [
  socket('mapping'),
  ...mappingSeries('mapping', [MAPPED, MAPPED, MAPPED, MAPPED]),
  socket('filtering'),
];

/** Answered requests to the other address, beside each of SENDS: 10 answers from there with those of DIRECT. */
const CONTROL_SENDS = [5, 10, 15, 20, 25, 30, 35, 40];
const CONTROLS = series(
  'mapping',
  AA,
  CONTROL_SENDS,
  CONTROL_SENDS.map((sentMs, index) => response(index, sentMs + 10, AA, MAPPED)),
);

function receipts(sentFrom: typeof AA): BindingReply[] {
  return SENDS.map((sentMs, index) => receipt(index, sentMs + 10, sentFrom));
}

function assess(untilMs: number, ...evidence: Evidence[]) {
  return assessFiltering(observe([run(untilMs), ...evidence]), PP);
}

describe('assessFiltering with receipts', () => {
  it('is endpoint-independent once the other address was heard', () => {
    const heard = series('filtering', PP, [5], [response(0, 15, AA, MAPPED)], FROM_OTHER_ADDRESS);
    expect(assess(20, ...DIRECT, heard)).toMatchObject({ filtering: 'endpoint-independent', confidence: 1 });
  });

  it('is address-and-port-dependent after four receipts of either kind and the wait', () => {
    const both = series('filtering', PP, SENDS, receipts(AA), FROM_OTHER_ADDRESS);
    const port = series('filtering', PP, SENDS, receipts(PA), FROM_OTHER_PORT);
    // The last receipts come at 45 ms; the wait is 50 ms.
    expect(assess(94, ...DIRECT, both, port)).toMatchObject({
      filtering: 'unknown',
      otherPort: { state: { kind: 'open', silent: 3, awaiting: 1, nextMs: 95 } },
    });
    const after = assess(95, ...DIRECT, both, port);
    expect(after.filtering).toBe('address-and-port-dependent');
    // 4 + 4 receipts and 2 direct answers from the primary address, whose own path is the less known: 1 − 4!·11!/15!
    expect(after.confidence).toBeCloseTo(1 - 24 / (12 * 13 * 14 * 15), 10);
  });

  it('is address-dependent where only the other port was heard', () => {
    const both = series('filtering', PP, SENDS, receipts(AA), FROM_OTHER_ADDRESS);
    const port = series(
      'filtering',
      PP,
      [5],
      [receipt(0, 15, PA), response(0, 15, PA, MAPPED)],
      FROM_OTHER_PORT,
    );
    const result = assess(95, ...DIRECT, CONTROLS, both, port);
    expect(result.filtering).toBe('address-dependent');
    // 10 answers from the other address: 1 − 4!·11!/15!
    expect(result.confidence).toBeCloseTo(1 - 24 / (12 * 13 * 14 * 15), 10);
    const short = series('filtering', PP, SENDS.slice(1), receipts(AA).slice(0, 3), FROM_OTHER_ADDRESS);
    expect(assess(95, ...DIRECT, CONTROLS, short, port).filtering).toBe('unknown');
  });

  it('counts silence from another address only beside something that came from there', () => {
    const both = series('filtering', PP, SENDS, receipts(AA), FROM_OTHER_ADDRESS);
    const port = series('filtering', PP, [5], [response(0, 15, PA, MAPPED)], FROM_OTHER_PORT);
    const late = series(
      'mapping',
      AA,
      CONTROL_SENDS.map((ms) => 100 + ms),
      CONTROL_SENDS.map((ms, index) => response(index, 110 + ms, AA, MAPPED)),
    );
    // AP and AA were asked at 10 and 15 ms: within two slots of three of the four tests.
    expect(assess(500, ...DIRECT, late, both, port).otherAddress.state).toMatchObject({
      kind: 'open',
      silent: 3,
      unheard: 4,
      due: 0,
    });
    expect(assess(500, ...DIRECT, CONTROLS, both, port).otherAddress.state.kind).toBe('silent');
  });

  it('takes the loss on the way from the other address for what it is, however clean the other way', () => {
    const sends = Array.from({ length: 200 }, (_, index) => 5 + 5 * index);
    const asked = sends.slice(0, 40);
    const both = series('filtering', PP, SENDS, receipts(AA), FROM_OTHER_ADDRESS);
    const port = series(
      'filtering',
      PP,
      sends,
      [...sends.map((ms, index) => receipt(index, ms + 10, PA)), response(0, 15, PA, MAPPED)],
      FROM_OTHER_PORT,
    );
    const everyOther = series(
      'mapping',
      AA,
      asked,
      asked
        .filter((_, index) => index % 2 === 0)
        .map((ms, index) => response(2 * index, ms + 10, AA, MAPPED)),
    );
    const state = assess(2000, ...DIRECT, everyOther, both, port).otherAddress.state;
    expect(state).toMatchObject({ kind: 'open', silent: 4, unheard: 4 });
  });

  it('does not count silence from an endpoint that answers nobody directly', () => {
    const direct = DIRECT.filter((item) => item.kind !== 'binding' || item.to !== PA);
    const both = series('filtering', PP, SENDS, receipts(AA), FROM_OTHER_ADDRESS);
    const port = series('filtering', PP, SENDS, receipts(PA), FROM_OTHER_PORT);
    expect(assess(500, ...direct, both, port).otherPort.state).toMatchObject({ kind: 'open', silent: 0 });
  });

  it('does not count requests whose receipt did not come', () => {
    const lost = series('filtering', PP, SENDS, receipts(PA).slice(0, 1), FROM_OTHER_PORT);
    expect(assess(500, ...DIRECT, lost).otherPort.state).toMatchObject({
      kind: 'open',
      silent: 1,
      awaiting: 0,
    });
  });

  it('does not count a burst: four silent ones in one pacing slot are one look', () => {
    const burst = [5, 5, 6, 6];
    const replies = burst.map((sentMs, index) => receipt(index, sentMs + 10, PA));
    const port = series('filtering', PP, burst, replies, FROM_OTHER_PORT);
    const both = series('filtering', PP, SENDS, receipts(AA), FROM_OTHER_ADDRESS);
    expect(assess(500, ...DIRECT, both, port).otherPort.state.kind).toBe('open');
  });

  it('waits longer where the alternate endpoint is farther away', () => {
    const far = DIRECT.map((item) =>
      item.kind === 'binding' && item.to === PA
        ? series('mapping', PA, [0], [response(0, 200, PA, MAPPED)])
        : item,
    );
    const port = series('filtering', PP, SENDS, receipts(PA), FROM_OTHER_PORT);
    const both = series('filtering', PP, SENDS, receipts(AA), FROM_OTHER_ADDRESS);
    // 190 ms farther, so the receipt of 45 ms may be followed until 235 ms at least.
    expect(assess(234, ...far, both, port).otherPort.state.kind).toBe('open');
    expect(assess(300, ...far, both, port).otherPort.state.kind).toBe('silent');
  });
});

describe('assessFiltering with servers that do less', () => {
  it('never calls an answer from the unchanged endpoint full cone', () => {
    const same = series('filtering', PP, [5], [response(0, 15, PP, MAPPED)], FROM_OTHER_ADDRESS);
    const samePort = series('filtering', PP, [10], [response(0, 20, PP, MAPPED)], FROM_OTHER_PORT);
    const result = assess(50, ...DIRECT, same, samePort);
    expect(result).toMatchObject({ filtering: 'unknown', otherAddress: { state: { kind: 'unsupported' } } });
    expect(result.reasons[0]!.code).toBe('change-request-unsupported');
  });

  it('concludes from controls where the server gives no receipts', () => {
    const sends = [5, 15, 25, 35, 45, 55];
    const both = series('filtering', PP, sends, [], FROM_OTHER_ADDRESS);
    const port = series('filtering', PP, sends, [], FROM_OTHER_PORT);
    const control = series(
      'filtering',
      PP,
      sends,
      sends.map((sentMs, index) => response(index, sentMs + 10, PP, MAPPED)),
    );
    expect(assess(500, ...DIRECT, both, port).filtering).toBe('unknown');
    const result = assess(500, ...DIRECT, both, port, control);
    expect(result.filtering).toBe('address-and-port-dependent');
    expect(result.reasons[0]!.code).toBe('filtering-silence-without-receipts');
  });

  it('learns from a one-address server whether its other port is let in', () => {
    const direct = [
      socket('mapping'),
      series('mapping', PP, [0], [{ ...response(0, 10, AP, MAPPED), from: PP }]),
      series('mapping', PA, [0], [response(0, 10, PA, MAPPED)]),
      socket('filtering'),
    ];
    const refused = series(
      'filtering',
      PP,
      [5],
      [{ kind: 'error', send: 0, atMs: 15, from: PP, code: 420, unknownAttributes: [3] }],
      FROM_OTHER_ADDRESS,
    );
    const heard = series(
      'filtering',
      PP,
      [5],
      [response(0, 15, PA, MAPPED), receipt(0, 15, PA)],
      FROM_OTHER_PORT,
    );
    const open = assess(50, ...direct, refused, heard);
    expect(open).toMatchObject({ filtering: 'unknown', otherAddress: { state: { kind: 'unavailable' } } });
    expect(open.reasons.map(({ code }) => code)).toEqual(['one-address-server', 'filtering-not-by-port']);

    const sends = [5, 15, 25, 35, 45, 55, 65, 75];
    const silent = series(
      'filtering',
      PP,
      sends,
      sends.map((ms, index) => receipt(index, ms + 10, PA)),
      FROM_OTHER_PORT,
    );
    expect(assess(500, ...direct, refused, silent).filtering).toBe('address-and-port-dependent');
  });
});
