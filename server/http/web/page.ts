/** The page at `/`: measures as soon as it is there, says what was found, and draws it. */
import { toneOf, TYPE_NAMES } from '../../../shared/nat/names.ts';
import { passagesOf } from '../../../shared/nat/passages.ts';
import { describePunching, describeReach } from '../../../shared/punch/reach.ts';
import { renderPassages } from '../pages/drawing.ts';
import { html, type Html } from '../pages/html.ts';
import { renderMatrixRow } from '../pages/matrix.ts';
import { renderFindings } from '../pages/verdict.ts';
import {
  type BrowserClassification,
  type BrowserStep,
  classifyBrowser,
  ClassifyBrowserError,
} from './classify-browser.ts';
import { explainFailure, explainVerdict } from './explain.ts';

const STEPS: Readonly<Record<BrowserStep, string>> = {
  asking: 'Asking the server …',
  checking: 'Sending packets both ways …',
  judging: 'Judging what came through …',
  waiting: 'The server is slow to answer, and is waited for …',
};

const result = elementOf('result');
const verdict = elementOf('verdict');
const step = elementOf('step');
const explanation = elementOf('explanation');
const passages = elementOf('passages');
const drawing = elementOf('drawing');
const punching = elementOf('punching');
const matrix = elementOf('matrix');
const again = elementOf('again') as HTMLButtonElement;
/** Without anybody's row marked. */
const plainMatrix = [...matrix.children].map((row) => row.cloneNode(true));

again.addEventListener('click', () => void measure());
void measure();

async function measure(): Promise<void> {
  // Not disabled: that would take the focus from it.
  if (again.ariaDisabled === 'true') return;
  again.ariaDisabled = 'true';
  begin();
  try {
    show(await classifyBrowser({ onProgress: (begun) => (step.textContent = STEPS[begun]) }));
  } catch (error) {
    fail(error);
  } finally {
    step.textContent = '';
    again.ariaDisabled = 'false';
  }
}

function begin(): void {
  for (const name of ['type', 'mapping', 'filtering', 'error']) Reflect.deleteProperty(verdict.dataset, name);
  result.dataset['state'] = 'running';
  verdict.textContent = 'Measuring …';
  explanation.replaceChildren();
  passages.hidden = true;
  punching.textContent = '';
  matrix.replaceChildren(...plainMatrix.map((row) => row.cloneNode(true)));
}

function show({ verdict: found, report, url, punchability }: BrowserClassification): void {
  verdict.textContent = `NAT type: ${TYPE_NAMES[found.type]}`;
  verdict.dataset['mapping'] = found.mapping;
  verdict.dataset['filtering'] = found.filtering;
  // For whoever wants to know how long a visitor waits, from the request for the page on.
  performance.mark('verdict');
  // The last of them: who waits for it finds the others.
  verdict.dataset['type'] = found.type;
  result.dataset['state'] = toneOf(found.type);
  fill(
    explanation,
    html`<p>${explainVerdict(found) ?? describeReach(found)}</p>
      ${renderFindings(report)}
      <p><a href="${new URL(url, location.href).pathname}">The report, with its evidence</a></p>`,
  );
  const picture = renderPassages(passagesOf(report.evidence), { who: 'browser', verdict: found });
  if (picture !== undefined) fill(drawing, picture);
  passages.hidden = picture === undefined;
  punching.textContent = describePunching(found) ?? '';
  if (found.type === 'inconclusive') return;
  const row = fragmentOf(
    html`<table>
      <tbody>
        ${renderMatrixRow(found.type, punchability, 'you')}
      </tbody>
    </table>`,
  ).querySelector('tr')!;
  const own = matrix.querySelector(`tr[data-type="${found.type}"]`);
  if (own === null) matrix.prepend(row);
  else own.replaceWith(row);
}

function fail(error: unknown): void {
  const { headline, text } = explainFailure(error);
  verdict.textContent = headline;
  verdict.dataset['error'] = error instanceof ClassifyBrowserError ? error.code : 'failed';
  result.dataset['state'] = 'failed';
  fill(explanation, html`<p>${text}</p>`);
}

function fill(element: HTMLElement, content: Html): void {
  element.replaceChildren(fragmentOf(content));
}

function fragmentOf(content: Html): DocumentFragment {
  const template = document.createElement('template');
  template.innerHTML = content.toString();
  return template.content;
}

function elementOf(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element;
}
