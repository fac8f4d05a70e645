/** OpenAPI from the routes' own schemas at /openapi.json, and a reference for people at /docs. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { VERSION } from '../../../shared/version.ts';

/** Everything from this server itself, and nothing inline but what the reference sets on its own elements. */
const DOCS_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** To be called before the routes are added. */
export async function describeByOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'natprobed',
        version: VERSION,
        description:
          'Reports of NATs, judged by the server from their evidence; predictions of hole punches; and how ' +
          'the server fares. Every error is an `application/problem+json` document with a stable `code`.',
        license: { name: 'MIT' },
      },
      tags: [
        { name: 'reports', description: 'What was measured' },
        { name: 'predictions', description: 'Whether a hole punch will work' },
        { name: 'operations', description: 'How the server fares' },
      ],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    convertConstToEnum: false,
  });
  let document: Readonly<Record<string, unknown>> | undefined;
  const describe = (): Readonly<Record<string, unknown>> => (document ??= withNamedSchemas(app.swagger()));
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: DOCS_CSP,
    // Its validator would send the document to somebody else's server.
    uiConfig: { layout: 'BaseLayout', validatorUrl: null, docExpansion: 'list' },
    transformSpecification: () => describe(),
    transformSpecificationClone: false,
    theme: { title: 'natprobed: HTTP API' },
  });
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) =>
    reply.header('cache-control', 'no-cache').send(describe()),
  );
}

/** Schemas with a title become components under that name, which the rest refers to. */
function withNamedSchemas(document: ReturnType<FastifyInstance['swagger']>): Record<string, unknown> {
  const schemas = new Map<string, unknown>();
  const named = nameSchemas(document, schemas) as { readonly components: object };
  return { ...named, components: { ...named.components, schemas: Object.fromEntries(schemas) } };
}

function nameSchemas(value: unknown, schemas: Map<string, unknown>): unknown {
  if (Array.isArray(value)) return value.map((item) => nameSchemas(item, schemas));
  if (typeof value !== 'object' || value === null) return value;
  const copy: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) copy[name] = nameSchemas(member, schemas);
  if (typeof copy['title'] !== 'string' || copy['type'] !== 'object') return copy;
  const name = copy['title'].replaceAll(/[^A-Za-z]+(.)/g, (_, first: string) => first.toUpperCase());
  schemas.set(name, copy);
  return { $ref: `#/components/schemas/${name}` };
}
