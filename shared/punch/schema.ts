/**
 * Predictions and pre-flights as JSON Schemas (TypeBox), for whoever sends or takes them: the server's
 * HTTP routes, tests, other programs. The probe itself doesn't load them.
 */
import Type from 'typebox';
import type { Static, TSchema } from 'typebox';
import { ReportSchema, VerdictSchema } from '../report/schema.ts';
import { PREFLIGHT_DECISIONS, PREFLIGHT_SCHEMA, type Preflight } from './preflight.ts';
import { PREDICTED_OUTCOMES, PREDICTION_SCHEMA, type Prediction } from './predict.ts';
import { STRATEGY_NAMES } from './strategy.ts';
import type { PunchSubject, StatedBehaviour } from './subject.ts';

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
  guessing: Type.Optional(Type.Object({ sockets: Count, probes: Count })),
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

/** `natprobe/preflight@1`. */
export const PreflightSchema = Type.Object(
  {
    schema: Type.Literal(PREFLIGHT_SCHEMA),
    decision: Type.Enum([...PREFLIGHT_DECISIONS]),
    strategy: StrategyNameSchema,
    probability: Probability,
    budget: Type.Object({ packets: Count, timeMs: Count }),
    reasons: ReasonsSchema,
  },
  { title: 'natprobe pre-flight', description: 'Whether to punch, how, and at what cost' },
);

export const StatedBehaviourSchema = Type.Object({ mapping, filtering, type: Type.Optional(type) });

/** A type name or short form, a mapping and a filtering, or a report. What a text names is checked when it is read. */
export const PunchSubjectSchema = Type.Union([Type.String(), ReportSchema, StatedBehaviourSchema]);

type Agree<A, B> = [A, B] extends [B, A] ? true : false;

/** The compiler's proof that what is written and what is checked are the same; it has no other use. */
export const SCHEMA_AGREES: readonly [
  Agree<Static<typeof PredictionSchema>, Prediction>,
  Agree<Static<typeof PreflightSchema>, Preflight>,
  Agree<Static<typeof StatedBehaviourSchema>, StatedBehaviour>,
  Agree<Static<typeof PunchSubjectSchema>, PunchSubject>,
] = [true, true, true, true];
