/** What has been measured here, counted: for operators, and whoever is curious. */
import {
  FILTERING_SHORT,
  FILTERINGS,
  MAPPING_SHORT,
  MAPPINGS,
  NAT_TYPES,
} from '../../../shared/nat/behaviour.ts';
import { TYPE_NAMES } from '../../../shared/nat/names.ts';
import { FAMILY_NAMES } from '../../../shared/report/report.ts';
import type { ReportStatistics } from '../../reports/report-store.ts';
import type { Statistics } from '../report-schemas.ts';
import type { AssetUrls } from '../web-assets.ts';
import { renderDocument } from './document.ts';
import { html, type Html } from './html.ts';
import { renderPunches } from './punch-statistics.ts';

const SOURCE_NAMES = { probe: 'natprobe', browser: 'the page' } as const;
/** Shades of the table of cells. */
const SHADES = 5;

export function renderStatsPage(statistics: Statistics, assets: AssetUrls): string {
  const { reports, types, families, sources, punches } = statistics;
  return renderDocument({
    title: 'natprobe: statistics',
    assets,
    script: 'stats.js',
    place: '/stats',
    main: html`
      <h1>What has been measured here</h1>
      <p>
        ${reports === 1 ? '1 report' : `${reports} reports`}, each as judged by this server. Whoever measures
        twice counts twice.
      </p>
      ${reports > 0 && renderDays(statistics)}
      <section aria-labelledby="types-title">
        <h2 id="types-title">Types</h2>
        ${renderCounts(
          'Type',
          types.map(({ type, count }) => [TYPE_NAMES[type], count, type]),
          reports,
        )}
      </section>
      <section aria-labelledby="cells-title">
        <h2 id="cells-title">Mapping and filtering</h2>
        ${renderCells(statistics)}
      </section>
      <section class="columns" aria-label="Families and sources">
        <div>
          <h2>Families</h2>
          ${renderCounts(
            'Family',
            families.map(({ family, count }) => [FAMILY_NAMES[family], count]),
            reports,
          )}
        </div>
        <div>
          <h2>Measured by</h2>
          ${renderCounts(
            'Source',
            sources.map(({ source, count }) => [SOURCE_NAMES[source], count]),
            reports,
          )}
        </div>
      </section>
      ${punches !== undefined && renderPunches(punches)}
    `,
  });
}

function renderDays({ days, types }: ReportStatistics): Html {
  const present = NAT_TYPES.filter((type) => types.some((one) => one.type === type));
  const byDay = Map.groupBy(days, ({ day }) => day);
  return html`<section aria-labelledby="days-title">
    <h2 id="days-title">Types over time</h2>
    <figure>
      <div
        id="days-chart"
        role="img"
        aria-label="Reports a day by type, stacked; the table below has the numbers"
      ></div>
      <figcaption>
        <ul class="key">
          ${present.map((type) => html`<li><span class="swatch ${type}"></span>${TYPE_NAMES[type]}</li>`)}
        </ul>
        <details>
          <summary>Reports a day, as a table</summary>
          <div class="scroll" tabindex="0" role="region" aria-label="Reports a day">
            <table class="counts">
              <thead>
                <tr>
                  <th scope="col">Day (UTC)</th>
                  ${present.map((type) => html`<th scope="col">${TYPE_NAMES[type]}</th>`)}
                </tr>
              </thead>
              <tbody>
                ${[...byDay].map(
                  ([day, counts]) =>
                    html`<tr>
                      <th scope="row">${day}</th>
                      ${present.map((type) => html`<td>${counts.find((one) => one.type === type)?.count ?? 0}</td>`)}
                    </tr>`,
                )}
              </tbody>
            </table>
          </div>
        </details>
      </figcaption>
    </figure>
  </section>`;
}

/** The third of a row, if there is one, is the type whose colour its bar has. */
function renderCounts(
  head: string,
  rows: readonly (readonly [name: string, count: number, type?: string])[],
  total: number,
): Html {
  return html`<table class="counts">
    <thead>
      <tr>
        <th scope="col">${head}</th>
        <th scope="col">Reports</th>
        <th scope="col">Share</th>
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        ([name, count, type = 'any']) =>
          html`<tr>
            <th scope="row">${name}</th>
            <td>${count}</td>
            <td class="share">
              <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
                <rect class="swatch ${type}" width="${((100 * count) / total).toFixed(1)}" height="8" />
              </svg>
              <span>${((100 * count) / total).toFixed(1)} %</span>
            </td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function renderCells({ cells }: ReportStatistics): Html {
  const most = Math.max(1, ...cells.map(({ count }) => count));
  return html`<table class="matrix cells">
    <caption class="unseen">
      Reports by mapping (rows) and filtering (columns)
    </caption>
    <thead>
      <tr>
        <td></td>
        ${FILTERINGS.map((filtering) => html`<th scope="col">${FILTERING_SHORT[filtering]}</th>`)}
      </tr>
    </thead>
    <tbody>
      ${MAPPINGS.map(
        (mapping) =>
          html`<tr>
            <th scope="row">${mapping === 'none' ? 'none' : MAPPING_SHORT[mapping]}</th>
            ${FILTERINGS.map((filtering) => {
              const cell = cells.find((one) => one.mapping === mapping && one.filtering === filtering);
              const count = cell?.count ?? 0;
              return html`<td class="shade-${Math.ceil((SHADES * count) / most)}">${count}</td>`;
            })}
          </tr>`,
      )}
    </tbody>
  </table>`;
}
