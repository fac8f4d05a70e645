import { describe, expect, it } from 'vitest';
import { concealAddresses } from '../../../../server/reports/privacy.ts';
import { AddressPseudonyms } from '../../../../server/reports/pseudonyms.ts';
import type { NewReport } from '../../../../server/reports/report-store.ts';
import { assessAxes } from '../../../../shared/nat/axes.ts';
import type { Evidence } from '../../../../shared/nat/evidence.ts';
import { isClassified } from '../../../../shared/report/report.ts';
import { AA, LOCAL, MAPPED, PP } from '../../../support/evidence.ts';
import { newReport } from './reports.ts';

const LAYERS: readonly Evidence[] = [
  { kind: 'endpoints', local: LOCAL, mapped: [MAPPED] },
  {
    kind: 'interface',
    name: 'enx00e04c680123',
    interfaceKind: 'ethernet',
    address: LOCAL.address,
    onPath: true,
    gateway: '10.0.0.77',
  },
  { kind: 'interface', name: 'wg-acme', interfaceKind: 'vpn', address: '10.99.0.5', onPath: false },
  { kind: 'port-mapper', protocol: 'pcp', gateway: '10.0.0.77', externalAddress: '100.64.9.9', latencyMs: 3 },
];

/** A report with all that could give its client away. */
function tellingReport(): NewReport {
  const judged = newReport();
  const { evidence, ...family } = judged.report;
  const unknown = { kind: 'diary', text: 'at 203.0.113.7' } as unknown as Evidence;
  const chatty = evidence.map((item) => ({ ...item, note: 'Ada’s laptop, 203.0.113.7' }));
  const axisEvidence = { layers: LAYERS };
  const telling = {
    ...family,
    evidence: [...chatty, unknown],
    server: {
      ...family.server,
      asked: [
        'nat.house.example:3479',
        '198.51.100.1',
        'nat.house.example',
        '203.0.113.7:3478',
        'old.example',
      ],
      unresolved: ['old.example'],
    },
    axes: assessAxes(axisEvidence, evidence),
    axisEvidence,
    note: 'written by Ada',
  };
  const skipped = {
    skipped: { code: 'no-route' as const, text: 'no route from fd00::5 at nat.house.example' },
  };
  return { ...judged, report: { ...telling, families: { ipv4: telling, ipv6: skipped } } };
}

const GIVEAWAYS = [
  ...['203.0.113.7', '10.0.0.77', '10.99.0.5', '100.64.9.9', 'fd00::5'],
  ...['Ada', 'enx00e04c680123', 'wg-acme', 'house.example', 'old.example', 'diary'],
];

describe.each(['prefix', 'none'] as const)('a report concealed to %s', (privacy) => {
  const concealed = concealAddresses(tellingReport(), privacy);

  it('gives nothing away, wherever it stood', () => {
    const before = JSON.stringify(tellingReport());
    const after = JSON.stringify(concealed);
    for (const giveaway of GIVEAWAYS) {
      expect(before).toContain(giveaway);
      expect(after).not.toContain(giveaway);
    }
  });

  it('keeps the verdict, ports, servers and the version of the judge', () => {
    const { verdict, judgeVersion, report } = concealed;
    const original = tellingReport();
    expect({ verdict: { ...verdict, reasons: [] }, judgeVersion }).toEqual({
      verdict: { ...original.verdict, reasons: [] },
      judgeVersion: original.judgeVersion,
    });
    expect(report.server.endpoints).toEqual(original.report.server.endpoints);
    expect(report.server.alternate).toBe(original.report.server.alternate);
    expect(report.endpoints.mapped).toMatch(/:40000$/);
    expect(report.startedAt).toBe(original.report.startedAt);
  });

  it('says the same at its top level as in its family', () => {
    const { families, ...top } = concealed.report;
    expect(isClassified(families.ipv4) && top).toMatchObject(families.ipv4);
    expect(families.ipv6).toEqual({
      skipped: { code: 'no-route', text: 'this machine has no way there' },
    });
  });

  it('numbers the servers that were named, the same in each place', () => {
    expect(concealed.report.server).toMatchObject({
      asked: [
        'server-1:3479',
        '198.51.100.1',
        'server-1',
        expect.stringMatching(/:3478$/) as string,
        'server-2',
      ],
      unresolved: ['server-2'],
    });
  });

  it('calls interfaces by their kind', () => {
    expect(concealed.report.axes!.layers).toMatchObject({
      path: { name: 'ethernet-1', kind: 'ethernet' },
      otherInterfaces: [{ name: 'vpn-2', kind: 'vpn' }],
    });
  });
});

it('a report concealed to prefix shows /24 of its addresses, with hosts counted through', () => {
  const { report } = concealAddresses(tellingReport(), 'prefix');
  expect(report.endpoints).toEqual({ local: '10.0.0.1:40000', mapped: '203.0.113.1:40000' });
  expect(report.axes!.layers!.path!.gateway).toBe('10.0.0.2');
  expect(report.axes!.layers!.portMappers[0]!.externalAddress).toBe('100.64.9.1');
  expect(report.verdict.reasons[0]!.text).toContain('the same public endpoint, 203.0.113.1:40000');
});

it('evidence of a browser keeps the server’s endpoints, and none of the browser’s', () => {
  const browser = { ...MAPPED, port: 50_000 };
  const evidence: Evidence[] = [
    ...newReport().report.evidence.slice(0, 1),
    {
      kind: 'ice-check',
      connection: 'filtering',
      purpose: 'filtering',
      offered: [PP],
      received: [{ atMs: 1, at: PP, from: browser, priority: 1, count: 1 }],
      checks: [
        { from: AA, to: browser, transactionId: '00ff', sentMs: [2], answers: [{ atMs: 3, from: browser }] },
      ],
    },
  ];
  const judged = newReport();
  const { evidence: concealed } = concealAddresses(
    { ...judged, report: { ...judged.report, evidence } },
    'prefix',
  ).report;
  const [server, host] = [PP.address, '203.0.113.1'];
  expect(concealed[1]).toMatchObject({
    offered: [{ address: server }],
    received: [{ at: { address: server }, from: { address: host, port: 50_000 } }],
    checks: [{ from: AA, to: { address: host }, answers: [{ from: { address: host } }] }],
  });
});

it('a report is left alone with full', () => {
  expect(concealAddresses(tellingReport(), 'full')).toEqual(tellingReport());
});

describe('a pseudonym', () => {
  it.each([
    ['203.0.113.77', '203.0.113.1', '0.0.0.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::1', '100::1'],
    ['fe80::1ff:fe23:4567:890a', 'fe80::1', '100::1'],
    ['::ffff:203.0.113.77', '::ffff:203.0.113.1', '100::1'],
    // 6to4 holds 192.0.2.77, NAT64 at its end.
    ['2002:c000:24d::1', '2002:c000:200::1', '100::1'],
    ['64:ff9b::c000:24d', '64:ff9b::1', '100::1'],
    // These are the same everywhere.
    ['127.0.0.9', '127.0.0.9', '127.0.0.9'],
    ['::1', '::1', '::1'],
    ['0.0.0.0', '0.0.0.0', '0.0.0.0'],
    // No address, but it may be meant as one.
    ['010.1.2.300', '0.0.0.1', '0.0.0.1'],
    ['1:2:3:4:5:6:7:8:9', '100::1', '100::1'],
  ])('of %s keeps %s, or %s', (address, prefix, none) => {
    expect(new AddressPseudonyms('prefix', []).of(address)).toBe(prefix);
    expect(new AddressPseudonyms('none', []).of(address)).toBe(none);
  });

  it('is no other’s, nor a spared address', () => {
    const pseudonyms = new AddressPseudonyms('prefix', ['192.0.2.2', '192.0.2.9']);
    const all = Array.from({ length: 256 }, (_, host) => pseudonyms.of(`192.0.2.${host}`));
    expect(new Set(all).size).toBe(256);
    expect([all[2], all[9]]).toEqual(['192.0.2.2', '192.0.2.9']);
    expect(all.map((_, host) => pseudonyms.of(`192.0.2.${host}`))).toEqual(all);
  });

  it.each([
    ['seen as 203.0.113.7:51000.', 'seen as 203.0.113.1:51000.'],
    ['[2001:db8::77]:3478, [2001:db8::78]:3478', '[2001:db8::1]:3478, [2001:db8::2]:3478'],
    ['2001:db8::77: no answer', '2001:db8::1: no answer'],
    ['from 2001:db8::', 'from 2001:db8::1'],
    ['as:203.0.113.7', 'as:203.0.113.1'],
    ['(203.0.113.7)/203.0.113.7', '(203.0.113.1)/203.0.113.1'],
    ['fe80::77%eth0', 'fe80::1%eth0'],
    ['2001:DB8::77', '2001:db8::1'],
    ['203.0.113.7:1:2', '203.0.113.1:1:2'],
    ['took 12.5 ms, 3 of 4: a decade. Bad cafe: 0.5', 'took 12.5 ms, 3 of 4: a decade. Bad cafe: 0.5'],
  ])('stands in a text: %s', (text, expected) => {
    expect(new AddressPseudonyms('prefix', []).inText(text)).toBe(expected);
  });

  it('takes linear time in a text that is made to be slow', () => {
    const text = '1.'.repeat(100_000) + ':'.repeat(100_000) + '1.1.1.'.repeat(50_000);
    const startedAt = performance.now();
    new AddressPseudonyms('prefix', []).inText(text);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});
