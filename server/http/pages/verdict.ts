/** A verdict with what it rests on: the same right after measuring and on a report's page. */
import type { AxisRow } from '../../../shared/nat/axes.ts';
import { describeFiltering, describeMapping } from '../../../shared/nat/names.ts';
import type { FamilyReport } from '../../../shared/report/report.ts';
import { formatConfidence, formatMs } from '../../../shared/words.ts';
import { html, type Html } from './html.ts';

/** The axes are said already: what says them is for Node alone. */
export function renderFindings(
  { verdict, endpoints, timing }: FamilyReport,
  axes: readonly AxisRow[] = [],
): Html {
  const { mapping, filtering, confidence, reasons } = verdict;
  return html`<dl class="facts">
      ${mapping !== 'unknown' && renderFact('Mapping', describeMapping(mapping))}
      ${mapping !== 'unknown' && renderFact('Filtering', describeFiltering(filtering))}
      ${endpoints.local !== undefined && renderFact('Local', endpoints.local)}
      ${endpoints.mapped !== undefined && renderFact('Public', endpoints.mapped)}
      ${axes.map(({ label, sentences }) => renderFact(label, ...sentences))}
      ${renderFact('Confidence', formatConfidence(confidence))}
      ${renderFact('Took', formatMs(timing.totalMs))}
      ${timing.rttMs !== undefined && renderFact('Round trip', formatMs(timing.rttMs))}
    </dl>
    <h2 class="minor">Why</h2>
    <ul id="reasons" class="reasons">
      ${reasons.map(({ text }) => html`<li>${text}</li>`)}
    </ul>`;
}

export function renderFact(label: string, ...texts: readonly (string | Html)[]): Html {
  return html`<div>
    <dt>${label}</dt>
    ${texts.map((text) => html`<dd>${text}</dd>`)}
  </div>`;
}
