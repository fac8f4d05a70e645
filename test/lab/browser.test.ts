/** The page in real browsers behind kernel NATs: it shows the right verdict, quickly, and under loss. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { missingPrograms } from '../support/system-programs.ts';
import { type LabBrowser, startChromium, startFirefox } from './browsers.ts';
import { openInternet, SERVER_ADDRESSES, type Internet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { startNatprobedOn } from './natprobe.ts';
import { labNat } from './nats.ts';

/** Done when: the median visitor sees the verdict within this, from the request for the page on. */
const VERDICT_LIMIT_MS = 1000;
const BLOCKED_LIMIT_MS = 3000;
const RUNS = 5;
/** The time is the machine's as well, which may be busy for a while. */
const SERIES = 4;
const LOSSES = [0, 5];
const HTTP_PORT = 8478;

const NATS = [
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

interface Shown {
  readonly type?: string;
  readonly mapping?: string;
  readonly filtering?: string;
  readonly error?: string;
}

interface Visit {
  readonly shown: Shown;
  readonly reasons: string;
  /** From the request for the page on. */
  readonly verdictMs: number;
}

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

const { primary, alternate } = SERVER_ADDRESSES.ipv4;
const PAGE = `http://${primary}:${HTTP_PORT}/`;

const BROWSERS = [
  { title: 'Chromium', program: 'chromium', start: startChromium },
  { title: 'Firefox', program: 'firefox-esr', start: startFirefox },
];

for (const { title, program, start } of BROWSERS) {
  describeIf(labMissing(), missingPrograms(program))(`the page in ${title}`, () => {
    let internet: Internet;

    beforeAll(async () => {
      internet = await openPageServer();
    });

    afterAll(async () => {
      await internet.close();
    });

    for (const name of NATS) {
      it(
        `shows what ${name} is, in time, at ${LOSSES.join(' and ')} % loss`,
        { timeout: 400_000 },
        async () => {
          const site = await internet.attach(labNat(name));
          const browser = await start(site.client);
          try {
            for (const loss of LOSSES) await showsTruth(site, browser, loss);
          } finally {
            await browser.close();
            await site.close();
          }
        },
      );
    }
  });
}

describeIf(labMissing(), missingPrograms('chromium'))('what is no NAT', () => {
  let internet: Internet;

  beforeAll(async () => {
    internet = await openPageServer();
  });

  afterAll(async () => {
    await internet.close();
  });

  it('a policy that keeps WebRTC from UDP is said to be that, and not blocked UDP', async () => {
    const site = await internet.attach(labNat('port-restricted-cone'));
    const browser = await startChromium(site.client, ['--webrtc-ip-handling-policy=disable_non_proxied_udp']);
    try {
      const { shown, reasons } = await visit(browser);
      expect(shown.type).toBe('inconclusive');
      expect(reasons).toContain('the browser gave WebRTC no address to send from');
    } finally {
      await browser.close();
      await site.close();
    }
  });

  it('a browser on the server’s own machine is open', async () => {
    const browser = await startChromium(internet.server);
    try {
      const { shown } = await visit(browser);
      expect(shown).toEqual({ type: 'open', mapping: 'none', filtering: 'endpoint-independent' });
    } finally {
      await browser.close();
    }
  });
});

async function openPageServer(): Promise<Internet> {
  const internet = await openInternet();
  // All visits come from a few addresses.
  const http = ['--http', `${primary}:${HTTP_PORT}`, '--no-rate-limit'];
  await startNatprobedOn(internet.server, ['--ip', primary, '--alt-ip', alternate], http);
  return internet;
}

async function visit(browser: LabBrowser): Promise<Visit> {
  return JSON.parse(await browser.visit(PAGE, READ_VISIT)) as Visit;
}

/** Every verdict has to be right, and the median of one series quick. */
async function showsTruth(site: Site, browser: LabBrowser, loss: number): Promise<void> {
  const { type, mapping, filtering } = site.nat.truth.ipv4;
  const limitMs = type === 'udp-blocked' ? BLOCKED_LIMIT_MS : VERDICT_LIMIT_MS;
  const medians: number[] = [];
  await site.setLoss(loss);
  do {
    const timesMs: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      await site.forget();
      const { shown, verdictMs } = await visit(browser);
      expect(shown, `${site.nat.name} at ${loss} %`).toEqual({ type, mapping, filtering });
      timesMs.push(verdictMs);
    }
    medians.push(timesMs.toSorted((a, b) => a - b)[Math.floor(RUNS / 2)]!);
  } while (medians.at(-1)! >= limitMs && medians.length < SERIES);
  expect(Math.min(...medians), `at ${loss} %: ${medians.join(', ')}`).toBeLessThan(limitMs);
}
