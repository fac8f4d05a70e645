import type { Family } from '../../../shared/endpoint.ts';
import type { AxisRow } from '../../../shared/nat/axes.ts';
import type { Verdict } from '../../../shared/nat/verdict.ts';
import {
  FAMILY_NAMES,
  isClassified,
  isSent,
  type FamilyReport,
  type Report,
} from '../../../shared/report/report.ts';
import { formatConfidence, formatMs, layoutRow, listWords } from './layout.ts';
import { describeFiltering, describeMapping, nameVerdict } from './names.ts';
import { describePunching, describeReach } from './peers.ts';
import type { Paint, Style } from './style.ts';

/** What was asked for beside the verdict, said already. */
export interface Extras {
  readonly survey?: Partial<Readonly<Record<Family, readonly AxisRow[]>>>;
  readonly portMapping?: readonly string[];
}

/** The report for people; the first line is `NAT type: <plain name> (...)`. Ends with a newline. */
export function renderReport(report: Report, style: Style, extras: Extras = {}): string {
  const lines = [
    `${style.bold('NAT type:')} ${colourOf(report.verdict, style)(nameVerdict(report.verdict))}`,
    '',
  ];
  for (const { label, text } of [
    ...describeFamily(report, extras.survey?.[report.family] ?? []),
    ...(extras.portMapping ? [{ label: 'Port map', text: extras.portMapping.join('\n') }] : []),
    ...describeOthers(report),
    ...describeDelivery(report),
  ]) {
    lines.push(...layoutRow(label, text, style.dim));
  }
  return `${lines.join('\n')}\n`;
}

interface Row {
  readonly label: string;
  readonly text: string;
}

function describeFamily(
  { verdict, endpoints, server, timing, axes }: FamilyReport,
  survey: readonly AxisRow[],
): Row[] {
  const rows: Row[] = [];
  if (verdict.type !== 'udp-blocked') {
    rows.push({ label: 'Mapping', text: describeMapping(verdict.mapping) });
    rows.push({ label: 'Filtering', text: describeFiltering(verdict.filtering) });
  }
  if (endpoints.local !== undefined) rows.push({ label: 'Local', text: endpoints.local });
  if (endpoints.mapped !== undefined)
    rows.push({ label: 'Public', text: describePublic(endpoints.mapped, endpoints.local) });
  rows.push({ label: 'Peers', text: describeReach(verdict) });
  const punching = describePunching(verdict);
  if (punching !== undefined) {
    const caveat = axes?.unsolicited?.value === 'tracked' ? ` ${SEND_FIRST}` : '';
    rows.push({ label: 'Punching', text: punching + caveat });
  }
  for (const { label, sentences } of survey) rows.push({ label, text: sentences.join('\n') });
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

/** Of a NAT that tracks unsolicited packets (MEASURING.md §7). */
const SEND_FIRST =
  'This side has to send first, though: a packet that comes before changes its next mapping.';

/** The family that the top level isn't about, in a line, unless it was left out on purpose. */
function describeOthers(report: Report): Row[] {
  return (['ipv4', 'ipv6'] as const satisfies Family[]).flatMap((family): Row[] => {
    const other = report.families[family];
    if (family === report.family) return [];
    const label = FAMILY_NAMES[family];
    if (!isClassified(other)) {
      return other.skipped.code === 'not-asked'
        ? []
        : [{ label, text: `not classified: ${other.skipped.text}` }];
    }
    const mapped = other.endpoints.mapped === undefined ? '' : `; public endpoint ${other.endpoints.mapped}`;
    return [{ label, text: `${nameVerdict(other.verdict)}${mapped}` }];
  });
}

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

/** Green: a peer can begin or a plain punch works with most; yellow: it takes more; red: it can't be. */
function colourOf({ type }: Verdict, style: Style): Paint {
  switch (type) {
    case 'open':
    case 'full-cone':
    case 'restricted-cone':
      return style.good;
    case 'symmetric-firewall':
    case 'port-restricted-cone':
    case 'cone':
    case 'symmetric':
    case 'inconclusive':
      return style.fair;
    case 'udp-blocked':
      return style.bad;
  }
}
