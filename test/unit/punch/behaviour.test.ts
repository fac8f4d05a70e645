import { describe, expect, it } from 'vitest';
import { natTypeOf, type NatType } from '../../../shared/nat/behaviour.ts';
import { behaviourOf, behaviourOfReport, parseBehaviour } from '../../../shared/punch/behaviour.ts';
import { reportOf } from './reports.ts';

describe('the names of a behaviour', () => {
  const cases: [string, string, NatType][] = [
    ['open', 'open', 'open'],
    ['fw/EIF', 'open', 'open'],
    ['fw/ADF', 'fw/ADF', 'symmetric-firewall'],
    ['fw/APDF', 'fw/APDF', 'symmetric-firewall'],
    ['symmetric-firewall', 'fw/APDF', 'symmetric-firewall'],
    ['full-cone', 'EIM/EIF', 'full-cone'],
    ['Restricted Cone', 'EIM/ADF', 'restricted-cone'],
    ['PORT_RESTRICTED_CONE', 'EIM/APDF', 'port-restricted-cone'],
    ['cone', 'EIM/unknown', 'cone'],
    ['symmetric', 'APDM/APDF', 'symmetric'],
    [' adm/eif ', 'ADM/EIF', 'symmetric'],
    ['endpoint-independent/address-and-port-dependent', 'EIM/APDF', 'port-restricted-cone'],
    ['udp-blocked', 'UDP blocked', 'udp-blocked'],
    ['inconclusive', 'unknown/unknown', 'inconclusive'],
  ];
  it.each(cases)('%s is %s, a %s', (text, name, type) => {
    expect(parseBehaviour(text)).toMatchObject({ name, type, confidence: 1 });
  });

  it('are read back from what they are written as', () => {
    for (const mapping of ['fw', 'EIM', 'ADM', 'APDM'])
      for (const filtering of ['EIF', 'ADF', 'APDF']) {
        const behaviour = parseBehaviour(`${mapping}/${filtering}`);
        expect(behaviour.type).toBe(natTypeOf(behaviour.mapping, behaviour.filtering));
        expect(parseBehaviour(behaviour.name)).toEqual(behaviour);
      }
  });

  it.each(['', '/', 'EIM', 'EIM/', 'EIM/APDF/EIF', 'APDF/EIM', 'conical', 'constructor', '__proto__/EIF'])(
    '%j is none, and what is possible is said',
    (text) => {
      expect(() => parseBehaviour(text, 'A')).toThrow(
        expect.objectContaining({
          code: 'ERR_BEHAVIOUR',
          place: 'A',
          message: expect.stringContaining('EIM/APDF') as string,
        }),
      );
    },
  );

  it('does not repeat a long mistake in full', () => {
    expect(() => parseBehaviour('x'.repeat(1e6))).toThrow(/^.{0,400}$/);
  });
});

describe('the behaviour in a report', () => {
  it('is its verdict over the family that it is about, and the other beside it', () => {
    const report = reportOf('EIM/APDF', {
      confidence: 0.9997,
      mapped: '203.0.113.7:5000',
      local: '10.0.0.2:5000',
      ipv6: 'fw/APDF',
    });
    expect(behaviourOfReport(report)).toEqual({
      ...behaviourOf({ mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' }),
      confidence: 0.9997,
      family: 'ipv4',
      local: { address: '10.0.0.2', port: 5000 },
      mapped: { address: '203.0.113.7', port: 5000 },
      otherFamily: { ...parseBehaviour('fw/APDF'), confidence: 0.9997, family: 'ipv6' },
    });
  });

  it('has no endpoints where these are pseudonyms', () => {
    const report = reportOf('EIM/APDF', { mapped: '203.0.113.7:5000', local: '10.0.0.2:5000' });
    const behaviour = behaviourOfReport(report, { pseudonymous: true });
    expect([behaviour.local, behaviour.mapped]).toEqual([undefined, undefined]);
  });

  it('tells what becomes of unsolicited packets, and of packets that hairpin', () => {
    const axis = { confidence: 1, reasons: [] };
    const report = reportOf('EIM/APDF', {
      axes: {
        unsolicited: { ...axis, value: 'tracked', sent: 3, subjects: 3, changed: 3 },
        hairpin: { ...axis, value: 'none' },
      },
    });
    expect(behaviourOfReport(report)).toMatchObject({ unsolicited: 'tracked', hairpin: 'none' });
  });
});
