/** What was predicted of punches, and what came of them, as tables. */
import type { PunchCounts, PunchStatistics } from '../../punches/punch-store.ts';
import { html, type Html } from './html.ts';

export function renderPunches({ punches, bins, pairs }: PunchStatistics): Html {
  const filled = bins.filter((bin) => bin.punches > 0);
  return html`<section aria-labelledby="punches-title">
    <h2 id="punches-title">Punches: predicted and actual</h2>
    <p>
      ${punches === 1 ? '1 punch' : `${punches} punches`} planned here ${punches === 1 ? 'has' : 'have'}
      ended. Below are first attempts on whose outcome both sides agree, a few a day from each network.
    </p>
    ${filled.length > 0 && renderBins(filled)} ${pairs.length > 0 && renderPairs(pairs)}
  </section>`;
}

function renderBins(bins: PunchStatistics['bins']): Html {
  return html`<table class="counts">
    <thead>
      <tr>
        <th scope="col">Chance</th>
        <th scope="col">Punches</th>
        <th scope="col">Predicted</th>
        <th scope="col">Opened</th>
      </tr>
    </thead>
    <tbody>
      ${bins.map(
        (bin) =>
          html`<tr>
            <th scope="row">${Math.round(100 * bin.from)} to ${Math.round(100 * bin.to)} %</th>
            <td>${bin.punches}</td>
            <td>${percent(bin.predicted)}</td>
            ${renderShare(bin)}
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function renderShare({ punches, open, predicted }: PunchCounts): Html {
  const width = (100 * open) / punches;
  return html`<td class="share">
    <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect class="swatch any" width="${width.toFixed(1)}" height="8" />
      <rect class="foretold" x="${Math.min(99, 100 * predicted).toFixed(1)}" width="1" height="8" />
    </svg>
    <span>${percent(open / punches)}</span>
  </td>`;
}

function renderPairs(pairs: PunchStatistics['pairs']): Html {
  return html`<h2>Punches by pair</h2>
    <p>
      Mapping and filtering of the two. Once there are enough punches of a pair, what is predicted of it is
      learned from them too.
    </p>
    <div class="scroll" tabindex="0" role="region" aria-label="Punches by pair">
      <table class="counts">
        <thead>
          <tr>
            <th scope="col">Pair</th>
            <th scope="col">Punches</th>
            <th scope="col">Predicted</th>
            <th scope="col">Opened</th>
            <th scope="col">Learned</th>
          </tr>
        </thead>
        <tbody>
          ${pairs.map(
            ({ a, b, transport, punches, open, predicted, learned }) =>
              html`<tr>
                <th scope="row">${a} × ${b}${transport === 'tcp' && ', TCP'}</th>
                <td>${punches}</td>
                <td>${percent(predicted)}</td>
                <td>${percent(open / punches)}</td>
                <td>${learned === undefined ? '–' : percent(learned)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share === 1 || share === 0 ? 0 : 1)} %`;
}
