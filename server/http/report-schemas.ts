/** What the store's values look like over HTTP. */
import Type, { type Static } from 'typebox';
import { TRANSPORTS } from '../../shared/punch/plan.ts';
import { FamilySchema, ReportSchema, VerdictSchema } from '../../shared/report/schema.ts';
import { PunchabilitySchema } from './punchability.ts';
import type { PunchStatistics } from '../punches/punch-store.ts';
import {
  REPORT_SOURCES,
  type ReportFilter,
  type ReportPage,
  type ReportStatistics,
  type StoredReport,
} from '../reports/report-store.ts';

export const EndpointsWitnessedSchema = Type.Union(
  [Type.Literal(true), Type.Literal('partly'), Type.Literal(false)],
  {
    description:
      'Whether the server itself has sent to the public endpoints that the evidence rests on; it means no more',
  },
);

const { type: NatTypeSchema, mapping: MappingSchema, filtering: FilteringSchema } = VerdictSchema.properties;
const SourceSchema = Type.Enum([...REPORT_SOURCES], { description: 'Who measured' });
const Timestamp = Type.String({ format: 'date-time' });
const CountSchema = Type.Integer({ minimum: 0 });
const Probability = Type.Number({ minimum: 0, maximum: 1 });
const ListOf = <Item extends Type.TSchema>(item: Item) => Type.Immutable(Type.Array(item));

const facts = {
  id: Type.String(),
  receivedAt: Timestamp,
  source: SourceSchema,
  family: FamilySchema,
  judgeVersion: Type.Integer({ minimum: 1 }),
  endpointsWitnessed: EndpointsWitnessedSchema,
  claimsFollow: Type.Boolean({ description: 'Whether what the report claimed is what its evidence says' }),
};

export const StoredReportSchema = Type.Object(
  { ...facts, verdict: VerdictSchema, report: ReportSchema },
  { description: 'A report as the server judged it, its addresses as the server keeps them' },
);

export const ReportPageSchema = Type.Object({
  reports: ListOf(Type.Object({ ...facts, verdict: Type.Omit(VerdictSchema, ['reasons']) })),
  next: Type.Optional(Type.String({ description: 'Give it as `after` for the next page' })),
});

/** What GET /classify/:id says: also what the NAT means with each kind of peer, as predicted today. */
export const ShownReportSchema = Type.Object(
  { ...StoredReportSchema.properties, punchability: PunchabilitySchema },
  { title: 'Kept report', description: 'As the server judged it, its addresses as the server keeps them' },
);
export type ShownReport = Static<typeof ShownReportSchema>;

/** The filter that lists and statistics share, as a query. */
export const reportFilterQuery = {
  type: Type.Optional(NatTypeSchema),
  mapping: Type.Optional(MappingSchema),
  filtering: Type.Optional(FilteringSchema),
  family: Type.Optional(FamilySchema),
  source: Type.Optional(SourceSchema),
  since: Type.Optional(Timestamp),
  until: Type.Optional(Timestamp),
};
export const ReportFilterSchema = Type.Object(reportFilterQuery);

const punchCounts = { punches: CountSchema, open: CountSchema, predicted: Probability };

const PunchStatisticsSchema = Type.Object({
  punches: CountSchema,
  bins: ListOf(Type.Object({ from: Probability, to: Probability, ...punchCounts })),
  pairs: ListOf(
    Type.Object({
      a: Type.String(),
      b: Type.String(),
      transport: Type.Enum([...TRANSPORTS]),
      ...punchCounts,
      learned: Type.Optional(Probability),
    }),
  ),
});

const ReportStatisticsSchema = Type.Object({
  reports: CountSchema,
  types: ListOf(Type.Object({ type: NatTypeSchema, count: CountSchema })),
  cells: ListOf(Type.Object({ mapping: MappingSchema, filtering: FilteringSchema, count: CountSchema })),
  families: ListOf(Type.Object({ family: FamilySchema, count: CountSchema })),
  sources: ListOf(Type.Object({ source: SourceSchema, count: CountSchema })),
  days: ListOf(Type.Object({ day: Type.String(), type: NatTypeSchema, count: CountSchema })),
});

/** Of the reports, and of the punches where there is a broker. */
export const StatisticsSchema = Type.Object({
  ...ReportStatisticsSchema.properties,
  punches: Type.Optional(PunchStatisticsSchema),
});
export type Statistics = Static<typeof StatisticsSchema>;

type Agree<A, B> = [A, B] extends [B, A] ? true : false;

/** The compiler's proof that the store's types and these schemas are the same; it has no other use. */
export const STORE_SCHEMAS_AGREE: readonly [
  Agree<Static<typeof StoredReportSchema>, StoredReport>,
  Agree<Static<typeof ReportPageSchema>, ReportPage>,
  Agree<Static<typeof ReportFilterSchema>, ReportFilter>,
  Agree<Static<typeof ReportStatisticsSchema>, ReportStatistics>,
  Agree<Static<typeof PunchStatisticsSchema>, PunchStatistics>,
] = [true, true, true, true, true];
