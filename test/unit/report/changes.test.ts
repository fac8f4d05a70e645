import { describe, expect, it } from 'vitest';
import type { NatType } from '../../../shared/nat/behaviour.ts';
import { compareReports } from '../../../shared/report/changes.ts';
import { buildReport, type FamilyOutcome, type Report } from '../../../shared/report/report.ts';
import { LOCAL, MAPPED, PP, publicPort } from '../../support/evidence.ts';

const NOT_ASKED: FamilyOutcome = { kind: 'skipped', skip: { code: 'not-asked', text: 'not asked for' } };

function classified(type: NatType, mapped = MAPPED, local = LOCAL): FamilyOutcome {
  return {
    kind: 'classified',
    verdict: {
      type,
      mapping: 'endpoint-independent',
      filtering: 'address-dependent',
      confidence: 1,
      reasons: [],
    },
    endpoints: { local, mapped },
    servers: [PP],
    timing: { totalMs: 80 },
    evidence: [],
  };
}

function report(ipv4: FamilyOutcome, ipv6: FamilyOutcome = NOT_ASKED): Report {
  return buildReport({ asked: ['test'], startedAt: new Date(0), outcomes: { ipv4, ipv6 } })!;
}

describe('compareReports', () => {
  it('sees no change in other ports', () => {
    const before = report(classified('restricted-cone'));
    const after = report(classified('restricted-cone', publicPort(1), { ...LOCAL, port: 2 }));
    expect(compareReports(before, after)).toEqual([]);
  });

  it('names what changed, from what to what', () => {
    const before = report(classified('restricted-cone'));
    const after = report(classified('full-cone', { address: '203.0.113.8', port: 40000 }));
    expect(compareReports(before, after)).toEqual([
      { family: 'ipv4', what: 'type', from: 'restricted-cone', to: 'full-cone' },
      { family: 'ipv4', what: 'public address', from: '203.0.113.7', to: '203.0.113.8' },
    ]);
  });

  it('tells a family that came or went, with the reason', () => {
    const gone: FamilyOutcome = { kind: 'skipped', skip: { code: 'no-route', text: 'no way there' } };
    const before = report(classified('full-cone'), classified('open'));
    expect(compareReports(before, report(classified('full-cone'), gone))).toEqual([
      { family: 'ipv6', what: 'classified', from: 'yes', to: 'no: no way there' },
    ]);
  });
});
