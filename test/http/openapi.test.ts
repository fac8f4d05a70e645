import { afterAll, describe, expect, it } from 'vitest';
import { ERROR_CATALOGUE } from '../../shared/errors.ts';
import { openTestApp } from './app.ts';

const { app, close } = await openTestApp();
afterAll(close);

interface Operation {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

describe('GET /openapi.json', async () => {
  const response = await app.inject('/openapi.json');
  const text = response.body;
  const document = response.json<Document>();
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const,
    ),
  );

  it('is OpenAPI 3.1', () => {
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(document.openapi).toBe('3.1.0');
  });

  it('describes every request of the API', () => {
    expect(operations.map(([name]) => name).sort()).toEqual(
      expect.arrayContaining([
        'GET /classify',
        'GET /classify/{id}',
        'GET /healthz',
        'GET /metrics',
        'GET /predict',
        'GET /readyz',
        'GET /stats',
        'POST /classify',
        'POST /preflight',
      ]),
    );
  });

  it.each(operations)(
    'says of %s what it does and how it answers, errors as problems',
    (_name, operation) => {
      expect(operation.summary).toBeDefined();
      expect(operation.tags).toHaveLength(1);
      for (const [status, { content = {} }] of Object.entries(operation.responses)) {
        if (Number(status) >= 400) expect(Object.keys(content)).toEqual(['application/problem+json']);
      }
    },
  );

  it('names the schemas that are used more than once, and refers to none that is not there', () => {
    const { schemas } = document.components;
    expect(Object.keys(schemas)).toEqual(
      expect.arrayContaining(['Report', 'PostedReport', 'KeptReport', 'Problem']),
    );
    const named = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name!);
    expect(named.length).toBeGreaterThan(10);
    expect(named.filter((name) => !(name in schemas))).toEqual([]);
  });

  it('speaks of no error code that is not in the catalogue', () => {
    const codes = [...text.matchAll(/ERR_[A-Z_]+/g)].map(([code]) => code);
    expect(codes.filter((code) => !(code in ERROR_CATALOGUE))).toEqual([]);
  });
});

describe('GET /docs', () => {
  const FILE = /(?:src|href)="([^"]+)"/g;

  it('is a page whose every file comes from this server, under a policy that allows no other', async () => {
    const page = await app.inject('/docs/');
    expect(page.statusCode).toBe(200);
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval/);
    const files = [...page.body.matchAll(FILE)].map(([, file]) => file!);
    expect(files.length).toBeGreaterThan(4);
    for (const file of files) {
      expect(file).not.toMatch(/^([a-z]+:)?\/\//);
      const answer = await app.inject(new URL(file, 'http://server/docs/').pathname);
      expect({ file, status: answer.statusCode }).toEqual({ file, status: 200 });
    }
    // Its only script is in files: the policy has no room for others.
    expect(page.body).not.toMatch(/<script>|<script(?![^>]*src=)/);
  });

  it('shows this server’s own description', async () => {
    const shown = await app.inject('/docs/json');
    expect(shown.json()).toEqual((await app.inject('/openapi.json')).json());
  });
});
