import type { Family } from '../../../shared/endpoint.ts';
import type { AxisRow } from '../../../shared/nat/axes.ts';
import { describeFiltering, describeMapping, nameVerdict, toneOf } from '../../../shared/nat/names.ts';
import { describePunching, describeReach } from '../../../shared/punch/reach.ts';
import {
  FAMILY_NAMES,
  isClassified,
  isSent,
  type FamilyReport,
  type Report,
} from '../../../shared/report/report.ts';
import { formatConfidence, formatMs, listWords } from '../../../shared/words.ts';
import { layoutRow } from './layout.ts';
import type { Style } from '../../../shared/style.ts';

/** What was asked for beside the verdict, said already. */
export interface Extras {
  readonly survey?: Partial<Readonly<Record<Family, readonly AxisRow[]>>>;
  readonly portMapping?: readonly string[];
}

/** The report for people; the first line is `NAT type: <plain name> (...)`. Ends with a newline. */
export function renderReport(report: Report, style: Style, extras: Extras = {}): string {
  const lines = [
    `${style.bold('NAT type:')} ${style[toneOf(report.verdict.type)](nameVerdict(report.verdict))}`,
    '',
  ];
  for (const { label, text } of [
    ...describeFamily(report, extras.survey?.[report.family] ?? []),
    ...(extras.portMapping ? [{ label: 'Port map', text: extras.portMapping.join('\n') }] : []),
    ...describeSkipped(report),
    ...describeDelivery(report),
  ]) {
    lines.push(...layoutRow(label, text, style.dim));
  }
  for (const [heading, ...rows] of describeOther(report, extras)) {
    lines.push('', ...layoutRow(heading!.label, heading!.text, style.bold));
    for (const { label, text } of rows) lines.push(...layoutRow(label, text, style.dim));
  }
  return `${lines.join('\n')}\n`;
}

interface Row {
  readonly label: string;
  readonly text: string;
}

function describeFamily(report: FamilyReport, survey: readonly AxisRow[]): Row[] {
  const { verdict, server, timing, axes } = report;
  const rows = describeBehaviour(report);
  rows.push({ label: 'Peers', text: describeReach(verdict) });
  const punching = describePunching(verdict);
  if (punching !== undefined) {
    const caveat = axes?.unsolicited?.value === 'tracked' ? ` ${SEND_FIRST}` : '';
    rows.push({ label: 'Punching', text: punching + caveat });
  }
  rows.push(...survey.map(rowOf));
  rows.push({
    label: 'Confidence',
    text: [formatConfidence(verdict.confidence), ...verdict.reasons.map(({ text }) => text)].join('\n'),
  });
  const alternate = server.alternate === undefined ? '' : `, whose other address is ${server.alternate}`;
  rows.push({ label: 'Server', text: `${server.endpoints.join(', ')}${alternate}` });
  if (server.unresolved !== undefined) {
    rows.push({ label: '', text: `${listWords(server.unresolved)} did not resolve` });
  }
  const roundTrip = timing.rttMs === undefined ? '' : `, with a round trip of ${formatMs(timing.rttMs)}`;
  const rest = timing.surveyMs === undefined ? '' : `; ${formatMs(timing.surveyMs)} for the rest`;
  rows.push({ label: 'Took', text: `${formatMs(timing.totalMs)}${roundTrip}${rest}` });
  return rows;
}

function rowOf({ label, sentences }: AxisRow): Row {
  return { label, text: sentences.join('\n') };
}

/** What every family's section has: mapping, filtering and the endpoints. */
function describeBehaviour({ verdict, endpoints: { local, mapped, nat64 } }: FamilyReport): Row[] {
  const rows: Row[] = [];
  if (verdict.type !== 'udp-blocked') {
    rows.push({ label: 'Mapping', text: describeMapping(verdict.mapping) });
    rows.push({ label: 'Filtering', text: describeFiltering(verdict.filtering) });
  }
  const way = nat64 === undefined ? '' : `, since this machine has no way to IPv4 but the NAT64 at ${nat64}`;
  if (local !== undefined) rows.push({ label: 'Local', text: `${local}${way}` });
  if (mapped !== undefined) rows.push({ label: 'Public', text: describePublic(mapped, local) });
  return rows;
}

/** Of a NAT that tracks unsolicited packets (MEASURING.md §7). */
const SEND_FIRST =
  'This side has to send first, though: a packet that comes before changes its next mapping.';

/** A family that was not classified, unless it was left out on purpose. */
function describeSkipped({ families }: Report): Row[] {
  return FAMILIES.flatMap((family): Row[] => {
    const part = families[family];
    if (isClassified(part) || part.skipped.code === 'not-asked') return [];
    return [{ label: FAMILY_NAMES[family], text: `not classified: ${part.skipped.text}` }];
  });
}

/** A section for the family that the top level isn't about: in short, and of a survey what differs. */
function describeOther({ family: first, families }: Report, { survey = {} }: Extras): Row[][] {
  return FAMILIES.filter((family) => family !== first).flatMap((family): Row[][] => {
    const part = families[family];
    if (!isClassified(part)) return [];
    const said = survey[first]?.map(rowOf) ?? [];
    const surveyed = survey[family]?.map(rowOf) ?? [];
    return [
      [
        { label: FAMILY_NAMES[family], text: nameVerdict(part.verdict) },
        ...describeBehaviour(part),
        ...surveyed.filter(
          ({ label, text }) => !said.some((row) => row.label === label && row.text === text),
        ),
        { label: 'Confidence', text: formatConfidence(part.verdict.confidence) },
        { label: 'Server', text: part.server.endpoints.join(', ') },
      ],
    ];
  });
}

const FAMILIES = ['ipv4', 'ipv6'] as const satisfies Family[];

/** Where the report is. That it was not taken is told with the errors. */
function describeDelivery({ report }: Report): Row[] {
  if (report === undefined || !isSent(report)) return [];
  const doubt = report.claimsFollow ? '' : '\nits server judges the evidence otherwise: see there';
  return [{ label: 'Report', text: `${report.url}${doubt}` }];
}

function describePublic(mapped: string, local: string | undefined): string {
  if (local === undefined) return mapped;
  if (mapped === local) return `${mapped} (the same)`;
  return portOf(mapped) === portOf(local) ? `${mapped} (port preserved)` : mapped;
}

function portOf(endpoint: string): string {
  return endpoint.slice(endpoint.lastIndexOf(':') + 1);
}
