import { describe, expect, it } from 'vitest';
import { EVIDENCE_LIMITS } from '../../../../server/reports/evidence-limits.ts';
import { judgeReport } from '../../../../server/reports/judge-report.ts';
import type { AxisEvidence } from '../../../../shared/nat/axes.ts';
import type { BindingEvidence, Evidence, SocketEvidence } from '../../../../shared/nat/evidence.ts';
import type { FamilyReport, Report } from '../../../../shared/report/report.ts';
import { readSample } from '../../../http/app.ts';
import { AA, MAPPED, PA, PP, run, socket } from '../../../support/evidence.ts';

const sample = readSample('port-restricted-cone');

function withFamily(change: Partial<FamilyReport>): Report {
  const { ipv4, ipv6 } = sample.families;
  return { ...sample, families: { ipv4: { ...ipv4, ...change }, ipv6 } };
}

describe('judgeReport', () => {
  it('finds nothing to differ in what natprobe wrote', () => {
    expect(judgeReport(sample).differing).toEqual([]);
  });

  it('names each claim that does not follow: of the verdict, of endpoints, of an axis', () => {
    const { axes, verdict } = sample;
    const lying = withFamily({
      verdict: { ...verdict, confidence: 0.5 },
      endpoints: { mapped: '203.0.113.9:1' },
      axes: { ...axes, ports: { ...axes!.ports!, value: 'random' } },
    });
    expect(judgeReport(lying).differing).toEqual([
      '/families/ipv4/verdict/confidence',
      '/families/ipv4/endpoints/mapped',
      '/families/ipv4/axes/ports',
    ]);
    expect(judgeReport({ ...sample, family: 'ipv6' }).differing).toEqual(['/family']);
  });

  it('takes other words for the same reason, and a claim that is not made, for no lie', () => {
    const { axes, verdict } = sample;
    const terse = withFamily({
      verdict: { ...verdict, reasons: [] },
      axes: { ports: axes!.ports! },
      endpoints: {},
    });
    expect(judgeReport(terse).differing).toEqual([]);
  });

  const refused: [string, (evidence: readonly Evidence[]) => readonly Evidence[]][] = [
    ['an address that is none', (list) => [...list, socket('mapping-9', { address: '1.2.3.256', port: 1 })]],
    [
      'an address in another spelling',
      (list) => [...list, socket('mapping-9', { address: '::01', port: 1 })],
    ],
    ['a reply to no request', (list) => [...list, { ...bigSeries(2, 3), sends: [] }]],
    ['a run that asked nobody', (list) => [run(100, { servers: [] }), ...list]],
    ['too many sockets', (list) => [...list, ...sockets(EVIDENCE_LIMITS.items)]],
    ['too many requests', (list) => [...list, bigSeries(EVIDENCE_LIMITS.sends + 1, 0)]],
    ['too many replies', (list) => [...list, bigSeries(1, EVIDENCE_LIMITS.replies + 1)]],
    [
      'too many servers',
      (list) => [run(100, { servers: Array(EVIDENCE_LIMITS.servers + 1).fill(PP) as [] }), ...list],
    ],
  ];
  it.each(refused)('refuses %s, among the evidence of a family or of an axis', (_what, change) => {
    const evidence = change(sample.evidence);
    expect(() => judgeReport(withFamily({ evidence }))).toThrow(
      expect.objectContaining({ code: 'ERR_EVIDENCE', place: 'families/ipv4/evidence' }),
    );
    const ports = change(sample.axisEvidence!.ports!);
    expect(() => judgeReport(withFamily({ axisEvidence: { ports } }), 'a')).toThrow(
      expect.objectContaining({ code: 'ERR_EVIDENCE', place: 'a/families/ipv4/axisEvidence/ports' }),
    );
  });

  const shapes: [string, number, number][] = [
    ['a thousand short series', 490, 4],
    ['few long series', 2, 1000],
  ];
  it.each(shapes)(
    'takes less than half a second for the most that it admits: %s',
    (_shape, series, sends) => {
      const evidence = [
        run(1e6, {
          paceMs: 0,
          servers: Array.from({ length: EVIDENCE_LIMITS.servers }, (_, i) =>
            i === 0 ? PP : { ...PP, port: i },
          ),
        }),
        ...sockets(490),
        ...Array.from({ length: series }, (_, index) => ({
          ...bigSeries(sends, 2 * sends, `mapping-${index}`),
          to: index % 2 === 0 ? PP : PA,
          ...(index % 3 === 1 && { change: { address: true, port: true } }),
        })),
      ];
      const names = ['ports', 'collisions', 'unsolicited', 'hairpin', 'fragments', 'tcp', 'layers'] as const;
      const axisEvidence: AxisEvidence = Object.fromEntries(names.map((name) => [name, evidence]));
      for (const change of [
        { evidence },
        ...names.map((name) => ({ axisEvidence: { [name]: axisEvidence[name]! } })),
      ]) {
        // Of this process alone: the machine may be busy.
        const before = process.cpuUsage();
        judgeReport(withFamily(change));
        const { user, system } = process.cpuUsage(before);
        expect((user + system) / 1000).toBeLessThan(500);
      }
    },
  );
});

function sockets(count: number): SocketEvidence[] {
  return Array.from({ length: count }, (_, index) => socket(`mapping-${index}`));
}

function bigSeries(sends: number, replies: number, name = 'mapping-0'): BindingEvidence {
  return {
    kind: 'binding',
    socket: name,
    to: PP,
    receipt: true,
    sends: Array.from({ length: sends }, (_, index) => ({ atMs: index * 7, transactionId: '00' })),
    replies: Array.from({ length: replies }, (_, index) => ({
      kind: 'response' as const,
      send: index % sends,
      atMs: index * 9,
      from: PP,
      mapped: { ...MAPPED, port: 1024 + index },
      other: AA,
    })),
  };
}
