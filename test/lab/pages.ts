/** Visits to natprobed's page by real browsers behind kernel NATs. */
import { type LabBrowser, startChromium, startFirefox } from './browsers.ts';
import { type Internet, openInternet, SERVER_ADDRESSES, type Site } from './internet.ts';
import { type RunningServer, startNatprobedOn } from './natprobe.ts';

/** One of each kind that the page tells apart. */
export const PAGE_NATS = [
  'open',
  'firewall',
  'full-cone',
  'restricted-cone',
  'port-restricted-cone',
  'symmetric-random',
  'adm-adf',
  'symmetric-eif',
  'udp-blocked',
];

export const BROWSERS = [
  { title: 'Chromium', program: 'chromium', start: startChromium },
  { title: 'Firefox', program: 'firefox-esr', start: startFirefox },
];

export interface Shown {
  readonly type?: string;
  readonly mapping?: string;
  readonly filtering?: string;
  readonly error?: string;
}

export interface Visit {
  readonly shown: Shown;
  readonly reasons: string;
  /** From the request for the page on. */
  readonly verdictMs: number;
}

const HTTP_PORT = 8478;
const { primary, alternate } = SERVER_ADDRESSES.ipv4;
const PAGE = `http://${primary}:${HTTP_PORT}/`;

/** Waits for the page's verdict; a Visit, as JSON. */
const READ_VISIT = `new Promise((resolve) => {
  const look = () => {
    const shown = document.querySelector('#verdict[data-type], #verdict[data-error]');
    if (shown === null) return setTimeout(look, 20);
    const [mark] = performance.getEntriesByName('verdict');
    const reasons = document.querySelector('#reasons')?.innerText ?? '';
    resolve(JSON.stringify({ shown: { ...shown.dataset }, reasons, verdictMs: mark?.startTime ?? 0 }));
  };
  look();
})`;

/** A lab with a natprobed that serves the page. */
export async function openPageServer(): Promise<Internet> {
  const internet = await openInternet();
  await startPageServer(internet);
  return internet;
}

/** The natprobed of such a lab. */
export function startPageServer(internet: Internet): Promise<RunningServer> {
  // All visits come from a few addresses.
  const http = ['--http', `${primary}:${HTTP_PORT}`, '--no-rate-limit'];
  return startNatprobedOn(internet.server, ['--ip', primary, '--alt-ip', alternate], http);
}

/** One visit. */
export async function visit(browser: LabBrowser): Promise<Visit> {
  return JSON.parse(await browser.visit(PAGE, READ_VISIT)) as Visit;
}

/** What the page has to show behind the site's NAT. */
export function truthOf({ nat }: Site): Shown {
  const { type, mapping, filtering } = nat.truth.ipv4;
  return { type, mapping, filtering };
}
