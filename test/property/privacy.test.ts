import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planHairpin } from '../../probe/classify/inquiries/hairpin.ts';
import { planPorts } from '../../probe/classify/inquiries/ports.ts';
import { reportBrowser } from '../../server/ice/browser-report.ts';
import { concealAddresses } from '../../server/reports/privacy.ts';
import type { NewReport } from '../../server/reports/report-store.ts';
import { formatIpv4, formatIpv6, parseIpAddress } from '../../shared/address.ts';
import { canonicalAddress } from '../../shared/endpoint.ts';
import { assessAxes, type AxisEvidence } from '../../shared/nat/axes.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import { judge } from '../../shared/nat/judge.ts';
import { JUDGE_VERSION } from '../../shared/nat/verdict.ts';
import { buildReport, isClassified } from '../../shared/report/report.ts';
import { classifyBrowserIn } from '../sim/browser.ts';
import { BLOCKED, PASSING } from '../sim/cells.ts';
import { classifyIn } from '../sim/classify.ts';
import { inquireIn } from '../sim/inquire.ts';
import { buildWorld, type Conditions, type Scenario } from '../sim/scenario.ts';
import { checkProperty, SEED } from './property.ts';

console.log(`seed ${SEED}`);

const LOSSY: Partial<Conditions> = { rough: { loss: { kind: 'independent', probability: 0.1 } } };

/** A report of a simulated run, as the server has it before it is concealed. */
const simulatedReport: fc.Arbitrary<NewReport> = fc
  .record({
    scenario: fc.constantFrom(...PASSING, ...BLOCKED),
    seed: fc.integer({ min: 1, max: 1_000_000 }),
    isLossy: fc.boolean(),
    isSurveyed: fc.boolean(),
  })
  .map(({ scenario, seed, isLossy, isSurveyed }) =>
    reportOf(scenario, { seed, rttMs: 40, ...(isLossy && LOSSY) }, isSurveyed),
  )
  .filter((report) => report !== undefined);

function reportOf(scenario: Scenario, conditions: Conditions, isSurveyed: boolean): NewReport | undefined {
  const world = buildWorld(scenario, conditions);
  const server = world.server.primary;
  const { result } = classifyIn(world);
  if (result?.outcome.kind !== 'verdict') return undefined;
  const { evidence, endpoints, timing, family, outcome } = result;
  const surveyed = isSurveyed && endpoints.mapped !== undefined;
  const axisEvidence: AxisEvidence = {
    ...(surveyed && { hairpin: inquireIn(world, planHairpin({ server })).result!.evidence }),
    ...(surveyed && { ports: inquireIn(world, planPorts({ server })).result!.evidence }),
  };
  const classified = {
    kind: 'classified' as const,
    ...{ verdict: outcome.verdict, endpoints, servers: [server], timing, evidence },
    survey: { axisEvidence, axes: assessAxes(axisEvidence, evidence) },
  };
  const skipped = {
    kind: 'skipped' as const,
    skip: { code: 'not-asked' as const, text: 'by --ipv4 at home.example' },
  };
  const report = buildReport({
    asked: [server.address],
    startedAt: new Date('2026-03-01T11:59:59Z'),
    outcomes: family === 'ipv4' ? { ipv4: classified, ipv6: skipped } : { ipv4: skipped, ipv6: classified },
  })!;
  const { verdict } = report;
  const judged = { judgeVersion: JUDGE_VERSION, endpointsWitnessed: true as const, claimsFollow: true };
  return { source: 'probe', verdict, family, ...judged, report };
}

/** Every piece of evidence in a report, once for each place. */
function evidenceIn({ report }: NewReport): (readonly Evidence[])[] {
  return [report, report.families.ipv4, report.families.ipv6]
    .filter((family) => isClassified(family))
    .map(({ evidence }) => evidence);
}

const SERVERS = /^(192\.0\.2\.|2001:db8::[12]$)/;
const ADDRESSES = /(?<![\d.:a-f])(?:\d+\.\d+\.\d+\.\d+|(?:[0-9a-f]*:){2,}[0-9a-f]*)/g;

/** The addresses in a report, in one order whatever that of its fields. */
function addressesIn(report: NewReport): string[] {
  const text = JSON.stringify(report, (_, value: unknown) =>
    typeof value !== 'object' || value === null || Array.isArray(value)
      ? value
      : Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))),
  );
  return [...text.matchAll(ADDRESSES)].map(([address]) => address).filter(isAddress);
}

/** Times look like it too. */
function isAddress(text: string): boolean {
  return canonicalAddress(text) !== undefined;
}

/** The same report of a client elsewhere: each address of its own and of its gateways is replaced. */
function moved(report: NewReport, move: (address: string, index: number) => string): NewReport {
  const own = addressesIn(report).filter((address) => !SERVERS.test(address));
  const others = new Map([...new Set(own)].map((address, index) => [address, move(address, index)]));
  const text = JSON.stringify(report).replace(ADDRESSES, (address) => others.get(address) ?? address);
  return JSON.parse(text) as NewReport;
}

/** Another address of the same /24 or /48. */
function otherHostOf(address: string, number: number): string {
  const bytes = parseIpAddress(address)!;
  if (bytes.length === 4) bytes[3] = number;
  else bytes.set([0xab, 0xcd, number, 1, 2, 3, 4, 5, 6, 7], 6);
  return bytes.length === 4 ? formatIpv4(bytes, 0) : formatIpv6(bytes, 0);
}

describe('a concealed report', () => {
  it.each(['prefix', 'none'] as const)(
    'has evidence that is judged the same, in the same words (%s)',
    (privacy) => {
      checkProperty(
        fc.property(simulatedReport, (report) => {
          const concealed = concealAddresses(report, privacy);
          const [before, after] = [report, concealed].map(evidenceIn) as [Evidence[][], Evidence[][]];
          for (const [index, evidence] of after.entries()) {
            const { verdict, endpoints } = judge(evidence);
            expect(verdict).toEqual(concealed.verdict);
            const { reasons, ...original } = judge(before[index]!).verdict;
            expect(verdict).toMatchObject(original);
            expect(verdict.reasons.map(({ code }) => code)).toEqual(reasons.map(({ code }) => code));
            expect(endpoints.mapped?.port).toBe(judge(before[index]!).endpoints.mapped?.port);
          }
          const { axes, axisEvidence } = concealed.report;
          const again = assessAxes(axisEvidence!, concealed.report.evidence);
          expect(valuesOf(again)).toEqual(valuesOf(axes!));
          expect(valuesOf(axes!)).toEqual(valuesOf(report.report.axes!));
        }),
        60,
      );
    },
  );

  it('is the same whichever host of a /24 or /48 it comes from (prefix)', () => {
    checkProperty(
      fc.property(simulatedReport, fc.integer({ min: 0, max: 99 }), (report, shift) => {
        const elsewhere = moved(withoutAxes(report), (address, index) =>
          otherHostOf(address, 100 + shift + index),
        );
        expect(concealAddresses(elsewhere, 'prefix')).toEqual(
          concealAddresses(withoutAxes(report), 'prefix'),
        );
      }),
      25,
    );
  });

  it('is the same wherever it comes from, and names no address of it (none)', () => {
    checkProperty(
      fc.property(simulatedReport, fc.integer({ min: 0, max: 99 }), (report, shift) => {
        const elsewhere = moved(withoutAxes(report), (address, index) =>
          address.includes(':') ? `2a00:${shift}:${index}::77` : `81.${shift}.${index}.7`,
        );
        const concealed = concealAddresses(elsewhere, 'none');
        expect(concealed).toEqual(concealAddresses(withoutAxes(report), 'none'));
        for (const address of addressesIn(concealed))
          if (!SERVERS.test(address)) expect(address).toMatch(/^(0\.0\.0\.|100::)/);
      }),
      25,
    );
  });

  it('keeps different addresses different, equal ones equal, and servers as they are', () => {
    checkProperty(
      fc.property(simulatedReport, fc.constantFrom('prefix' as const, 'none' as const), (report, privacy) => {
        const before = addressesIn(report);
        const after = addressesIn(concealAddresses(report, privacy));
        expect(after).toHaveLength(before.length);
        expect(after.map((address) => after.indexOf(address))).toEqual(
          before.map((address) => before.indexOf(address)),
        );
        for (const [index, address] of before.entries())
          if (SERVERS.test(address)) expect(after[index]).toBe(address);
      }),
      25,
    );
  });
});

/** Axes list addresses by their size. */
function withoutAxes(report: NewReport): NewReport {
  const text = JSON.stringify(report, (key, value: unknown) => (key === 'axes' ? undefined : value));
  return JSON.parse(text) as NewReport;
}

/** What axes say, without addresses and texts. */
function valuesOf(axes: object): unknown[] {
  return Object.values(axes).map(({ value, confidence }: { value: unknown; confidence: unknown }) => ({
    value,
    confidence,
  }));
}

/** As the page leaves it. */
const browserReport: fc.Arbitrary<NewReport> = fc
  .record({ scenario: fc.constantFrom(...PASSING, ...BLOCKED), seed: fc.integer({ min: 1, max: 1_000_000 }) })
  .map(({ scenario, seed }) => {
    const { evidence } = classifyBrowserIn(buildWorld(scenario, { seed, rttMs: 40 }), 40);
    const report = reportBrowser(evidence, new Date('2026-03-01T11:59:59Z'));
    const { verdict, family } = report;
    const judged = { judgeVersion: JUDGE_VERSION, endpointsWitnessed: true as const, claimsFollow: true };
    return { source: 'browser', verdict, family, ...judged, report };
  });

describe('a concealed report of a browser', () => {
  it.each(['prefix', 'none'] as const)('is judged the same, and says who measured (%s)', (privacy) => {
    checkProperty(
      fc.property(browserReport, (report) => {
        const concealed = concealAddresses(report, privacy);
        const { verdict } = judge(concealed.report.evidence);
        expect(verdict).toEqual(concealed.verdict);
        expect({ ...verdict, reasons: [] }).toEqual({ ...report.verdict, reasons: [] });
        expect(concealed.report.source).toBe('browser');
        expect(concealed.report.server).toEqual(report.report.server);
      }),
      40,
    );
  });

  it('names no host of a /24 or /48 (prefix), and nothing of an address (none)', () => {
    checkProperty(
      fc.property(browserReport, fc.integer({ min: 0, max: 99 }), (report, shift) => {
        const neighbour = moved(report, (address, index) => otherHostOf(address, 100 + shift + index));
        expect(concealAddresses(neighbour, 'prefix')).toEqual(concealAddresses(report, 'prefix'));
        const own = addressesIn(report).filter((address) => !SERVERS.test(address));
        const shown = new Set(addressesIn(concealAddresses(report, 'none')));
        expect(own.filter((address) => shown.has(address))).toEqual([]);
      }),
      40,
    );
  });
});
