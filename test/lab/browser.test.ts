/** The page in a real browser behind kernel NATs: it shows the right verdict, quickly, and under loss. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Browser } from 'playwright-core';
import { describeIf } from '../support/requirements.ts';
import { missingPrograms } from '../support/system-programs.ts';
import { startChromium } from './browsers.ts';
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
  /** From the request for the page on. */
  readonly verdictMs: number;
}

/** The page's verdict, once it is there. */
const SHOWN = '#verdict[data-type], #verdict[data-error]';
const READ_VISIT = `({
  shown: { ...document.querySelector('${SHOWN}').dataset },
  verdictMs: performance.getEntriesByName('verdict')[0]?.startTime ?? 0,
})`;

const { primary, alternate } = SERVER_ADDRESSES.ipv4;
const PAGE = `http://${primary}:${HTTP_PORT}/`;

describeIf(labMissing(), missingPrograms('chromium'))('the page in Chromium', () => {
  let internet: Internet;

  beforeAll(async () => {
    internet = await openInternet();
    const http = ['--http', `${primary}:${HTTP_PORT}`];
    await startNatprobedOn(internet.server, ['--ip', primary, '--alt-ip', alternate], http);
  });

  afterAll(async () => {
    await internet.close();
  });

  for (const name of NATS) {
    it(
      `shows what ${name} is, in time, at ${LOSSES.join(' and ')} % loss`,
      { timeout: 240_000 },
      async () => {
        const site = await internet.attach(labNat(name));
        const chromium = await startChromium(site.client);
        try {
          for (const loss of LOSSES) await showsTruth(site, chromium.browser, loss);
        } finally {
          await chromium.close();
          await site.close();
        }
      },
    );
  }
});

/** Every verdict has to be right, and the median of one series quick. */
async function showsTruth(site: Site, browser: Browser, loss: number): Promise<void> {
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

async function visit(browser: Browser): Promise<Visit> {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(PAGE);
    await page.locator(SHOWN).waitFor({ timeout: 20_000 });
    return await page.evaluate<Visit>(READ_VISIT);
  } finally {
    await context.close();
  }
}
