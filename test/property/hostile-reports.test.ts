/**
 * Whatever is posted as a report, the server answers 201 to what its schema allows and a run may have
 * left, and a 4xx problem to all else, which leaves the store as it was.
 */
import { Ajv } from 'ajv';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ReportSubmissionSchema } from '../../shared/report/submission-schema.ts';
import { openTestApp, post, problemOf, readSample, storedReports } from '../http/app.ts';
import { checkAsyncProperty } from './property.ts';
import { mutate, placesOf } from './mutations.ts';

const MALFORMED_BODIES = 1000;
const HOSTILE_BODIES = 300;
/** On a busy machine. */
const TIMEOUT_MS = 300_000;

const { app, store, errors, close } = await openTestApp();
afterAll(close);

const NONCE = '0f'.repeat(16);
const sample = {
  ...readSample('symmetric'),
  witnesses: {
    nonce: NONCE,
    given: [
      {
        transactionId: '00'.repeat(12),
        to: { address: '203.0.113.10', port: 3478 },
        mapped: { address: '198.51.100.10', port: 40000 },
        keyId: 7,
        madeAtMs: 1_767_225_600_000,
        mac: '00'.repeat(32),
      },
    ],
  },
};
const text = JSON.stringify(sample);
const places = placesOf(sample);

async function countReports(): Promise<number> {
  return (await store.summarise({})).reports;
}

async function expectRefusal(body: string | Buffer, statuses: readonly number[]): Promise<void> {
  const before = await countReports();
  const { status } = problemOf(await post(app, '/classify', body));
  expect(statuses).toContain(status);
  expect(await countReports()).toBe(before);
  expect(errors).toEqual([]);
}

describe('POST /classify', () => {
  it('takes the report that the others are made of', async () => {
    expect((await post(app, '/classify', text)).statusCode).toBe(201);
  });

  it(
    `answers ${MALFORMED_BODIES} reports with something changed as their schema has it`,
    async () => {
      // Another implementation of JSON Schema says what is valid.
      const ajv = new Ajv({ strict: false, formats: { 'date-time': /^\d{4}-\d\d-\d\dT[\d:.]+Z$/ } });
      const isValid = ajv.compile(ReportSubmissionSchema);
      const before = await storedReports(store);
      let runs = 0;
      let refused = 0;
      let taken = 0;
      const property = fc.asyncProperty(
        fc.integer({ min: 0, max: places.length - 1 }),
        fc.nat(),
        async (place, choice) => {
          // A nonce is good once.
          const nonce = String(runs++).padStart(32, '0');
          const body = mutate(sample, places[place]!, choice).replace(NONCE, nonce);
          if (isValid(JSON.parse(body))) {
            // What is still valid may be good, or evidence that no run leaves.
            expect([201, 422]).toContain((await post(app, '/classify', body)).statusCode);
            expect(errors).toEqual([]);
            taken++;
          } else {
            await expectRefusal(body, [400]);
            refused++;
          }
        },
      );
      await checkAsyncProperty(property, MALFORMED_BODIES);
      // Both kinds were tried in earnest.
      expect(refused).toBeGreaterThan(MALFORMED_BODIES / 3);
      expect(taken).toBeGreaterThan(MALFORMED_BODIES / 20);
      expect((await storedReports(store)).slice(0, before.length)).toEqual(before);
    },
    TIMEOUT_MS,
  );

  const attacks: Readonly<Record<string, { make: (at: number) => string | Buffer; statuses: number[] }>> = {
    'cut short': { make: (at) => text.slice(0, at % text.length), statuses: [400] },
    'not in UTF-8': {
      make: (at) => {
        const bytes = Buffer.from(text);
        bytes[at % bytes.length] = 0xff;
        return bytes;
      },
      statuses: [400],
    },
    'with a prototype': { make: (at) => insertMember(at, '"__proto__":{"x":1}'), statuses: [400] },
    'with a constructor': {
      make: (at) => insertMember(at, '"constructor":{"prototype":{"x":1}}'),
      statuses: [400],
    },
    'nested 100,000 levels deep': {
      make: (at) => insertMember(at, `"x":${'['.repeat(100_000)}${']'.repeat(100_000)}`),
      statuses: [400],
    },
    'with numbers that are none': {
      make: (at) => replaceNumber(at, ['NaN', '-Infinity', '0x10', '01', '--1', '1e', '.5'][at % 7]!),
      statuses: [400],
    },
    'with a number beyond all': { make: (at) => replaceNumber(at, '1e999'), statuses: [400] },
    'of many megabytes': {
      make: (at) => insertMember(at, `"x":"${'x'.repeat((3 + (at % 8)) << 20)}"`),
      statuses: [413],
    },
    'with a byte of its structure gone': {
      make: (at) => {
        const marks = [...text.matchAll(/[{}"]/g)];
        const { index } = marks[at % marks.length]!;
        return text.slice(0, index) + text.slice(index + 1);
      },
      statuses: [400],
    },
  };
  it(
    `refuses ${HOSTILE_BODIES} bodies made to hurt`,
    async () => {
      const before = await storedReports(store);
      const property = fc.asyncProperty(
        fc.constantFrom(...Object.keys(attacks)),
        fc.nat(),
        async (name, at) => {
          const { make, statuses } = attacks[name]!;
          await expectRefusal(make(at), statuses);
        },
      );
      await checkAsyncProperty(property, HOSTILE_BODIES);
      expect(await storedReports(store)).toEqual(before);
    },
    TIMEOUT_MS,
  );
});

/** The sample with one more member in one of its objects. */
function insertMember(at: number, member: string): string {
  const braces = [...text.matchAll(/\{(?=")/g)];
  const { index } = braces[at % braces.length]!;
  return `${text.slice(0, index + 1)}${member},${text.slice(index + 1)}`;
}

/** The sample with one of its numbers written otherwise. */
function replaceNumber(at: number, number: string): string {
  const numbers = [...text.matchAll(/(?<=":)[0-9.]+(?=[,}])/g)];
  const { index, 0: old } = numbers[at % numbers.length]!;
  return text.slice(0, index) + number + text.slice(index + old.length);
}
