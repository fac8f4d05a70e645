import type { FastifyInstance, FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';
import { NatprobeError } from '../../../shared/errors.ts';
import { decodeOffer, type IceOffer, LONGEST_OFFER } from '../../../shared/ice/sdp.ts';
import type { NatType } from '../../../shared/nat/behaviour.ts';
import type { IceBrowserStats } from '../../../shared/nat/ice-evidence.ts';
import { IceBrowserStatsSchema, ReportSchema, VerdictSchema } from '../../../shared/report/schema.ts';
import { customerKey, SourceAddress } from '../../answer/source-address.ts';
import type { BrowserOutcome } from '../../ice/browser-report.ts';
import { type BegunSession, type BrowserOffers, mappingName } from '../../ice/session-table.ts';
import type { ReportStore } from '../../reports/report-store.ts';
import { problemResponses } from '../problem.ts';
import { assessPunchability, PunchabilitySchema } from '../punchability.ts';
import { reportAddress } from '../report-address.ts';

/** Measures browsers; it rejects and throws as BrowserClassifier does. */
export interface BrowserMeasurer {
  begin(offers: BrowserOffers, client: string): BegunSession;
  finish(id: string, stats: Readonly<Record<string, IceBrowserStats>>): Promise<BrowserOutcome>;
}

export interface BrowserRouteOptions {
  readonly browsers: BrowserMeasurer;
  readonly store: ReportStore;
  readonly countReport: (verdict: NatType) => void;
  readonly publicUrl?: string;
}

/** The second one tells a mapping that depends on the destination from a collision of two flows. */
const MOST_MAPPINGS = 2;

const Sdp = Type.String({ maxLength: LONGEST_OFFER, description: 'A session description (RFC 8866)' });
const listOfMappings = <Item extends Type.TSchema>(item: Item) =>
  Type.Immutable(Type.Array(item, { minItems: 1, maxItems: MOST_MAPPINGS }));

const Offers = Type.Object(
  {
    filtering: Sdp,
    mapping: listOfMappings(Sdp),
  },
  {
    title: 'Browser offers',
    description: 'Of connections with one data channel each, as createOffer() gave',
  },
);

const Answers = Type.Object(
  {
    id: Type.String({ description: 'Names this measurement, for ten seconds' }),
    filtering: Sdp,
    mapping: Type.Immutable(Type.Array(Sdp)),
  },
  { title: 'Browser answers' },
);
type Answers = Static<typeof Answers>;

const BrowserStats = Type.Object(
  {
    filtering: IceBrowserStatsSchema,
    mapping: listOfMappings(IceBrowserStatsSchema),
  },
  {
    title: 'Browser statistics',
    description:
      'From getStats(), once the filtering connection has a pair that succeeded, or after two seconds',
  },
);

/** What POST /classify/browser/:id says. */
const MeasuredBrowser = Type.Object({
  id: Type.String(),
  url: Type.String({ description: 'Where the report is, for as long as reports are kept' }),
  verdict: VerdictSchema,
  report: ReportSchema,
  punchability: PunchabilitySchema,
});
type MeasuredBrowser = Static<typeof MeasuredBrowser>;

/** What it says instead if the page gave up before its browser heard from a server that was late. */
const UnfinishedBrowser = Type.Object(
  {
    id: Type.String(),
    awaits: Type.Literal('pair', {
      description: 'A pair of the filtering connection that succeeded: by now the server has answered',
    }),
  },
  {
    title: 'Unfinished browser',
    description:
      'Send the statistics again, once there is such a pair, or after half a second. It is asked for a few times at most',
  },
);
type UnfinishedBrowser = Static<typeof UnfinishedBrowser>;

/** POST /classify/browser, where a page begins to be measured, and POST /classify/browser/:id, where it ends. */
export function browserRoutes(app: FastifyInstance, options: BrowserRouteOptions): void {
  app.post<{ Body: Static<typeof Offers>; Reply: Answers }>(
    '/classify/browser',
    {
      schema: {
        summary: 'Begin to measure a browser',
        description:
          'The page offers WebRTC connections; the server answers as an ICE peer, and learns the NAT from the ' +
          'connectivity checks. The page then sets the answers as remote descriptions, and ends at ' +
          '`POST /classify/browser/{id}`.',
        tags: ['reports'],
        body: Offers,
        response: { 201: Answers, ...problemResponses(400, 413, 415, 429, 503) },
      },
    },
    (request, reply) => {
      const { filtering, mapping } = request.body;
      const offers = {
        filtering: readOffer(filtering, '/filtering'),
        mapping: mapping.map((sdp, index) => readOffer(sdp, `/mapping/${index}`)),
      };
      const { id, answers } = options.browsers.begin(offers, clientOf(request));
      void reply.code(201).header('cache-control', 'no-store');
      return { id, ...answers };
    },
  );
  app.post<{
    Params: { id: string };
    Body: Static<typeof BrowserStats>;
    Reply: MeasuredBrowser | UnfinishedBrowser;
  }>(
    '/classify/browser/:id',
    {
      schema: {
        summary: 'End measuring a browser',
        description:
          'Answers once the server knows enough; the report is kept as any other. With 202 it wants newer statistics.',
        tags: ['reports'],
        params: Type.Object({ id: Type.String({ description: 'As POST /classify/browser answered' }) }),
        body: BrowserStats,
        response: {
          201: MeasuredBrowser,
          202: UnfinishedBrowser,
          ...problemResponses(400, 404, 413, 415, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const { filtering, mapping } = request.body;
      const outcome = await options.browsers.finish(request.params.id, {
        filtering,
        ...Object.fromEntries(mapping.map((stats, index) => [mappingName(index), stats])),
      });
      if (outcome.kind === 'ask-again') {
        void reply.code(202).header('cache-control', 'no-store');
        return { id: request.params.id, awaits: 'pair' as const };
      }
      const { report } = outcome;
      const { verdict, family, judgeVersion } = report;
      const { id } = await options.store.add({
        source: 'browser',
        verdict,
        family,
        judgeVersion,
        // The server has seen, itself, each source that the evidence names.
        endpointsWitnessed: report.endpoints.mapped !== undefined,
        claimsFollow: true,
        report,
      });
      options.countReport(verdict.type);
      const { path, url } = reportAddress(id, request, options.publicUrl);
      void reply.code(201).header('location', path).header('cache-control', 'no-store');
      return { id, url, verdict, report, punchability: assessPunchability(report) };
    },
  );
}

function readOffer(sdp: string, field: string): IceOffer {
  const offer = decodeOffer(sdp);
  if (typeof offer === 'string') throw new NatprobeError('ERR_OFFER', field, offer);
  return offer;
}

/** Whom the limits go by. */
function clientOf({ ip }: FastifyRequest): string {
  const source = new SourceAddress();
  return source.set(ip.replace(/^::ffff:/, ''), 0) ? customerKey(source) : ip;
}
