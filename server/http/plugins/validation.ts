/** Requests are checked against their route's TypeBox schemas; a mismatch says which field, and what is wanted. */
import type { FastifyInstance } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { explainMismatch } from '../../../shared/explain-mismatch.ts';
import { ProblemError } from '../problem.ts';

export function validateBySchema(app: FastifyInstance): void {
  app.setValidatorCompiler<TSchema>(({ schema, httpPart = 'body' }) => {
    const validator = Compile(schema);
    return (data: unknown) => {
      // All that a query or a path has is text; a body says itself what is a number.
      const value = httpPart === 'body' ? data : validator.Convert(data);
      if (validator.Check(value)) return { value };
      const { field, wanted } = explainMismatch(schema, value);
      const place = field === '' ? `the ${PART_NAMES[httpPart] ?? httpPart}` : field;
      return { error: new ProblemError('ERR_FIELD', `${place} ${wanted}`, { field }) };
    };
  });
  // Schemas of responses are what tests hold the answers to, and documentation.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}

const PART_NAMES: Readonly<Record<string, string>> = { querystring: 'query', params: 'path' };
