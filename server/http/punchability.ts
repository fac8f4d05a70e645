/** What a NAT means with each kind of peer. */
import Type, { type Static } from 'typebox';
import { behaviourOfReport, parseBehaviour } from '../../shared/punch/behaviour.ts';
import { predict } from '../../shared/punch/predict.ts';
import { PredictionSchema } from '../../shared/punch/schema.ts';
import type { Report } from '../../shared/report/report.ts';

/** All types but `inconclusive`, which is none. */
const PEER_TYPES = [
  'open',
  'symmetric-firewall',
  'full-cone',
  'restricted-cone',
  'port-restricted-cone',
  'symmetric',
  'cone',
  'udp-blocked',
] as const;
const PEERS = PEER_TYPES.map((type) => [type, parseBehaviour(type)] as const);

const { outcome, probability, strategy, plain } = PredictionSchema.properties;

export const PunchabilitySchema = Type.Record(
  Type.Enum([...PEER_TYPES]),
  Type.Object({ outcome, probability, strategy, plain }),
  { description: 'What a punch to a peer of each type is predicted to come to' },
);
export type Punchability = Static<typeof PunchabilitySchema>;

export function assessPunchability(report: Report): Punchability {
  // Against a named type there is no address to compare with.
  const own = behaviourOfReport(report, { pseudonymous: true });
  return Object.fromEntries(
    PEERS.map(([type, peer]) => {
      const prediction = predict(own, peer);
      return [
        type,
        {
          outcome: prediction.outcome,
          probability: prediction.probability,
          strategy: prediction.strategy,
          plain: prediction.plain,
        },
      ];
    }),
  ) as Punchability;
}
