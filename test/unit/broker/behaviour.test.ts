/** What a peer states of its NAT says as much for a prediction as its report does. */
import { describe, expect, it } from 'vitest';
import {
  behaviourOfPeer,
  BrokerBehaviourSchema,
  soundPorts,
  statedBehaviours,
} from '../../../shared/broker/behaviour.ts';
import type { WeightedLaw } from '../../../shared/nat/port-law.ts';
import type { FamilyReport } from '../../../shared/report/report.ts';
import { behaviourOfReport } from '../../../shared/punch/behaviour.ts';
import { predict } from '../../../shared/punch/predict.ts';
import { Check } from 'typebox/value';
import { portsOf } from '../punch/reports.ts';
import { readSample, SAMPLE_NAMES } from '../../http/app.ts';

describe('a peer’s behaviour', () => {
  it.each(SAMPLE_NAMES)('from a report of %s predicts what the report does', (name) => {
    const report = readSample(name);
    const stated = statedBehaviours(report);
    const sent = JSON.parse(JSON.stringify(stated)) as typeof stated;
    expect(sent.map((behaviour) => Check(BrokerBehaviourSchema, behaviour))).toEqual(sent.map(() => true));
    const own = behaviourOfPeer(sent);
    const other = behaviourOfReport(readSample('port-restricted-cone'), { pseudonymous: true });
    expect(predict(own, other)).toEqual(predict(behaviourOfReport(report, { pseudonymous: true }), other));
  });

  it('fits into what may be stated, however many ways of picking ports come into question', () => {
    const report = readSample('symmetric');
    const laws = Array.from({ length: 40 }, (_, index) => ({
      weight: (index + 1) / 820,
      law: { kind: 'uniform', first: 1024 * (index + 1), last: 1024 * (index + 2) - 1, sameParity: false },
    })) as readonly WeightedLaw[];
    const ports = { ...portsOf('block', laws[0]!.law), model: { newSocket: laws, newEndpoint: laws } };
    const part = { ...report.families.ipv4, axes: { ports } } as FamilyReport;
    const [stated] = statedBehaviours({ ...report, families: { ...report.families, ipv4: part } });
    expect(Check(BrokerBehaviourSchema, stated)).toBe(true);
    const { newEndpoint } = soundPorts(stated!)!.model;
    expect(newEndpoint.map(({ law }) => law)).toEqual(laws.slice(-16).map(({ law }) => law));
  });

  it('has no address', () => {
    const stated = JSON.stringify(statedBehaviours(readSample('symmetric')));
    expect(stated).not.toMatch(/\d+\.\d+\.\d+\.\d+/);
  });
});
