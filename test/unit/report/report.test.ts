import { Ajv } from 'ajv';
import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import type { Evidence } from '../../../shared/nat/evidence.ts';
import { JUDGE_VERSION, type Verdict } from '../../../shared/nat/verdict.ts';
import { buildReport, type FamilyOutcome, type Report } from '../../../shared/report/report.ts';
import { ReportSchema } from '../../../shared/report/schema.ts';
import {
  AA,
  LOCAL,
  mappingSeries,
  MAPPED,
  PP,
  receipt,
  run,
  series,
  socket,
} from '../../support/evidence.ts';

const VERDICT: Verdict = {
  type: 'port-restricted-cone',
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  confidence: 0.9998,
  reasons: [{ code: 'filtering-silence', text: 'nothing came' }],
};
const INCONCLUSIVE: Verdict = { ...VERDICT, type: 'inconclusive', confidence: 0.5 };
const EVIDENCE: readonly Evidence[] = [
  run(100),
  socket('mapping'),
  ...mappingSeries('mapping', [MAPPED, MAPPED, MAPPED, MAPPED]),
  series('filtering', PP, [0, 5], [receipt(0, 12, AA)], { address: true, port: true }),
  { kind: 'tcp', to: PP, atMs: 3, outcome: 'answered', connectMs: 4, answerMs: 5 },
  { kind: 'refusal', to: PP, atMs: 3, reason: 'port-unreachable' },
  {
    kind: 'tcp-binding',
    socket: 'filtering-2',
    purpose: 'filtering',
    to: PP,
    atMs: 3,
    outcome: 'answered',
    local: LOCAL,
    connectMs: 4,
    mapped: MAPPED,
    other: AA,
  },
  {
    kind: 'tcp-dial',
    socket: 'filtering-2',
    origin: 'other-address',
    atMs: 3,
    timeoutMs: 800,
    outcome: 'connected',
    tookMs: 4,
    dialledFrom: AA,
    acceptedAtMs: 7,
  },
];
const STARTED_AT = new Date('2025-11-21T03:00:00Z');
const NOT_ASKED: FamilyOutcome = {
  kind: 'skipped',
  skip: { code: 'not-asked', text: 'IPv6 was not asked for' },
};

function classified(verdict: Verdict, evidence: readonly Evidence[] = EVIDENCE): FamilyOutcome {
  return {
    kind: 'classified',
    verdict,
    endpoints: { local: LOCAL, mapped: MAPPED },
    servers: [PP],
    timing: { totalMs: 41.23456, rttMs: 12.9 },
    evidence,
  };
}

function build(ipv4: FamilyOutcome, ipv6: FamilyOutcome): Report | undefined {
  return buildReport({ asked: ['stun.example.org'], startedAt: STARTED_AT, outcomes: { ipv4, ipv6 } });
}

describe('buildReport', () => {
  it('says through which NAT64 IPv4 was reached, and nothing of one that was not used', () => {
    const nat64 = { kind: 'nat64', prefix: '64:ff9b::/96', used: true } as const;
    const report = build(classified(VERDICT, [...EVIDENCE, nat64]), NOT_ASKED)!;
    expect(report.endpoints.nat64).toBe('64:ff9b::/96');
    expect(Compile(ReportSchema).Check(report)).toBe(true);
    const beside = build(classified(VERDICT, [...EVIDENCE, { ...nat64, used: false }]), NOT_ASKED)!;
    expect('nat64' in beside.endpoints).toBe(false);
  });

  it('writes what was found, endpoints as text', () => {
    const family = {
      verdict: VERDICT,
      endpoints: { local: '10.0.0.2:40000', mapped: '203.0.113.7:40000' },
      server: {
        asked: ['stun.example.org'],
        endpoints: ['198.51.100.1:3478'],
        alternate: '198.51.100.2:3479',
        receipts: true,
      },
      timing: { totalMs: 41.235, rttMs: 12.9 },
      evidence: EVIDENCE,
    };
    expect(build(classified(VERDICT), NOT_ASKED)).toEqual({
      schema: 'natprobe/report@1',
      family: 'ipv4',
      ...family,
      families: { ipv4: family, ipv6: { skipped: { code: 'not-asked', text: 'IPv6 was not asked for' } } },
      startedAt: '2025-11-21T03:00:00.000Z',
      judgeVersion: JUDGE_VERSION,
    });
  });

  it('puts IPv4 on top, but a verdict before an inconclusive one', () => {
    expect(build(classified(VERDICT), classified(VERDICT))?.family).toBe('ipv4');
    expect(build(classified(INCONCLUSIVE), classified(VERDICT))?.family).toBe('ipv6');
    expect(build(classified(INCONCLUSIVE), classified(INCONCLUSIVE))?.family).toBe('ipv4');
    expect(build(NOT_ASKED, classified(INCONCLUSIVE))?.family).toBe('ipv6');
    expect(build(NOT_ASKED, NOT_ASKED)).toBeUndefined();
  });

  it('names what did not resolve, and leaves out what is unknown', () => {
    const outcome = classified(VERDICT, [run(100)]);
    const report = buildReport({
      asked: ['a', 'b'],
      unresolved: ['b'],
      startedAt: STARTED_AT,
      outcomes: { ipv4: { ...outcome, endpoints: {} } as FamilyOutcome, ipv6: NOT_ASKED },
    });
    expect(report?.endpoints).toEqual({});
    expect(report?.server).toEqual({
      asked: ['a', 'b'],
      unresolved: ['b'],
      endpoints: ['198.51.100.1:3478'],
      receipts: false,
    });
  });
});

describe('the schema', () => {
  const compiled = Compile(ReportSchema);
  const ajv = new Ajv({ strict: true, strictTypes: false, formats: { 'date-time': true } });
  const ajvCheck = ajv.compile(ReportSchema);
  const report = JSON.parse(JSON.stringify(build(classified(VERDICT), NOT_ASKED))) as Report;

  function check(value: unknown): boolean {
    const verdict = compiled.Check(value);
    // Two readers of the same schema: neither may be more lenient than the other.
    expect(ajvCheck(value)).toBe(verdict);
    return verdict;
  }

  it('takes what buildReport writes', () => {
    expect(check(report)).toBe(true);
    const unlike = JSON.parse(
      JSON.stringify(build(classified(VERDICT), classified(INCONCLUSIVE))),
    ) as unknown;
    expect(check(unlike)).toBe(true);
  });

  it('takes evidence of a kind that it does not know, and fields that it does not know', () => {
    expect(check({ ...report, evidence: [{ kind: 'of-tomorrow', whatever: 1 }] })).toBe(true);
    expect(check({ ...report, note: 'x' })).toBe(true);
  });

  const mistakes: [string, unknown][] = [
    ['another schema', { ...report, schema: 'natprobe/report@2' }],
    ['no verdict', { ...report, verdict: undefined }],
    ['a type that is none', { ...report, verdict: { ...VERDICT, type: 'conical' } }],
    ['a confidence above 1', { ...report, verdict: { ...VERDICT, confidence: 1.1 } }],
    ['an endpoint without a port', { ...report, endpoints: { local: '10.0.0.2' } }],
    [
      'a known kind of evidence in another shape',
      { ...report, evidence: [{ kind: 'binding', socket: 'a' }] },
    ],
    ['evidence without a kind', { ...report, evidence: [{}] }],
    ['a missing family', { ...report, families: { ipv4: report.families.ipv4 } }],
    [
      'a family skipped for no known reason',
      { ...report, families: { ...report.families, ipv6: { skipped: {} } } },
    ],
    ['no object', 'report'],
  ];
  for (const [what, value] of mistakes) {
    it(`refuses ${what}`, () => {
      expect(check(JSON.parse(JSON.stringify(value)))).toBe(false);
    });
  }
});
