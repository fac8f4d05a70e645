/** The output for people: what it says for each type, and that it fits 80 columns. */
import { describe, expect, it } from 'vitest';
import { renderDetails } from '../../../probe/cli/render/details.ts';
import { PLAIN } from '../../../shared/style.ts';
import { renderReport } from '../../../probe/cli/render/verdict.ts';
import { type Filtering, type Mapping, natTypeOf } from '../../../shared/nat/behaviour.ts';
import type { Evidence } from '../../../shared/nat/evidence.ts';
import { judge } from '../../../shared/nat/judge.ts';
import type { Verdict } from '../../../shared/nat/verdict.ts';
import { buildReport, isClassified, type FamilyReport, type Report } from '../../../shared/report/report.ts';
import {
  AA,
  AP,
  LOCAL,
  MAPPED,
  PA,
  PP,
  receipt,
  response,
  run,
  series,
  socket,
} from '../../support/evidence.ts';

const NOT_ASKED = { kind: 'skipped', skip: { code: 'not-asked', text: 'IPv6 was not asked for' } } as const;
const NO_ADDRESS = {
  kind: 'skipped',
  skip: { code: 'no-address', text: 'the server has no IPv6 address' },
} as const;

/** A NAT that keeps its mapping and lets in only endpoints that were sent to: five silences each, and controls beside them. */
const SENDS = [0, 5, 10, 15, 20];
const PORT_RESTRICTED: readonly Evidence[] = [
  run(400),
  socket('mapping'),
  socket('filtering', { ...LOCAL, port: 40001 }),
  ...[PP, PA, AP, AA].map((to) =>
    series(
      'mapping',
      to,
      SENDS,
      SENDS.map((atMs, send) => response(send, atMs + 10, to, MAPPED)),
    ),
  ),
  series(
    'filtering',
    PP,
    SENDS,
    SENDS.map((atMs, send) => receipt(send, atMs + 10, AA)),
    { address: true, port: true },
  ),
  series(
    'filtering',
    PP,
    SENDS,
    SENDS.map((atMs, send) => receipt(send, atMs + 10, PA)),
    { address: false, port: true },
  ),
];

function report(
  verdict: Verdict,
  evidence: readonly Evidence[] = [run(400)],
  ipv6: Parameters<typeof buildReport>[0]['outcomes']['ipv6'] = NOT_ASKED,
): Report {
  const built = buildReport({
    asked: ['stun.example.org'],
    startedAt: new Date(0),
    outcomes: {
      ipv4: {
        kind: 'classified',
        verdict,
        endpoints: { local: LOCAL, mapped: MAPPED },
        servers: [PP],
        timing: { totalMs: 41.2, rttMs: 12.9 },
        evidence,
      },
      ipv6,
    },
  });
  if (built === undefined) throw new Error('no report');
  return built;
}

function verdict(mapping: Mapping, filtering: Filtering): Verdict {
  return { type: natTypeOf(mapping, filtering), mapping, filtering, confidence: 0.9998, reasons: [] };
}

function overlong(text: string): string[] {
  return text.split('\n').filter((line) => line.length > 80);
}

describe('the verdict', () => {
  it('reads like this', () => {
    const judged = judge(PORT_RESTRICTED);
    expect(renderReport(report(judged.verdict, PORT_RESTRICTED, NO_ADDRESS), PLAIN)).toMatchInlineSnapshot(`
      "NAT type: port-restricted cone (EIM, APDF)

      Mapping     endpoint-independent (EIM): every peer sees the same public endpoint
      Filtering   address- and port-dependent (APDF): lets in only an address and port
                  that was sent to
      Local       10.0.0.2:40000
      Public      203.0.113.7:40000 (port preserved)
      Peers       Nobody can reach this machine unasked. Only an address and port that
                  it has sent to can answer.
      Punching    Both sides sending at once, to what the server saw, should work with
                  open, symmetric firewall, full cone, restricted cone and
                  port-restricted cone; not with symmetric.
      Confidence  99.99 %
                  4 server endpoints saw the same public endpoint, 203.0.113.7:40000
                  5 responses from 198.51.100.1:3479 are known to have been sent, and
                  none was let in
      Server      198.51.100.1:3478, whose other address is 198.51.100.2:3479
      Took        41.2 ms, with a round trip of 12.9 ms
      IPv6        not classified: the server has no IPv6 address
      "
    `);
  });

  it('warns who punches from behind a NAT that tracks unsolicited packets', () => {
    const plain = report(verdict('endpoint-independent', 'address-and-port-dependent'));
    const unsolicited = {
      value: 'tracked',
      confidence: 1,
      reasons: [],
      sent: 9,
      subjects: 3,
      changed: 3,
    } as const;
    const tracked = renderReport({ ...plain, axes: { unsolicited } }, PLAIN).replace(/\s+/g, ' ');
    expect(tracked).toContain('This side has to send first');
    expect(renderReport(plain, PLAIN)).not.toContain('send first');
  });

  const firstLines: [Mapping, Filtering, string][] = [
    ['none', 'endpoint-independent', 'open (no translation, EIF)'],
    ['none', 'address-dependent', 'symmetric firewall (no translation, ADF)'],
    ['none', 'address-and-port-dependent', 'symmetric firewall (no translation, APDF)'],
    ['none', 'unknown', 'inconclusive (no translation, filtering unknown)'],
    ['endpoint-independent', 'endpoint-independent', 'full cone (EIM, EIF)'],
    ['endpoint-independent', 'address-dependent', 'restricted cone (EIM, ADF)'],
    ['endpoint-independent', 'address-and-port-dependent', 'port-restricted cone (EIM, APDF)'],
    ['endpoint-independent', 'unknown', 'cone (EIM, filtering unknown)'],
    ['address-dependent', 'endpoint-independent', 'symmetric (ADM, EIF)'],
    ['address-and-port-dependent', 'address-dependent', 'symmetric (APDM, ADF)'],
    ['dependent', 'unknown', 'symmetric (ADM or APDM, filtering unknown)'],
    ['unknown', 'unknown', 'inconclusive (mapping unknown, filtering unknown)'],
  ];
  for (const [mapping, filtering, words] of firstLines) {
    it(`begins with "NAT type: ${words}" and fits`, () => {
      const text = renderReport(report(verdict(mapping, filtering)), PLAIN);
      expect(text.split('\n')[0]).toBe(`NAT type: ${words}`);
      expect(overlong(text)).toEqual([]);
    });
  }

  it('says what UDP blocked means', () => {
    const blocked: Verdict = {
      type: 'udp-blocked',
      mapping: 'unknown',
      filtering: 'unknown',
      confidence: 0.9999,
      reasons: [{ code: 'tcp-control', text: 'the server answers the same request over TCP' }],
    };
    const lines = renderReport(report(blocked), PLAIN).split('\n');
    expect(lines[0]).toBe('NAT type: UDP blocked (no UDP to the server)');
    expect(lines.join('\n')).not.toMatch(/^(Mapping|Filtering|Punching)/m);
    expect(lines).toContain(
      'Peers       No peer over UDP, in either direction: use TCP, or a relay over TCP.',
    );
  });

  it('has a section for the other family', () => {
    const ipv6 = {
      kind: 'classified',
      verdict: verdict('none', 'address-and-port-dependent'),
      endpoints: { mapped: { address: '2001:db8:1:2:3:4:5:6', port: 40000 } },
      servers: [{ address: '2001:db8::1', port: 3478 }],
      timing: { totalMs: 50 },
      evidence: [run(400, { family: 'ipv6' })],
    } as const;
    const text = renderReport(report(verdict('endpoint-independent', 'unknown'), undefined, ipv6), PLAIN);
    const [, section = ''] = text.split('\n\nIPv6        ');
    expect(section.split('\n')).toEqual([
      'symmetric firewall (no translation, APDF)',
      'Mapping     none: this machine is seen under its own address and port',
      'Filtering   address- and port-dependent (APDF): lets in only an address and port',
      '            that was sent to',
      'Public      [2001:db8:1:2:3:4:5:6]:40000',
      'Confidence  99.98 %',
      'Server      [2001:db8::1]:3478',
      '',
    ]);
    expect(overlong(text)).toEqual([]);
  });

  it('says of a survey of the other family what differs', () => {
    const both = { kind: 'classified', servers: [], timing: { totalMs: 50 }, endpoints: {} } as const;
    const ipv6 = { ...both, verdict: verdict('none', 'unknown'), evidence: [run(400, { family: 'ipv6' })] };
    const same = { label: 'Hairpin', sentences: ['the same in both'] };
    const survey = {
      ipv4: [same, { label: 'Payload', sentences: ['of IPv4'] }],
      ipv6: [same, { label: 'Payload', sentences: ['of IPv6'] }],
    };
    const text = renderReport(report(verdict('none', 'unknown'), undefined, ipv6), PLAIN, { survey });
    const [, section = ''] = text.split('\n\nIPv6        ');
    expect(section).toContain('Payload     of IPv6');
    expect(section).not.toContain('Hairpin');
  });

  it('says by which NAT64 IPv4 was reached', () => {
    const plain = report(verdict('endpoint-independent', 'unknown'));
    const endpoints = { local: '[2001:db8::5]:40000', mapped: '203.0.113.7:40000', nat64: '64:ff9b::/96' };
    const text = renderReport({ ...plain, endpoints }, PLAIN);
    expect(text).toContain('Local       [2001:db8::5]:40000, since this machine has no way to IPv4 but the');
    expect(text).toContain('            NAT64 at 64:ff9b::/96');
    expect(text).toContain('Public      203.0.113.7:40000 (port preserved)');
    expect(overlong(text)).toEqual([]);
  });

  it('says whether the port is kept', () => {
    const { endpoints, ...rest } = report(verdict('endpoint-independent', 'unknown'));
    const line = (mapped: string): string | undefined =>
      renderReport({ ...rest, endpoints: { ...endpoints, mapped } }, PLAIN)
        .split('\n')
        .find((text) => text.startsWith('Public'));
    expect(line('203.0.113.7:40000')).toBe('Public      203.0.113.7:40000 (port preserved)');
    expect(line('203.0.113.7:4000')).toBe('Public      203.0.113.7:4000');
    expect(line('10.0.0.2:40000')).toBe('Public      10.0.0.2:40000 (the same)');
  });
});

describe('the details', () => {
  function familyOf(evidence: readonly Evidence[]): FamilyReport {
    const family = report(judge(evidence).verdict, evidence).families.ipv4;
    if (!isClassified(family)) throw new Error('not classified');
    return family;
  }

  it('read like this for a port-restricted cone', () => {
    const text = renderDetails('ipv4', familyOf(PORT_RESTRICTED.slice(0, -1)), PLAIN);
    expect(text).toMatchInlineSnapshot(`
      "The four classic steps over IPv4 (RFC 3489 section 10.1)
      1  Does 198.51.100.1:3478 answer?
           Yes: 5 of 5 plain requests, round trip 10.0 ms; it saw 203.0.113.7:40000.
      2  Does its other address's answer get in? (yes: open or full cone)
           No: 5 responses are known to have been sent from 198.51.100.2:3479, none
           came in.
      3  Does its other address see the same public endpoint? (no: symmetric)
           Yes: 198.51.100.1:3478 saw 203.0.113.7:40000, 198.51.100.2:3478 saw
           203.0.113.7:40000 and 198.51.100.2:3479 saw 203.0.113.7:40000.
      4  Does its other port's answer get in? (yes: restricted, no: port-restricted)
           Not told within the time.

      Every test over IPv4 (milliseconds since it began)
      mapping 10.0.0.2:40000 to 198.51.100.1:3478: plain request
            0.0  sent      00000000
            5.0  sent      00000001
           10.0  sent      00000002
           10.0  response  00000000 from 198.51.100.1:3478, saw 203.0.113.7:40000
           15.0  sent      00000003
           15.0  response  00000001 from 198.51.100.1:3478, saw 203.0.113.7:40000
           20.0  sent      00000004
           20.0  response  00000002 from 198.51.100.1:3478, saw 203.0.113.7:40000
           25.0  response  00000003 from 198.51.100.1:3478, saw 203.0.113.7:40000
           30.0  response  00000004 from 198.51.100.1:3478, saw 203.0.113.7:40000
      mapping 10.0.0.2:40000 to 198.51.100.1:3479: plain request
            0.0  sent      00000000
            5.0  sent      00000001
           10.0  sent      00000002
           10.0  response  00000000 from 198.51.100.1:3479, saw 203.0.113.7:40000
           15.0  sent      00000003
           15.0  response  00000001 from 198.51.100.1:3479, saw 203.0.113.7:40000
           20.0  sent      00000004
           20.0  response  00000002 from 198.51.100.1:3479, saw 203.0.113.7:40000
           25.0  response  00000003 from 198.51.100.1:3479, saw 203.0.113.7:40000
           30.0  response  00000004 from 198.51.100.1:3479, saw 203.0.113.7:40000
      mapping 10.0.0.2:40000 to 198.51.100.2:3478: plain request
            0.0  sent      00000000
            5.0  sent      00000001
           10.0  sent      00000002
           10.0  response  00000000 from 198.51.100.2:3478, saw 203.0.113.7:40000
           15.0  sent      00000003
           15.0  response  00000001 from 198.51.100.2:3478, saw 203.0.113.7:40000
           20.0  sent      00000004
           20.0  response  00000002 from 198.51.100.2:3478, saw 203.0.113.7:40000
           25.0  response  00000003 from 198.51.100.2:3478, saw 203.0.113.7:40000
           30.0  response  00000004 from 198.51.100.2:3478, saw 203.0.113.7:40000
      mapping 10.0.0.2:40000 to 198.51.100.2:3479: plain request
            0.0  sent      00000000
            5.0  sent      00000001
           10.0  sent      00000002
           10.0  response  00000000 from 198.51.100.2:3479, saw 203.0.113.7:40000
           15.0  sent      00000003
           15.0  response  00000001 from 198.51.100.2:3479, saw 203.0.113.7:40000
           20.0  sent      00000004
           20.0  response  00000002 from 198.51.100.2:3479, saw 203.0.113.7:40000
           25.0  response  00000003 from 198.51.100.2:3479, saw 203.0.113.7:40000
           30.0  response  00000004 from 198.51.100.2:3479, saw 203.0.113.7:40000
      filtering 10.0.0.2:40001 to 198.51.100.1:3478: change address and port, with
        receipt
            0.0  sent      00000000
            5.0  sent      00000001
           10.0  sent      00000002
           10.0  receipt   00000000: responded from 198.51.100.2:3479
           15.0  sent      00000003
           15.0  receipt   00000001: responded from 198.51.100.2:3479
           20.0  sent      00000004
           20.0  receipt   00000002: responded from 198.51.100.2:3479
           25.0  receipt   00000003: responded from 198.51.100.2:3479
           30.0  receipt   00000004: responded from 198.51.100.2:3479
      "
    `);
    expect(overlong(text)).toEqual([]);
  });

  it('show errors, rewritten payloads, TCP and refusals', () => {
    const evidence: Evidence[] = [
      run(400),
      socket('mapping'),
      series(
        'mapping',
        PP,
        [0],
        [{ ...response(0, 10, PP, MAPPED), plainMapped: { address: '10.9.9.9', port: 1 } }],
      ),
      series(
        'filtering',
        PP,
        [5],
        [{ kind: 'error', send: 0, atMs: 15, from: PP, code: 420, unknownAttributes: [3] }],
        {
          address: true,
          port: true,
        },
      ),
      { kind: 'tcp', to: PP, atMs: 250, outcome: 'answered', connectMs: 10, answerMs: 12 },
      { kind: 'tcp', to: AA, atMs: 250, outcome: 'refused', connectMs: 10 },
      { kind: 'refusal', to: PA, atMs: 20, reason: 'port-unreachable' },
    ];
    const text = renderDetails('ipv4', familyOf(evidence), PLAIN);
    expect(text.slice(text.indexOf('Every test'))).toMatchInlineSnapshot(`
      "Every test over IPv4 (milliseconds since it began)
      mapping 10.0.0.2:40000 to 198.51.100.1:3478: plain request
            0.0  sent      00000000
           10.0  response  00000000 from 198.51.100.1:3478, saw 203.0.113.7:40000,
                   rewritten to 10.9.9.9:1
      filtering to 198.51.100.1:3478: change address and port, with receipt
            5.0  sent      00000000
           15.0  error     00000000 420 from 198.51.100.1:3478, unknown attributes
                   0x0003
      TCP to 198.51.100.1:3478: answered
          250.0  connect
          260.0  connected
          272.0  response
      TCP to 198.51.100.2:3479: refused
          250.0  connect
          260.0  reset
      Refusal for UDP to 198.51.100.1:3479
           20.0  ICMP: port unreachable
      "
    `);
    expect(overlong(text)).toEqual([]);
  });
});
