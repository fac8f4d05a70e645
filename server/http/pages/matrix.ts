/** What a punch comes to between any two types of NAT, as a table. */
import type { NatType } from '../../../shared/nat/behaviour.ts';
import { TYPE_NAMES } from '../../../shared/nat/names.ts';
import type { PredictedOutcome } from '../../../shared/punch/predict.ts';
import { html, type Html } from './html.ts';

/** The types that have a row and a column. */
export const MATRIX_TYPES = [
  'open',
  'symmetric-firewall',
  'full-cone',
  'restricted-cone',
  'port-restricted-cone',
  'symmetric',
  'udp-blocked',
] as const satisfies NatType[];

export interface Outcome {
  readonly outcome: PredictedOutcome;
  readonly probability: number;
}

/** By the peer's type. */
export type Outcomes = Readonly<Partial<Record<NatType, Outcome>>>;

export function renderMatrix(rows: readonly Html[]): Html {
  return html`<table class="matrix">
      <caption class="unseen">
        Whether a punch from a type of NAT (rows) to another (columns) opens a hole
      </caption>
      <thead>
        <tr>
          <td></td>
          ${MATRIX_TYPES.map((type) => html`<th scope="col"><span>${TYPE_NAMES[type]}</span></th>`)}
        </tr>
      </thead>
      <tbody id="matrix">
        ${rows}
      </tbody>
    </table>
    ${renderLegend()}`;
}

/** One type's row; `mark` says whose it is. */
export function renderMatrixRow(type: NatType, outcomes: Outcomes, mark?: string): Html {
  const head = html`<th scope="row">
    ${TYPE_NAMES[type]}${mark !== undefined && html` <strong class="mark">${mark}</strong>`}
  </th>`;
  const cells = MATRIX_TYPES.map((peer) => renderCell(outcomes[peer]));
  return mark === undefined
    ? html`<tr data-type="${type}">
        ${head}${cells}
      </tr>`
    : html`<tr data-type="${type}" aria-current="true">
        ${head}${cells}
      </tr>`;
}

function renderCell(found: Outcome | undefined): Html {
  if (found === undefined) return html`<td>–</td>`;
  const { outcome, probability } = found;
  return html`<td class="${outcome}">
    ${renderSign(outcome)}<span class="word">${outcome}</span>
    <span class="chance">${formatChance(probability)}</span>
  </td>`;
}

/** A disc that is the fuller the better: told apart without colours too. */
function renderSign(outcome: PredictedOutcome): Html {
  return html`<svg class="sign ${outcome}" viewBox="0 0 16 16" aria-hidden="true">
    <circle cx="8" cy="8" r="6.5" />
    <path d="${FILLINGS[outcome]}" />
  </svg>`;
}

const FILLINGS: Readonly<Record<PredictedOutcome, string>> = {
  direct: 'M8 1.5a6.5 6.5 0 0 1 0 13a6.5 6.5 0 0 1 0 -13z',
  likely: 'M8 8V1.5A6.5 6.5 0 1 1 1.5 8Z',
  unlikely: 'M8 8V1.5A6.5 6.5 0 0 1 14.5 8Z',
  relay: 'M4 4l8 8',
};

function renderLegend(): Html {
  return html`<dl class="legend">
    ${Object.entries(MEANINGS).map(
      ([outcome, meaning]) =>
        html`<div>
          <dt>${renderSign(outcome as PredictedOutcome)}${outcome}</dt>
          <dd>${meaning}</dd>
        </div>`,
    )}
  </dl>`;
}

const MEANINGS: Readonly<Record<PredictedOutcome, string>> = {
  direct: 'works, with nothing to be timed',
  likely: 'at least 80 %',
  unlikely: 'at least 5 %',
  relay: 'no hole: a relay has to carry it',
};

/** Never rounded up to certainty. */
function formatChance(probability: number): string {
  const percent = 100 * probability;
  if (percent > 0 && percent < 1) return '< 1 %';
  return `${Math.floor(percent + 1e-9)} %`;
}
