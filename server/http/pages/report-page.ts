/** The page of a kept report: what the server judged, and what it rests on. */
import { type AxisRow, describeAxes } from '../../../shared/nat/axes.ts';
import { TYPE_NAMES, toneOf } from '../../../shared/nat/names.ts';
import { passagesOf } from '../../../shared/nat/passages.ts';
import type { Family } from '../../../shared/endpoint.ts';
import { describePunching, describeReach } from '../../../shared/punch/reach.ts';
import { FAMILY_NAMES, type FamilyReport, isClassified } from '../../../shared/report/report.ts';
import type { ShownReport } from '../report-schemas.ts';
import type { AssetUrls } from '../web-assets.ts';
import { renderDocument } from './document.ts';
import { renderPassages } from './drawing.ts';
import { html, type Html } from './html.ts';
import { renderMatrix, renderMatrixRow } from './matrix.ts';
import { renderFact, renderFindings } from './verdict.ts';

export function renderReportPage(shown: ShownReport, assets: AssetUrls): string {
  const { id, report, punchability } = shown;
  const { verdict, families } = report;
  const others = (['ipv4', 'ipv6'] as const).filter((family) => family !== report.family);
  return renderDocument({
    title: `NAT type: ${TYPE_NAMES[verdict.type]} – natprobe report`,
    assets,
    isPrivate: true,
    main: html`
      <h1>A report</h1>
      <section class="card" data-state="${toneOf(verdict.type)}" aria-labelledby="verdict">
        <h2 id="verdict" class="headline">NAT type: ${TYPE_NAMES[verdict.type]}</h2>
        <p>${describeReach(verdict)}</p>
        <p>${describePunching(verdict)}</p>
        ${renderFindings(report, axesOf(report))}
      </section>
      <section aria-labelledby="passages-title">
        <h2 id="passages-title">Which packets came through, over ${FAMILY_NAMES[report.family]}</h2>
        ${drawingOf(report, shown.source) ?? html`<p>The evidence shows no packet.</p>`}
      </section>
      ${others.map((family) => renderOther(family, families[family], shown.source))}
      <section aria-labelledby="peers-title">
        <h2 id="peers-title">With each kind of peer</h2>
        <p>As natprobe predicts today, from how NATs behave.</p>
        ${renderMatrix([renderMatrixRow(verdict.type, punchability)])}
      </section>
      <section aria-labelledby="origin-title">
        <h2 id="origin-title">Where this comes from</h2>
        <dl class="facts">${renderOrigin(shown)}</dl>
        <p>
          <a href="/classify/${id}?format=json">This report as JSON</a>, with all of its evidence. Whoever
          knows this page’s address can read it.
        </p>
      </section>
    `,
  });
}

function axesOf({ axes }: FamilyReport): AxisRow[] {
  return axes === undefined ? [] : describeAxes(axes);
}

function drawingOf(family: FamilyReport, source: ShownReport['source']): Html | undefined {
  const who = source === 'browser' ? 'browser' : 'machine';
  return renderPassages(passagesOf(family.evidence), { who, verdict: family.verdict });
}

function renderOther(
  family: Family,
  found: ShownReport['report']['families'][Family],
  source: ShownReport['source'],
): Html {
  const name = FAMILY_NAMES[family];
  if (!isClassified(found))
    return html`<section aria-label="${name}">
      <h2>${name}</h2>
      <p>Not classified: ${found.skipped.text}.</p>
    </section>`;
  return html`<section aria-label="${name}">
    <h2>${name}: ${TYPE_NAMES[found.verdict.type]}</h2>
    <div class="card">${renderFindings(found, axesOf(found))}</div>
    ${drawingOf(found, source)}
  </section>`;
}

function renderOrigin({ source, receivedAt, claimsFollow, endpointsWitnessed, report }: ShownReport): Html {
  return html`
    ${renderFact('Measured', `${source === 'browser' ? 'a browser, by this server’s page' : 'natprobe'}, ${readTime(report.startedAt)}`)}
    ${renderFact('Received', readTime(receivedAt))}
    ${renderFact('Judged', `by this server, from the evidence alone (judge version ${report.judgeVersion})`)}
    ${!claimsFollow && renderFact('Claimed', 'something else than the evidence says, which stands here')}
    ${renderFact('Witnessed', WITNESSED[`${endpointsWitnessed}`])}
    ${renderFact('Addresses', 'as this server keeps them, which may have replaced them')}
  `;
}

const WITNESSED = {
  true: 'this server itself answered to the public endpoints. It says no more than that: nothing of who was there, or of what gets in.',
  partly:
    'this server itself answered to some of the public endpoints, and has only the report’s word for others.',
  false: 'no: this server has only the report’s word for the public endpoints.',
} as const;

/** To the second, in UTC. */
function readTime(iso: string): string {
  return iso.replace(/^(.{10})T(.{8}).*$/, '$1 $2 UTC');
}
