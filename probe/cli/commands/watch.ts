import { NatprobeError } from '../../../shared/errors.ts';
import { compareReports, type ReportChange } from '../../../shared/report/changes.ts';
import { FAMILY_NAMES, isSent, type Report } from '../../../shared/report/report.ts';
import { waitForNetworkChange } from '../../drive/network-changes.ts';
import { classify } from '../../index.ts';
import { EXIT } from '../exit-codes.ts';
import { nameVerdict } from '../../../shared/nat/names.ts';
import type { WatchFlags } from '../settings.ts';
import { exitCodeOfDelivery, optionsOf, prepareSettings, reportOptionsOf } from './prepare.ts';

const DEFAULT_EVERY_S = 60;

/** What `natprobe watch --json` prints, one a line. */
export type WatchEvent = { readonly schema: 'natprobe/watch@1'; readonly at: string } & (
  | { readonly event: 'first'; readonly report: Report }
  | { readonly event: 'changed'; readonly changes: readonly ReportChange[]; readonly report: Report }
  /** Told once, until there is a verdict again; the last verdict stays what later ones are compared with. */
  | { readonly event: 'inconclusive'; readonly report: Report }
  | { readonly event: 'failed'; readonly code: string; readonly message: string }
);

/**
 * `natprobe watch`: classifies at once, then every so many seconds and whenever this machine's
 * addresses change, and prints what changed. Ends after --count runs, or with Ctrl-C. A run that
 * fails is told and is no end, unless it is the first. Returns the exit code of the last run.
 */
export async function watchCommand(flags: WatchFlags): Promise<number> {
  const settings = prepareSettings(flags);
  const { every = DEFAULT_EVERY_S, count = Infinity } = flags;
  process.once('SIGINT', () => process.exit(EXIT.interrupted));
  let last: Report | undefined;
  let wasInconclusive = false;
  let exitCode: number = EXIT.verdict;
  for (let run = 1; run <= count; run++) {
    try {
      const before = last;
      const report = await classify({
        ...optionsOf(settings),
        report: settings.report && {
          ...reportOptionsOf(settings),
          when: (measured) => !isInconclusive(measured) && eventOf(before, measured, false) !== undefined,
        },
      });
      const event = eventOf(last, report, wasInconclusive);
      if (event !== undefined) print({ ...stamp(), ...event }, settings.json);
      wasInconclusive = isInconclusive(report);
      exitCode = wasInconclusive ? EXIT.inconclusive : EXIT.verdict;
      if (report.report !== undefined) exitCode = exitCodeOfDelivery(report.report, exitCode);
      if (last === undefined || !isInconclusive(report)) last = report;
    } catch (error) {
      if (!(error instanceof NatprobeError) || last === undefined) throw error;
      wasInconclusive = false;
      exitCode = error.exitCode;
      print({ ...stamp(), event: 'failed', code: error.code, message: error.message }, settings.json);
    }
    if (run < count) await waitForNetworkChange(every * 1000);
  }
  return exitCode;
}

type Unstamped<Event> = Event extends WatchEvent ? Omit<Event, 'schema' | 'at'> : never;

/** What there is to tell about this run; undefined if nothing is new. */
function eventOf(
  last: Report | undefined,
  report: Report,
  wasInconclusive: boolean,
): Unstamped<WatchEvent> | undefined {
  if (last === undefined) return { event: 'first', report };
  if (isInconclusive(report)) return wasInconclusive ? undefined : { event: 'inconclusive', report };
  const changes = compareReports(last, report);
  return changes.length === 0 ? undefined : { event: 'changed', changes, report };
}

function isInconclusive({ verdict }: Report): boolean {
  return verdict.type === 'inconclusive';
}

function stamp(): { schema: 'natprobe/watch@1'; at: string } {
  return { schema: 'natprobe/watch@1', at: new Date().toISOString() };
}

function print(event: WatchEvent, json: boolean): void {
  process.stdout.write(json ? `${JSON.stringify(event)}\n` : `${renderEvent(event).join('\n')}\n`);
}

/** `12:00:01  NAT type: …`, then a line for each change. */
export function renderEvent(event: WatchEvent): string[] {
  const time = event.at.slice(11, 19);
  switch (event.event) {
    case 'first':
    case 'inconclusive':
      return [
        `${time}  NAT type: ${nameVerdict(event.report.verdict)}`,
        ...(event.event === 'first'
          ? []
          : event.report.verdict.reasons.map(({ text }) => `          ${text}`)),
        ...renderDelivery(event.report),
      ];
    case 'changed':
      return [
        `${time}  NAT type: ${nameVerdict(event.report.verdict)}`,
        ...event.changes.map(
          ({ family, what, from, to }) => `          ${FAMILY_NAMES[family]} ${what}: ${from} -> ${to}`,
        ),
        ...renderDelivery(event.report),
      ];
    case 'failed':
      return [`${time}  failed: ${event.message}`];
  }
}

function renderDelivery({ report }: Report): string[] {
  return report !== undefined && isSent(report) ? [`          report: ${report.url}`] : [];
}
