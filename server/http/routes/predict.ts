import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { parseBehaviour } from '../../../shared/punch/behaviour.ts';
import { predict, type Prediction } from '../../../shared/punch/predict.ts';
import { PredictionSchema } from '../../../shared/punch/schema.ts';
import { problemResponses } from '../problem.ts';

const Side = Type.String({
  maxLength: 100,
  description: 'A type, `port-restricted-cone`, or a short form, `EIM/APDF`',
});
const PredictQuery = Type.Object({ a: Side, b: Side });

/** GET /predict: will a punch between these two work? */
export function predictRoute(app: FastifyInstance): void {
  app.get<{ Querystring: Static<typeof PredictQuery>; Reply: Prediction }>(
    '/predict',
    {
      schema: {
        summary: 'Predict a punch between two kinds of NAT',
        description: 'As `natprobe predict A B` does.',
        tags: ['predictions'],
        querystring: PredictQuery,
        response: { 200: PredictionSchema, ...problemResponses(400) },
      },
    },
    (request, reply) => {
      const [a, b] = [parseBehaviour(request.query.a, 'a'), parseBehaviour(request.query.b, 'b')];
      void reply.header('cache-control', 'public, max-age=3600');
      return predict(a, b);
    },
  );
}
