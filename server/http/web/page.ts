/** The page at `/`: measures as soon as it is there, and says what was found. */
import { type BrowserClassification, type BrowserStep, classifyBrowser } from './classify-browser.ts';

const STEPS: Readonly<Record<BrowserStep, string>> = {
  asking: 'Asking the server …',
  checking: 'Sending packets both ways …',
  judging: 'Judging what came through …',
};

const TYPE_NAMES: Readonly<Record<string, string>> = {
  open: 'open',
  'symmetric-firewall': 'symmetric firewall',
  'full-cone': 'full cone',
  'restricted-cone': 'restricted cone',
  'port-restricted-cone': 'port-restricted cone',
  symmetric: 'symmetric',
  cone: 'cone',
  'udp-blocked': 'UDP blocked',
  inconclusive: 'inconclusive',
};

const verdict = elementOf('verdict');
const reasons = elementOf('reasons');
const again = elementOf('again') as HTMLButtonElement;

again.addEventListener('click', () => void measure());
void measure();

async function measure(): Promise<void> {
  again.disabled = true;
  for (const name of ['type', 'mapping', 'filtering', 'error']) Reflect.deleteProperty(verdict.dataset, name);
  reasons.replaceChildren();
  try {
    show(
      await classifyBrowser({
        onProgress: (step) => {
          verdict.textContent = STEPS[step];
        },
      }),
    );
  } catch (error) {
    verdict.textContent = error instanceof Error ? error.message : String(error);
    verdict.dataset['error'] = (error as { code?: string }).code ?? 'failed';
  } finally {
    again.disabled = false;
  }
}

function show({ verdict: found, report, url }: BrowserClassification): void {
  verdict.textContent = `NAT type: ${TYPE_NAMES[found.type] ?? found.type}`;
  verdict.dataset['mapping'] = found.mapping;
  verdict.dataset['filtering'] = found.filtering;
  // For whoever wants to know how long a visitor waits, from the request for the page on.
  performance.mark('verdict');
  // The last of them: who waits for it finds the others.
  verdict.dataset['type'] = found.type;
  const lines = found.reasons.map(({ text }) => text);
  if (report.endpoints.mapped !== undefined) lines.unshift(`public endpoint ${report.endpoints.mapped}`);
  reasons.replaceChildren(...lines.map((text) => itemOf(text)), itemOf(linkTo(url)));
}

function itemOf(content: string | Node): HTMLLIElement {
  const item = document.createElement('li');
  item.append(content);
  return item;
}

function linkTo(url: string): HTMLAnchorElement {
  const link = document.createElement('a');
  link.href = url;
  link.textContent = 'the report, with its evidence';
  return link;
}

function elementOf(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no #${id}`);
  return element;
}
