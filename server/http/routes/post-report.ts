import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { NatType } from '../../../shared/nat/behaviour.ts';
import type { Evidence } from '../../../shared/nat/evidence.ts';
import { isClassified, type Report } from '../../../shared/report/report.ts';
import { VerdictSchema } from '../../../shared/report/schema.ts';
import { ReportSubmissionSchema } from '../../../shared/report/submission-schema.ts';
import type { ReportSubmission, ReportWitnesses } from '../../../shared/report/witnesses.ts';
import { judgeReport } from '../../reports/judge-report.ts';
import type { EndpointsWitnessed, ReportStore } from '../../reports/report-store.ts';
import { problemResponses } from '../problem.ts';
import { assessPunchability, PunchabilitySchema } from '../punchability.ts';
import { EndpointsWitnessedSchema } from '../report-schemas.ts';
import { reportAddress } from '../report-address.ts';

export interface PostReportOptions {
  readonly store: ReportStore;
  /** How far these are this server's own witnesses for that evidence. */
  readonly checkWitnesses: (
    witnesses: ReportWitnesses | undefined,
    evidence: readonly Evidence[],
  ) => EndpointsWitnessed;
  /** Told of each report kept. */
  readonly countReport: (verdict: NatType) => void;
  /** Where clients reach this server, if not at the address that they ask. */
  readonly publicUrl?: string;
}

/** What POST /classify says. */
export const PostedReport = Type.Object({
  id: Type.String(),
  url: Type.String({ description: 'Where the report is, for as long as reports are kept' }),
  verdict: VerdictSchema,
  judgeVersion: Type.Integer(),
  claimsFollow: Type.Boolean({ description: 'Whether what the report claims is what its evidence says' }),
  differing: Type.Immutable(
    Type.Array(Type.String(), { description: 'JSON pointers to the claims that do not follow' }),
  ),
  endpointsWitnessed: EndpointsWitnessedSchema,
  punchability: PunchabilitySchema,
});
export type PostedReport = Type.Static<typeof PostedReport>;

/** POST /classify: judges a report's evidence, and keeps it. */
export function postReportRoute(app: FastifyInstance, options: PostReportOptions): void {
  app.post<{ Body: ReportSubmission; Reply: PostedReport }>(
    '/classify',
    {
      schema: {
        summary: 'Judge and keep a report',
        description:
          'Takes a report of natprobe (`natprobe --json`). The server judges its evidence itself, ' +
          'whatever the report claims, and answers with its own verdict.',
        tags: ['reports'],
        body: ReportSubmissionSchema,
        response: { 201: PostedReport, ...problemResponses(400, 409, 413, 415, 422, 429, 503) },
      },
    },
    async (request, reply) => {
      const { report, differing } = judgeReport(request.body);
      const claimsFollow = differing.length === 0;
      const { witnesses } = request.body;
      const endpointsWitnessed = options.checkWitnesses(witnesses, evidenceOf(report));
      const { verdict, family, judgeVersion } = report;
      const stored = await options.store.add({
        source: 'probe',
        verdict,
        family,
        judgeVersion,
        endpointsWitnessed,
        claimsFollow,
        ...(witnesses && { nonce: witnesses.nonce }),
        report,
      });
      options.countReport(verdict.type);
      const { path, url } = reportAddress(stored.id, request, options.publicUrl);
      void reply.code(201).header('location', path).header('cache-control', 'no-store');
      return {
        id: stored.id,
        url,
        verdict,
        judgeVersion,
        claimsFollow,
        differing,
        endpointsWitnessed,
        punchability: assessPunchability(report),
      };
    },
  );
}

function evidenceOf({ families }: Report): readonly Evidence[] {
  return [families.ipv4, families.ipv6].flatMap((part) => (isClassified(part) ? part.evidence : []));
}
