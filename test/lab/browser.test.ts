/** The page in real browsers behind kernel NATs: it shows the right verdict, quickly, and under loss. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { missingPrograms } from '../support/system-programs.ts';
import { type LabBrowser, startChromium } from './browsers.ts';
import { type Internet, openInternet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { labNat } from './nats.ts';
import { BROWSERS, openPageServer, PAGE_NATS, startPageServer, truthOf, visit } from './pages.ts';

/** Done when: the median visitor sees the verdict within this, from the request for the page on. */
const VERDICT_LIMIT_MS = 1000;
const BLOCKED_LIMIT_MS = 3000;
/** `npm run bench:pages` makes hundreds. */
const RUNS = 3;
/** They take two seconds each, which is their end. */
const BLOCKED_RUNS = 1;
/** The time is the machine's as well, which may be busy for a while. */
const SERIES = 4;
const LOSSES = [0, 5];

for (const { title, program, start } of BROWSERS) {
  describeIf(labMissing(), missingPrograms(program))(`the page in ${title}`, () => {
    let internet: Internet;

    beforeAll(async () => {
      internet = await openPageServer();
    });

    afterAll(async () => {
      await internet.close();
    });

    for (const name of PAGE_NATS) {
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

/** Longer than the page waits for its browser, before the first packet. */
const STALL_MS = 2500;

describeIf(labMissing(), missingPrograms('chromium'))('a natprobed that stands still', () => {
  it(
    'from the moment that a browser is to begin is waited for, and the verdict is right',
    { timeout: 60_000 },
    async () => {
      const internet = await openInternet();
      const natprobed = await startPageServer(internet);
      const site = await internet.attach(labNat('port-restricted-cone'));
      const stalls: Promise<void>[] = [];
      const browser = await startChromium(site.client, [], async (page) => {
        await page.exposeFunction('standStill', () => {
          stalls.push(natprobed.standStill(STALL_MS));
        });
        await page.addInitScript(STAND_STILL_FIRST);
      });
      try {
        const { shown, verdictMs, reasons } = await visit(browser);
        expect(stalls).toHaveLength(1);
        expect(shown, reasons).toEqual(truthOf(site));
        expect(verdictMs).toBeGreaterThan(STALL_MS);
      } finally {
        await Promise.all(stalls);
        await browser.close();
        await site.close();
        await internet.close();
      }
    },
  );
});

/** The page's first connection gets its answer, and so begins, once `standStill` has been called. */
const STAND_STILL_FIRST = `{
  const { setRemoteDescription } = RTCPeerConnection.prototype;
  let stands;
  RTCPeerConnection.prototype.setRemoteDescription = async function (answer) {
    await (stands ??= standStill());
    return setRemoteDescription.call(this, answer);
  };
}`;

/** Every verdict has to be right, and the median of one series quick. */
async function showsTruth(site: Site, browser: LabBrowser, loss: number): Promise<void> {
  const truth = truthOf(site);
  const isBlocked = truth.type === 'udp-blocked';
  const limitMs = isBlocked ? BLOCKED_LIMIT_MS : VERDICT_LIMIT_MS;
  const runs = isBlocked ? BLOCKED_RUNS : RUNS;
  const medians: number[] = [];
  await site.setLoss(loss);
  do {
    const timesMs: number[] = [];
    for (let run = 0; run < runs; run++) {
      await site.forget();
      const { shown, verdictMs, reasons } = await visit(browser);
      expect(shown, `${site.nat.name} at ${loss} %: ${reasons}`).toEqual(truth);
      timesMs.push(verdictMs);
    }
    medians.push(timesMs.toSorted((a, b) => a - b)[Math.floor(runs / 2)]!);
  } while (medians.at(-1)! >= limitMs && medians.length < SERIES);
  expect(Math.min(...medians), `at ${loss} %: ${medians.join(', ')}`).toBeLessThan(limitMs);
}
