/**
 * Predictions and pre-flights as JSON Schemas (TypeBox), for whoever sends or takes them: the server's
 * HTTP routes, tests, other programs. The probe itself doesn't load them.
 */
import Type from 'typebox';
import type { Static, TSchema } from 'typebox';
import { VerdictSchema } from '../report/schema.ts';
import { PREDICTED_OUTCOMES, PREDICTION_SCHEMA, type Prediction } from './predict.ts';
import { STRATEGY_NAMES } from './strategy.ts';

const ListOf = <Item extends TSchema>(item: Item) => Type.Immutable(Type.Array(item));
const Probability = Type.Number({ minimum: 0, maximum: 1 });
const Count = Type.Integer({ minimum: 0 });
const ReasonsSchema = ListOf(Type.Object({ code: Type.String(), text: Type.String() }));
const StrategyNameSchema = Type.Enum([...STRATEGY_NAMES]);
const { type, mapping, filtering } = VerdictSchema.properties;

const PredictedSideSchema = Type.Object({
  name: Type.String(),
  type,
  mapping,
  filtering,
  confidence: Probability,
  unsolicited: Type.Enum(['dropped', 'tracked', 'unknown']),
  ports: Type.Optional(Type.String()),
  family: Type.Optional(Type.Enum(['ipv4', 'ipv6'])),
});

const StrategySchema = Type.Object({
  name: StrategyNameSchema,
  probability: Probability,
  packets: Count,
  timeMs: Count,
  reasons: ReasonsSchema,
});

/** `natprobe/predict@1`. */
export const PredictionSchema = Type.Object(
  {
    schema: Type.Literal(PREDICTION_SCHEMA),
    a: PredictedSideSchema,
    b: PredictedSideSchema,
    outcome: Type.Enum([...PREDICTED_OUTCOMES]),
    probability: Probability,
    strategy: StrategyNameSchema,
    plain: Type.Boolean(),
    strategies: ListOf(StrategySchema),
    reasons: ReasonsSchema,
  },
  { title: 'natprobe prediction', description: 'Whether a punch between two sides will work, how, and why' },
);

type Agree<A, B> = [A, B] extends [B, A] ? true : false;

/** The compiler's proof that what is written and what is checked are the same; it has no other use. */
export const SCHEMA_AGREES: readonly [Agree<Static<typeof PredictionSchema>, Prediction>] = [true];
