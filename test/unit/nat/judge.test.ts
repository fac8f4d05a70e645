import { describe, expect, it } from 'vitest';
import type { Evidence, RefusalEvidence, TcpEvidence } from '../../../shared/nat/evidence.ts';
import { FROM_OTHER_ADDRESS, FROM_OTHER_PORT } from '../../../shared/nat/filtering.ts';
import { judge } from '../../../shared/nat/judge.ts';
import {
  AA,
  LOCAL,
  MAPPED,
  mappingSeries,
  PA,
  PP,
  publicPort,
  receipt,
  response,
  run,
  series,
  socket,
} from '../../support/evidence.ts';

const SENDS = [5, 15, 25, 35];

/** Answered requests to the other address beside each of SENDS. */
const CONTROL_SENDS = [5, 10, 15, 20, 25, 30, 35, 40];
const controls = (mapped: typeof PP): Evidence =>
  series(
    'mapping',
    AA,
    CONTROL_SENDS,
    CONTROL_SENDS.map((ms, index) => response(index, ms + 10, AA, mapped)),
  );
const HEARD_ADDRESS = series('filtering', PP, [5], [response(0, 15, AA, MAPPED)], FROM_OTHER_ADDRESS);
const HEARD_PORT = series(
  'filtering',
  PP,
  [5],
  [response(0, 15, PA, MAPPED), receipt(0, 15, PA)],
  FROM_OTHER_PORT,
);
const SILENT_ADDRESS = series(
  'filtering',
  PP,
  SENDS,
  SENDS.map((ms, index) => receipt(index, ms + 10, AA)),
  FROM_OTHER_ADDRESS,
);
const SILENT_PORT = series(
  'filtering',
  PP,
  SENDS,
  SENDS.map((ms, index) => receipt(index, ms + 10, PA)),
  FROM_OTHER_PORT,
);

const NONE = [LOCAL, LOCAL, LOCAL, LOCAL] as const;
const EIM = [MAPPED, MAPPED, MAPPED, MAPPED] as const;
const ADM = [MAPPED, MAPPED, publicPort(2), publicPort(2)] as const;
const APDM = [MAPPED, publicPort(1), publicPort(2), publicPort(3)] as const;
const EIF = [HEARD_ADDRESS];
const ADF = [SILENT_ADDRESS, HEARD_PORT];
const APDF = [SILENT_ADDRESS, SILENT_PORT];

function evidenceOf(
  mapped: readonly [typeof PP, typeof PP, typeof PP, typeof PP],
  filtering: readonly Evidence[],
): Evidence[] {
  return [
    run(300),
    socket('mapping'),
    ...mappingSeries('mapping', mapped),
    controls(mapped[3]),
    socket('mapping-2'),
    ...mappingSeries('mapping-2', mapped),
    socket('filtering'),
    ...filtering,
  ];
}

describe('judge', () => {
  it.each([
    ['open', 'none', 'endpoint-independent', NONE, EIF],
    ['symmetric-firewall', 'none', 'address-dependent', NONE, ADF],
    ['symmetric-firewall', 'none', 'address-and-port-dependent', NONE, APDF],
    ['full-cone', 'endpoint-independent', 'endpoint-independent', EIM, EIF],
    ['restricted-cone', 'endpoint-independent', 'address-dependent', EIM, ADF],
    ['port-restricted-cone', 'endpoint-independent', 'address-and-port-dependent', EIM, APDF],
    ['symmetric', 'address-dependent', 'endpoint-independent', ADM, EIF],
    ['symmetric', 'address-dependent', 'address-dependent', ADM, ADF],
    ['symmetric', 'address-dependent', 'address-and-port-dependent', ADM, APDF],
    ['symmetric', 'address-and-port-dependent', 'endpoint-independent', APDM, EIF],
    ['symmetric', 'address-and-port-dependent', 'address-dependent', APDM, ADF],
    ['symmetric', 'address-and-port-dependent', 'address-and-port-dependent', APDM, APDF],
  ] as const)('names %s: %s mapping, %s filtering', (type, mapping, filtering, mapped, tests) => {
    const { verdict, endpoints } = judge(evidenceOf(mapped, tests));
    expect(verdict).toMatchObject({ type, mapping, filtering });
    expect(verdict.confidence).toBeGreaterThanOrEqual(0.999);
    expect(endpoints).toEqual({ local: LOCAL, mapped: mapped[0] });
  });

  it('is inconclusive while a test is open, and keeps what is known', () => {
    const { verdict } = judge(evidenceOf(EIM, [SILENT_ADDRESS]));
    expect(verdict).toMatchObject({
      type: 'inconclusive',
      mapping: 'endpoint-independent',
      filtering: 'unknown',
    });
    expect(verdict.reasons.map(({ code }) => code)).toContain('filtering-open');
  });

  it('says cone where the server cannot serve the filtering tests', () => {
    const refused = (change: typeof FROM_OTHER_PORT): Evidence =>
      series('filtering', PP, [5], [response(0, 15, PP, MAPPED)], change);
    const { verdict } = judge(evidenceOf(EIM, [refused(FROM_OTHER_ADDRESS), refused(FROM_OTHER_PORT)]));
    expect(verdict).toMatchObject({ type: 'cone', mapping: 'endpoint-independent', filtering: 'unknown' });
  });

  it('passes over evidence of kinds that it does not know', () => {
    const unknown = { kind: 'hologram', colour: 'blue' } as unknown as Evidence;
    expect(judge([unknown, ...evidenceOf(EIM, EIF)]).verdict.type).toBe('full-cone');
  });

  it('mentions a gateway that rewrites payloads', () => {
    const rewritten = series(
      'mapping',
      PP,
      [0],
      [{ kind: 'response', send: 0, atMs: 10, from: PP, mapped: MAPPED, plainMapped: LOCAL, other: AA }],
    );
    const { verdict } = judge([...evidenceOf(EIM, EIF), rewritten]);
    expect(verdict.reasons.map(({ code }) => code)).toContain('payload-rewritten');
  });

  it('reports the mean round trip to the server', () => {
    expect(judge(evidenceOf(EIM, EIF)).rttMs).toBeCloseTo(10, 10);
  });
});

describe('judge without an answer over UDP', () => {
  const contacts = Array.from({ length: 66 }, (_, index) => index * 15);
  const silent = [socket('mapping'), series('mapping', PP, contacts)];
  const tcp = (change: Partial<TcpEvidence>): TcpEvidence => ({
    kind: 'tcp',
    to: PP,
    atMs: 250,
    outcome: 'pending',
    ...change,
  });
  const refusal: RefusalEvidence = { kind: 'refusal', to: PP, atMs: 251, reason: 'port-unreachable' };

  it.each(['answered', 'connected', 'refused'] as const)(
    'is blocked after a second where TCP was %s',
    (outcome) => {
      const control = tcp({ outcome, connectMs: 20, answerMs: 20 });
      expect(judge([run(999), ...silent, control]).verdict.type).toBe('inconclusive');
      const { verdict } = judge([run(1000), ...silent, control]);
      expect(verdict).toMatchObject({ type: 'udp-blocked', mapping: 'unknown', filtering: 'unknown' });
      expect(verdict.confidence).toBeGreaterThanOrEqual(0.999);
    },
  );

  it('waits for requests that TCP shows could still be answered', () => {
    const slow = tcp({ outcome: 'answered', connectMs: 1200, answerMs: 1200 });
    expect(judge([run(1000), ...silent, slow]).reach.kind).toBe('open');
    expect(judge([run(2650), ...silent, slow]).reach.kind).toBe('blocked');
  });

  it('takes the round trip from the answer where the SYN had to be repeated', () => {
    const repeated = tcp({ outcome: 'answered', connectMs: 1020, answerMs: 20 });
    const later = [
      socket('mapping'),
      series('mapping', PP, [...contacts, ...contacts.map((ms) => 1000 + ms)]),
    ];
    // From 1250 ms, when TCP got through, at 15 ms each: 26 of them are old enough at 1720 ms.
    expect(judge([run(1690), ...later, repeated]).reach.kind).toBe('open');
    expect(judge([run(1720), ...later, repeated]).reach.kind).toBe('blocked');
  });

  it('does not count what was sent before TCP got through: an outage may have taken both', () => {
    const repeated = tcp({ outcome: 'answered', connectMs: 1020, answerMs: 20 });
    expect(judge([run(2000), ...silent, repeated]).reach.kind).toBe('open');
  });

  it('is unreachable where TCP timed out too, and never blocked', () => {
    expect(judge([run(5000), ...silent, tcp({ outcome: 'timeout' })]).reach.kind).toBe('unreachable');
  });

  it('does not take a closed port for blocked UDP', () => {
    const refused = tcp({ outcome: 'refused', connectMs: 1 });
    expect(judge([run(1000), ...silent, refused, refusal]).reach.kind).toBe('nothing-listens');
    const answered = tcp({ outcome: 'answered', connectMs: 1, answerMs: 1 });
    expect(judge([run(1000), ...silent, answered, refusal]).reach.kind).toBe('blocked');
  });

  it('does not know while TCP is under way', () => {
    expect(judge([run(1000), ...silent, tcp({})])).toMatchObject({
      reach: { kind: 'open' },
      verdict: { confidence: 0 },
    });
  });
});
