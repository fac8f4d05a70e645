/** Where reports are kept: whether it can be written to, has room, and has the tables of this natprobed. */
import { accessSync, constants, statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { NatprobeError } from '../../shared/errors.ts';
import { doubtful, fine, type Finding, findingOf, wrong } from '../../shared/findings.ts';
import { systemErrorCode } from '../bind-error.ts';
import type { ReportSettings } from '../reports/settings.ts';
import { inspectSqlite } from '../reports/sqlite.ts';
import { WITNESS_CLOCK_SLACK_MS } from '../witness/check-witnesses.ts';

export async function checkStore(settings: ReportSettings, now: () => number): Promise<Finding[]> {
  if (settings.postgres !== undefined) return checkDatabase(settings.postgres, now);
  if (settings.directory === undefined)
    return [fine('reports', 'they are kept in memory, until natprobed stops (--data, --database)')];
  return checkDirectory(settings.directory);
}

async function checkDirectory(directory: string): Promise<Finding[]> {
  const place = existing(resolve(directory));
  const isThere = place === resolve(directory);
  try {
    if (!statSync(place).isDirectory())
      return [wrong('reports', `${place} is no directory`, 'give another with --data')];
    accessSync(place, constants.W_OK | constants.X_OK);
  } catch (error) {
    const seen = `${place} cannot be written to by this user (${systemErrorCode(error) ?? String(error)})`;
    return [
      wrong('reports', seen, 'let the user that natprobed runs as write there, or give another --data'),
    ];
  }
  const findings = checkSpace(place);
  if (!isThere) return [fine('reports', `${directory} will be made at the start`), ...findings];
  try {
    const isCurrent = await inspectSqlite(directory);
    return [fine('reports', `${directory} ${SQLITE_STATES[String(isCurrent)]}`), ...findings];
  } catch (error) {
    if (error instanceof NatprobeError) return [findingOf('reports', error), ...findings];
    throw error;
  }
}

const SQLITE_STATES: Readonly<Record<string, string>> = {
  true: 'has reports, in the tables of this natprobed',
  false: 'has reports of an older natprobed, which the start brings up to date',
  undefined: 'has no reports yet',
};

/** The directory, or whatever of its path there is already. */
function existing(path: string): string {
  while (statSync(path, { throwIfNoEntry: false }) === undefined && dirname(path) !== path)
    path = dirname(path);
  return path;
}

/** Some hundred thousand reports. */
const LITTLE_BYTES = 1 << 30;
const TOO_LITTLE_BYTES = 64 << 20;

function checkSpace(place: string): Finding[] {
  const { bavail, bsize } = statfsSync(place);
  const free = bavail * bsize;
  const seen = `${(free / 2 ** 30).toFixed(1)} GiB are free there`;
  const remedy = 'make room, or keep reports for less long (--keep)';
  if (free < TOO_LITTLE_BYTES) return [wrong('disk', seen, remedy)];
  return [free < LITTLE_BYTES ? doubtful('disk', seen, remedy) : fine('disk', seen)];
}

async function checkDatabase(
  settings: NonNullable<ReportSettings['postgres']>,
  now: () => number,
): Promise<Finding[]> {
  // Loaded only where it is wanted.
  const { inspectPostgres } = await import('../reports/postgres.ts');
  try {
    const { place, isCurrent, mayCreate, clockMs, version } = await inspectPostgres(settings);
    const skewMs = Math.abs(now() - clockMs);
    return [
      fine('database', `${place} answers: PostgreSQL ${version}`),
      tablesOf(isCurrent, mayCreate),
      ...(skewMs > WITNESS_CLOCK_SLACK_MS / 2
        ? [
            doubtful(
              'clock',
              `it and the database's are ${(skewMs / 1000).toFixed(0)} s apart`,
              'have both kept right (NTP)',
            ),
          ]
        : []),
    ];
  } catch (error) {
    if (error instanceof NatprobeError) return [findingOf('database', error)];
    throw error;
  }
}

function tablesOf(isCurrent: boolean, mayCreate: boolean): Finding {
  if (isCurrent) return fine('database', 'its tables are those of this natprobed');
  if (mayCreate) return fine('database', 'its tables are made or brought up to date at the start');
  return wrong(
    'database',
    'its tables are not those of this natprobed, and this user may not make any',
    'grant create on its schema to the user that --database names',
  );
}
