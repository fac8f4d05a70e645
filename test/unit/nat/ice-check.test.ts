import { describe, expect, it } from 'vitest';
import { judge } from '../../../shared/nat/judge.ts';
import type { IceArrival, IceCheckEvidence, IceOwnCheck } from '../../../shared/nat/ice-evidence.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { Evidence } from '../../../shared/nat/evidence.ts';
import { AA, AP, MAPPED, PA, PP, publicPort, run } from '../../support/evidence.ts';

const ALL = [PP, PA, AP, AA];
const SENDS = [100, 150, 200, 250, 300];
const RUN = run(600, { paceMs: 50 });

function own(
  from: Endpoint,
  sentMs: readonly number[],
  answered: boolean,
  transactionId = '00',
): IceOwnCheck {
  const answers = answered ? [{ atMs: sentMs[0]! + 10, from: MAPPED }] : [];
  return { from, to: MAPPED, transactionId, sentMs, answers };
}

/** Controls at `count` times from 50 ms on, 25 ms apart; those of the given numbers are lost. */
function controls(count: number, lost: readonly number[] = []): IceOwnCheck[] {
  return Array.from({ length: count }, (_, index) => own(PP, [50 + 25 * index], !lost.includes(index)));
}

function filtering(
  checks: readonly IceOwnCheck[],
  browser: IceCheckEvidence['browser'] = { localCandidates: 1, pairs: 1, localType: 'prflx' },
): IceCheckEvidence {
  const received = [{ atMs: 40, at: PP, from: MAPPED, priority: 1, count: 5 }];
  const base = { kind: 'ice-check', connection: 'filtering', purpose: 'filtering', offered: [PP] } as const;
  return { ...base, received, checks, browser };
}

/** One mapping connection, seen as these at PP, PA, AP and AA; the other address is known to get through. */
function mapping(name: string, seen: readonly Endpoint[], priority = 1): IceCheckEvidence {
  const received = seen.map((from, index): IceArrival => ({
    atMs: 50,
    at: ALL[index]!,
    from,
    priority,
    count: 1,
  }));
  const checks = [own(AA, [60], true)];
  return { kind: 'ice-check', connection: name, purpose: 'mapping', offered: ALL, received, checks };
}

const SAME = [MAPPED, MAPPED, MAPPED, MAPPED];
const EACH = [1, 2, 3, 4].map(publicPort);
const EIM = [
  mapping('mapping', SAME),
  mapping(
    'mapping 2',
    SAME.map(() => publicPort(9)),
  ),
];

function verdictOf(
  ...evidence: Evidence[]
): Pick<ReturnType<typeof judge>['verdict'], 'type' | 'mapping' | 'filtering'> {
  const { type, mapping: mappingKind, filtering: filteringKind } = judge([RUN, ...evidence]).verdict;
  return { type, mapping: mappingKind, filtering: filteringKind };
}

describe('filtering', () => {
  const heardB = own(PA, [100], true, 'b');
  const silentB = own(PA, SENDS, false, 'b');
  const silentC = own(AA, SENDS, false, 'c');

  it('is endpoint-independent where the other address got in, if only with an error', () => {
    const error = { ...own(AA, [100], false), answers: [{ atMs: 110, from: publicPort(7), code: 401 }] };
    expect(verdictOf(filtering([...controls(10), heardB, error]), ...EIM).type).toBe('full-cone');
  });

  it('is address-dependent where only the other port did', () => {
    expect(verdictOf(filtering([...controls(12), heardB, silentC]), ...EIM).type).toBe('restricted-cone');
  });

  it('is address- and port-dependent where neither did', () => {
    expect(verdictOf(filtering([...controls(12), silentB, silentC]), ...EIM).type).toBe(
      'port-restricted-cone',
    );
  });

  it('a check of the browser to where it can know of by ours alone is an answer to it', () => {
    const evidence = filtering([...controls(12), silentB, silentC]);
    const heard = { atMs: 120, at: PA, from: MAPPED, priority: 1, count: 1 };
    const received = [...evidence.received, heard];
    expect(verdictOf({ ...evidence, received }, ...EIM).filtering).toBe('address-dependent');
  });

  it('has the confidence that five sends give at the loss of the control', () => {
    // 13 controls answered, one from the other address among them: 1 − 5!·14!/19!
    const sure = judge([RUN, filtering([...controls(12), silentB, silentC]), ...EIM.slice(0, 1)]).verdict;
    expect(sure.confidence).toBeCloseTo(1 - 120 / (15 * 16 * 17 * 18 * 19), 9);
    expect(sure.reasons.map(({ text }) => text)).toContain(
      'of 13 checks from endpoints that were sent to, 13 were answered',
    );
  });

  it('is not told from five sends at a high loss, or beside no control that got through', () => {
    const lossy = filtering([...controls(12, [1, 3, 5, 7]), silentB, silentC]);
    expect(verdictOf(lossy, ...EIM).filtering).toBe('unknown');
    const late = Array.from({ length: 20 }, (_, index) => own(PP, [401 + index], true));
    expect(verdictOf(filtering([...late, silentB, silentC]), ...EIM).filtering).toBe('unknown');
  });

  it('is not called address-dependent where the other address may not get through at all', () => {
    const deaf = EIM.map((connection) => ({ ...connection, checks: [] }));
    expect(verdictOf(filtering([...controls(12), heardB, silentC]), ...deaf).filtering).toBe('unknown');
  });
});

describe('mapping', () => {
  const open = filtering([...controls(8), own(PA, [100], true), own(AA, [100], true)]);

  it('is none where the browser saw that the address is its own', () => {
    const host = { ...open, browser: { localCandidates: 1, pairs: 1, localType: 'host' } as const };
    expect(verdictOf(host, ...EIM)).toMatchObject({ type: 'open', mapping: 'none' });
  });

  it('is none on the server’s own machine, whatever the browser thinks', () => {
    const seen = (address: string): IceCheckEvidence[] => [
      mapping(
        'mapping',
        SAME.map(({ port }) => ({ address, port })),
      ),
    ];
    expect(verdictOf(open, ...seen('127.0.0.1')).type).toBe('open');
    expect(verdictOf(open, ...seen(PP.address)).type).toBe('open');
  });

  it('is unknown where the browser did not say', () => {
    const untold = { ...open, browser: { localCandidates: 1, pairs: 1 } };
    expect(verdictOf(untold, ...EIM)).toMatchObject({ type: 'inconclusive', mapping: 'unknown' });
  });

  it('is dependent only where two sockets say so', () => {
    const [first, second] = [mapping('mapping', EACH), mapping('mapping 2', EACH.toReversed())];
    expect(verdictOf(open, first).type).toBe('inconclusive');
    expect(verdictOf(open, first, second)).toMatchObject({
      type: 'symmetric',
      mapping: 'address-and-port-dependent',
    });
  });

  it('is that of one socket, where a machine with two interfaces has two', () => {
    const other = mapping(
      'mapping',
      SAME.map(() => publicPort(3)),
      2,
    );
    const both = { ...EIM[0]!, received: [...other.received, ...EIM[0]!.received] };
    expect(verdictOf(open, both).mapping).toBe('endpoint-independent');
    expect(judge([RUN, open, both]).endpoints.mapped).toEqual(MAPPED);
  });
});

describe('without a round trip', () => {
  const silent = (browser: NonNullable<IceCheckEvidence['browser']>): IceCheckEvidence => ({
    ...filtering([], browser),
    received: [],
  });

  it('UDP is blocked where the browser has sent enough', () => {
    expect(verdictOf(silent({ localCandidates: 1, pairs: 1, checksSent: 40 })).type).toBe('udp-blocked');
    expect(verdictOf(silent({ localCandidates: 1, pairs: 9 })).type).toBe('udp-blocked');
    expect(verdictOf(silent({ localCandidates: 1, pairs: 1, checksSent: 5 })).type).toBe('inconclusive');
  });

  it('or where the browser got through and none of ours was answered', () => {
    expect(verdictOf(filtering(controls(20, [...Array(20).keys()]))).type).toBe('udp-blocked');
  });

  it('a browser with nothing to send from is no blocked UDP', () => {
    const { verdict } = judge([RUN, silent({ localCandidates: 0, pairs: 0 })]);
    expect(verdict).toMatchObject({ type: 'inconclusive', reasons: [{ code: 'browser-policy' }] });
  });
});

it('hostile evidence does not make the judge throw', () => {
  const check = { ...own(PA, [], false), answers: [{ atMs: 1, from: MAPPED }] };
  const odd = { ...filtering([check, own(PP, [], true)]), offered: [] };
  expect(() => judge([RUN, odd, mapping('mapping', [])])).not.toThrow();
});
