import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import { NatprobeError } from '../../shared/errors.ts';
import { parseBehaviour, type PunchBehaviour } from '../../shared/punch/behaviour.ts';
import { behaviourOfSubject } from '../../shared/punch/subject.ts';

/**
 * One side of a punch as it was typed: a type name or short form, a file with a report, or `-` for a
 * report on standard input. Rejects with ERR_BEHAVIOUR where it is neither, ERR_REPORT_FILE where the
 * file has no report.
 */
export async function readSide(text: string, place: string): Promise<PunchBehaviour> {
  const side = await findSide(text);
  if (side === undefined) throw noSuchSide(text, place);
  return side;
}

/** What was typed is neither a type nor a file. */
export function noSuchSide(text: string, place: string): NatprobeError {
  const shown = JSON.stringify(text.slice(0, SHOWN));
  return new NatprobeError('ERR_BEHAVIOUR', place, `got ${shown}, which is no file either`);
}

/** As readSide; undefined where it is neither a type nor a file. */
export async function findSide(text: string): Promise<PunchBehaviour | undefined> {
  if (text === '-') return readReport(await readAll(process.stdin), 'standard input');
  // A name is no file, unless written as ./name.
  const named = tryName(text);
  if (named !== undefined) return named;
  if (!existsSync(text)) return undefined;
  let content: string;
  try {
    content = await readFile(text, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new NatprobeError('ERR_REPORT_FILE', text, code, { cause: error });
  }
  return readReport(content, text);
}

/** An error shows no more characters of what was typed. */
const SHOWN = 80;

function tryName(text: string): PunchBehaviour | undefined {
  try {
    return parseBehaviour(text);
  } catch {
    return undefined;
  }
}

/** A report, or a mapping and a filtering. */
async function readReport(content: string, place: string): Promise<PunchBehaviour> {
  let value: unknown;
  try {
    value = JSON.parse(content) as unknown;
  } catch (error) {
    throw new NatprobeError('ERR_REPORT_FILE', place, 'it is not JSON', { cause: error });
  }
  const [{ PunchSubjectSchema }, { Check }] = await Promise.all([
    import('../../shared/punch/schema.ts'),
    import('typebox/value'),
  ]);
  if (typeof value === 'string' || !Check(PunchSubjectSchema, value))
    throw new NatprobeError('ERR_REPORT_FILE', place, 'it is JSON, but no report');
  try {
    return behaviourOfSubject(value, place);
  } catch (error) {
    // The schema leaves the axes to the judge, and this file is nobody's judgement.
    throw new NatprobeError('ERR_REPORT_FILE', place, 'its axes are not as natprobe writes them', {
      cause: error,
    });
  }
}
