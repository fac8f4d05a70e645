/** What a peer states of its NAT says as much for a prediction as its report does. */
import { describe, expect, it } from 'vitest';
import {
  behaviourOfPeer,
  BrokerBehaviourSchema,
  statedBehaviours,
} from '../../../shared/broker/behaviour.ts';
import { behaviourOfReport } from '../../../shared/punch/behaviour.ts';
import { predict } from '../../../shared/punch/predict.ts';
import { Check } from 'typebox/value';
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

  it('has no address', () => {
    const stated = JSON.stringify(statedBehaviours(readSample('symmetric')));
    expect(stated).not.toMatch(/\d+\.\d+\.\d+\.\d+/);
  });
});
