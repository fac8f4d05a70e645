/** What `/classify` takes in, as a JSON Schema: a report, and the witnesses that go along with it. */
import Type, { type Static } from 'typebox';
import { EndpointSchema, ReportSchema } from './schema.ts';
import {
  type GivenWitness,
  MAX_GIVEN_WITNESSES,
  REPORT_NONCE_BYTES,
  type ReportWitnesses,
} from './witnesses.ts';

const hexadecimalOf = (bytes: number) => Type.String({ pattern: `^[0-9a-f]{${2 * bytes}}$` });

export const GivenWitnessSchema = Type.Object({
  transactionId: hexadecimalOf(12),
  to: EndpointSchema,
  mapped: EndpointSchema,
  keyId: Type.Integer({ minimum: 0, maximum: 0xffff }),
  madeAtMs: Type.Integer({ minimum: 0 }),
  mac: hexadecimalOf(32),
});

export const WitnessesSchema = Type.Object(
  {
    nonce: hexadecimalOf(REPORT_NONCE_BYTES),
    given: Type.Immutable(Type.Array(GivenWitnessSchema, { maxItems: MAX_GIVEN_WITNESSES })),
  },
  {
    description:
      'What servers gave as proof that they sent to the public endpoints of this report; not stored',
  },
);

/** The body of `POST /classify`. */
export const ReportSubmissionSchema = Type.Object(
  { ...ReportSchema.properties, witnesses: Type.Optional(WitnessesSchema) },
  { title: 'Posted report', description: 'A report, and the witnesses of its run if it has any' },
);

type Agree<A, B> = [A, B] extends [B, A] ? true : false;

/** The compiler's proof, as in schema.ts. */
export const SUBMISSION_SCHEMA_AGREES: readonly [
  Agree<Static<typeof GivenWitnessSchema>, GivenWitness>,
  Agree<Static<typeof WitnessesSchema>, ReportWitnesses>,
] = [true, true];
