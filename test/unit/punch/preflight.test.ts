import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import { parseBehaviour } from '../../../shared/punch/behaviour.ts';
import { preflight, type Preflight } from '../../../shared/punch/preflight.ts';
import { PreflightSchema, PunchSubjectSchema } from '../../../shared/punch/schema.ts';
import { behaviourOfSubject } from '../../../shared/punch/subject.ts';
import { reportOf } from './reports.ts';

describe('a pre-flight', () => {
  const cases: [string, string, Preflight['decision'], Preflight['strategy']][] = [
    ['symmetric', 'open', 'go', 'direct'],
    ['open', 'symmetric', 'go', 'reversal'],
    ['port-restricted-cone', 'port-restricted-cone', 'go', 'plain'],
    ['symmetric', 'port-restricted-cone', 'go-with-strategy', 'birthday'],
    ['symmetric', 'symmetric', 'no-go', 'relay'],
    ['open', 'udp-blocked', 'no-go', 'relay'],
  ];
  it.each(cases)('of %s and %s is %s, by %s', (a, b, decision, strategy) => {
    const result = preflight(parseBehaviour(a), parseBehaviour(b));
    expect(result).toMatchObject({ decision, strategy });
    expect([...Compile(PreflightSchema).Errors(result)]).toEqual([]);
    expect(result.reasons.length).toBeGreaterThan(1);
  });

  it('says what it may cost', () => {
    const { budget } = preflight(parseBehaviour('symmetric'), parseBehaviour('EIM/APDF'));
    expect(budget.packets).toBeGreaterThan(1000);
    expect(budget.timeMs).toBeGreaterThan(1000);
  });
});

describe('the forms of a side', () => {
  const schema = Compile(PunchSubjectSchema);
  const stated = { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' } as const;
  it.each([
    ['a name', 'EIM/APDF'],
    ['a mapping and a filtering', stated],
    ['a report', reportOf('EIM/APDF')],
  ])('as %s is taken', (_form, subject) => {
    expect([...schema.Errors(subject)]).toEqual([]);
    expect(behaviourOfSubject(subject, 'a')).toMatchObject({ name: 'EIM/APDF', ...stated });
  });

  it.each([
    [7],
    [{}],
    [{ mapping: 'conical', filtering: 'unknown' }],
    [{ schema: 'natprobe/report@1' }],
    [null],
  ])('%j is none', (subject) => {
    expect(schema.Check(subject)).toBe(false);
  });
});
