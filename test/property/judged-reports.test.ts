/** Evidence of every axis, changed anywhere within what the schema allows, is judged or refused: nothing else is thrown. */
import fc from 'fast-check';
import { Compile } from 'typebox/compile';
import { expect, it } from 'vitest';
import { judgeReport } from '../../server/reports/judge-report.ts';
import { assessPunchability } from '../../server/http/punchability.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { Report } from '../../shared/report/report.ts';
import { ReportSchema } from '../../shared/report/schema.ts';
import { readSample } from '../http/app.ts';
import { mutate, placesOf } from './mutations.ts';
import { checkProperty } from './property.ts';

const RUNS = 500;
/** On a busy machine. */
const TIMEOUT_MS = 300_000;

it(
  `judges or refuses ${RUNS} reports`,
  () => {
    const sample = readSample('port-restricted-cone');
    const places = placesOf(sample).filter(([top]) => top === 'families');
    const schema = Compile(ReportSchema);
    const counts = { judged: 0, refused: 0 };
    const property = fc.property(
      fc.integer({ min: 0, max: places.length - 1 }),
      fc.nat(),
      fc.integer({ min: 0, max: places.length - 1 }),
      fc.nat(),
      (place, choice, otherPlace, otherChoice) => {
        const once = JSON.parse(mutate(sample, places[place]!, choice)) as Report;
        const twice = tryMutate(once, places[otherPlace]!, otherChoice);
        for (const report of [once, twice]) {
          if (!schema.Check(report)) continue;
          const judged = judgeOrRefuse(report);
          if (judged !== undefined) assessPunchability(judged);
          counts[judged === undefined ? 'refused' : 'judged']++;
        }
      },
    );
    checkProperty(property, RUNS);
    expect(counts.judged).toBeGreaterThan(RUNS / 10);
    expect(counts.refused).toBeGreaterThan(RUNS / 200);
  },
  TIMEOUT_MS,
);

/** The second change may be about what the first one has removed. */
function tryMutate(document: unknown, place: Parameters<typeof mutate>[1], choice: number): unknown {
  try {
    return JSON.parse(mutate(document, place, choice));
  } catch {
    return undefined;
  }
}

function judgeOrRefuse(report: Report): Report | undefined {
  try {
    return judgeReport(report).report;
  } catch (error) {
    if (!(error instanceof NatprobeError) || error.code !== 'ERR_EVIDENCE') throw error;
    // Refused by our own word, and not because something was thrown in the middle of judging.
    const { cause } = error;
    if (cause instanceof Error && cause.message !== 'evidence without its run') throw cause;
    return undefined;
  }
}
