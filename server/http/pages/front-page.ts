/** The page at `/`, before anything is measured; its script fills it in. */
import { parseBehaviour } from '../../../shared/punch/behaviour.ts';
import { predict } from '../../../shared/punch/predict.ts';
import type { AssetUrls } from '../web-assets.ts';
import { renderDocument } from './document.ts';
import { html } from './html.ts';
import { MATRIX_TYPES, type Outcomes, renderMatrix, renderMatrixRow } from './matrix.ts';

export interface FrontPageOptions {
  readonly assets: AssetUrls;
  /** What `natprobe --server` takes for this server. */
  readonly stunServer: string;
}

export function renderFrontPage({ assets, stunServer }: FrontPageOptions): string {
  return renderDocument({
    title: 'natprobe: the NAT in front of this browser',
    assets,
    script: 'page.js',
    place: '/',
    main: html`
      <h1>The NAT in front of this browser</h1>
      <section id="result" class="card" data-state="running" aria-labelledby="verdict">
        <p class="headline"><output id="verdict" aria-live="polite">Measuring …</output></p>
        <p id="step" class="faint"></p>
        <div id="explanation"></div>
        <p class="actions"><button id="again" type="button">Measure again</button></p>
        <noscript
          ><p>
            Measuring takes JavaScript and WebRTC. From a terminal it takes neither: see below.
          </p></noscript
        >
      </section>
      <section id="passages" hidden aria-labelledby="passages-title">
        <h2 id="passages-title">Which packets came through</h2>
        <p>
          The server has up to four endpoints: two addresses with two ports each. One socket of the browser
          sends to all of them; another one sends to the first alone, and the others send to it unasked.
        </p>
        <div id="drawing"></div>
      </section>
      <section aria-labelledby="peers-title">
        <h2 id="peers-title">With each kind of peer</h2>
        <p>
          Whether two programs can open a direct path (a hole punch), by the best way that natprobe knows:
          both sides sending at once, or guessing ports as well, or one side asking the other to begin.
          Predicted from how NATs behave, not counted.
        </p>
        <p id="punching"></p>
        ${renderMatrix(MATRIX_TYPES.map((type) => renderMatrixRow(type, outcomesOf(type))))}
      </section>
      <section aria-labelledby="rest-title">
        <h2 id="rest-title">The rest, from a terminal</h2>
        <p>
          A browser shows one family and two axes of a NAT. <code>natprobe</code> measures what else it does.
        </p>
        <dl class="commands">
          ${commandsFor(stunServer).map(
            ([command, purpose]) =>
              html`<div>
                <dt><code>${command}</code></dt>
                <dd>${purpose}</dd>
              </div>`,
          )}
        </dl>
      </section>
    `,
  });
}

function commandsFor(server: string): readonly (readonly [string, string])[] {
  return [
    [`natprobe --server ${server}`, 'the same verdict, over IPv4 and IPv6, in a few round trips'],
    [
      `natprobe --full --server ${server}`,
      'also how ports are picked, TCP, fragments, rewritten payloads, and how many NATs there are',
    ],
    [`natprobe lifetime --server ${server}`, 'how long a mapping lives without traffic'],
    [`natprobe --report --server ${server}`, 'hands the report to this server and prints its address'],
    [`natprobe preflight symmetric --server ${server}`, 'go or no-go for a punch to such a peer'],
  ];
}

/** As `natprobe predict` says. */
function outcomesOf(type: string): Outcomes {
  const own = parseBehaviour(type);
  return Object.fromEntries(MATRIX_TYPES.map((peer) => [peer, predict(own, parseBehaviour(peer))]));
}
