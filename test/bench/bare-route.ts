/**
 * What `npm run bench:http` holds natprobed against: a bare Fastify route that validates the same body
 * by the same schema, with Fastify's own validator, and answers as much as natprobed does.
 */
import { fastify } from 'fastify';
import { ReportSubmissionSchema } from '../../shared/report/submission-schema.ts';

const [port = '0', answer = '{}'] = process.argv.slice(2);
const app = fastify({ bodyLimit: 2 << 20 });
app.post('/classify', { schema: { body: ReportSubmissionSchema } }, (_request, reply) =>
  reply.code(201).type('application/json; charset=utf-8').send(answer),
);
await app.listen({ host: '127.0.0.1', port: Number(port) });
process.stdout.write('ready\n');
