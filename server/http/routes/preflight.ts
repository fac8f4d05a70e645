import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { behaviourOfReport, type PunchBehaviour } from '../../../shared/punch/behaviour.ts';
import { preflight, type Preflight } from '../../../shared/punch/preflight.ts';
import { PreflightSchema, StatedBehaviourSchema } from '../../../shared/punch/schema.ts';
import { behaviourOfSubject } from '../../../shared/punch/subject.ts';
import { ReportSchema } from '../../../shared/report/schema.ts';
import { judgeReport } from '../../reports/judge-report.ts';
import type { ReportStore } from '../../reports/report-store.ts';
import { ProblemError, problemResponses } from '../problem.ts';

export interface PreflightOptions {
  readonly store: ReportStore;
  /** Whether stored reports have the addresses that were measured, so that two of them can be compared. */
  readonly keepsAddresses: boolean;
}

const SubjectSchema = Type.Union([
  Type.String({ maxLength: 100, description: 'A type, `port-restricted-cone`, or a short form, `EIM/APDF`' }),
  Type.Object({ id: Type.String({ description: 'Of a report that is kept here' }) }),
  StatedBehaviourSchema,
  ReportSchema,
]);
type Subject = Static<typeof SubjectSchema>;

const PreflightBody = Type.Object({ a: SubjectSchema, b: SubjectSchema });

/** POST /preflight: should an application punch at all, how, and at what cost? */
export function preflightRoute(app: FastifyInstance, options: PreflightOptions): void {
  app.post<{ Body: Static<typeof PreflightBody>; Reply: Preflight }>(
    '/preflight',
    {
      schema: {
        summary: 'Decide before punching',
        description:
          'Each side is a report, the id of one that is kept here, a mapping and a filtering, or a type. ' +
          '`a` is the side that asks for the punch.',
        tags: ['predictions'],
        body: PreflightBody,
        response: { 200: PreflightSchema, ...problemResponses(400, 404, 413, 415, 422, 503) },
      },
    },
    async ({ body }, reply) => {
      const [a, b] = await Promise.all([readSide(body.a, 'a', options), readSide(body.b, 'b', options)]);
      void reply.header('cache-control', 'no-store');
      return preflight(a, b);
    },
  );
}

async function readSide(
  subject: Subject,
  place: string,
  { store, keepsAddresses }: PreflightOptions,
): Promise<PunchBehaviour> {
  if (typeof subject !== 'object') return behaviourOfSubject(subject, place);
  // What a report claims is not taken for what its evidence says.
  if ('schema' in subject) return behaviourOfReport(judgeReport(subject, place).report);
  if (!('id' in subject)) return behaviourOfSubject(subject, place);
  const stored = await store.find(subject.id);
  if (stored === undefined) throw new ProblemError('ERR_NO_REPORT', undefined, { field: `/${place}/id` });
  return behaviourOfReport(stored.report, { pseudonymous: !keepsAddresses });
}
