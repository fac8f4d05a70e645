/** The page at `/`, in Chromium: what it shows, to whom it talks, and whether everybody can use it. */
import type { Locator } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BLOCKED, NINE_CELLS, OPEN } from '../sim/cells.ts';
import { describeIf } from '../support/requirements.ts';
import { chromiumMissing, findBarriers, openStage, pretendNat, type Stage, verdictOn } from './pages.ts';

const PORT_RESTRICTED = NINE_CELLS.find(({ truth }) => truth.type === 'port-restricted-cone')!;
const SYMMETRIC = NINE_CELLS.find(({ truth }) => truth.mapping === 'address-and-port-dependent')!;
/** What of the browser's own types is needed here, where these are not known. */
interface Selectable {
  matches(selector: string): boolean;
}

/** Hands each text of the line that tells how far it is to `tell`. */
const TELL_STEPS = `addEventListener('DOMContentLoaded', () => {
  const step = document.getElementById('step');
  new MutationObserver(() => tell(step.textContent)).observe(step, { childList: true });
});`;
const PHONE = { width: 390, height: 844 };

describeIf(chromiumMissing())('the page at /', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  }, 60_000);
  afterAll(() => stage.close());

  it('measures this machine, talks to nobody else, and says nothing amiss on the console', async () => {
    const { page, complaints, asked, close } = await stage.open('/');
    expect(await verdictOn(page)).toEqual({
      type: 'open',
      mapping: 'none',
      filtering: 'endpoint-independent',
    });
    expect(await page.textContent('#verdict')).toBe('NAT type: open');
    expect(await page.getAttribute('tr[aria-current]', 'data-type')).toBe('open');
    await page.getByRole('button', { name: 'Measure again' }).click();
    expect(await verdictOn(page)).toMatchObject({ type: 'open' });
    expect(complaints).toEqual([]);
    expect([...asked]).toEqual([stage.base]);
    await close();
  });

  it('draws what came through, and marks the row of the type', async () => {
    const { page, complaints, close } = await stage.open('/', {
      prepare: (opened) => pretendNat(opened, PORT_RESTRICTED),
    });
    expect(await verdictOn(page)).toMatchObject({ type: 'port-restricted-cone' });
    const pictures = page.getByRole('img');
    expect(await pictures.count()).toBe(2);
    expect(await pictures.nth(0).locator('.wire.seen-0').count()).toBe(4);
    expect(await pictures.nth(1).locator('.wire.heard').count()).toBe(1);
    expect(await pictures.nth(1).locator('.wire.stopped').count()).toBe(2);
    const rows = page.locator('tr[aria-current]');
    expect(await rows.count()).toBe(1);
    expect(await rows.locator('th').innerText()).toMatch(/^port-restricted cone\s+you$/);
    expect(complaints).toEqual([]);
    await close();
  });

  it('draws a symmetric NAT as many public endpoints, and a blocked network as none', async () => {
    const symmetric = await stage.open('/', { prepare: (opened) => pretendNat(opened, SYMMETRIC) });
    expect(await verdictOn(symmetric.page)).toMatchObject({ type: 'symmetric' });
    const wires = symmetric.page.getByRole('img').first().locator('.wire');
    expect(new Set(await classesOf(wires)).size).toBe(4);
    await symmetric.close();

    const blocked = await stage.open('/', { prepare: (opened) => pretendNat(opened, BLOCKED[0]!) });
    expect(await verdictOn(blocked.page)).toMatchObject({ type: 'udp-blocked' });
    expect(await blocked.page.getByRole('img').first().locator('.wire.stopped').count()).toBe(4);
    await blocked.close();
  });

  it('can be used by keyboard alone', async () => {
    const { page, close } = await stage.open('/', { prepare: (opened) => pretendNat(opened, OPEN) });
    await verdictOn(page);
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the content');
    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement.id')).toBe('main');
    const again = page.getByRole('button', { name: 'Measure again' });
    const hasFocus = (): Promise<boolean> => again.evaluate((one: Selectable) => one.matches(':focus'));
    for (let steps = 0; steps < 10 && !(await hasFocus()); steps++) await page.keyboard.press('Tab');
    const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineWidth');
    expect(Number.parseFloat(outline)).toBeGreaterThanOrEqual(2);
    await page.evaluate(`document.getElementById('verdict').dataset.type = 'stale'`);
    await page.keyboard.press('Enter');
    await page.locator('#verdict[data-type=open]').waitFor();
    expect(await hasFocus()).toBe(true);
    await close();
  });

  const failures: [string, string, string][] = [
    ['ERR_BROWSER_SESSIONS', 'The server is busy', '429'],
    ['ERR_NOT_READY', 'The server can’t measure now', '503'],
    ['ERR_NO_BROWSER_SESSION', 'The server took too long', '404'],
  ];
  it.each(failures)('says what %s means', async (code, headline, status) => {
    const problem = { code, detail: 'the detail', remedy: 'the remedy' };
    const { page, close } = await stage.open('/', {
      prepare: (opened) =>
        opened.route('**/classify/browser', (route) =>
          route.fulfill({ status: Number(status), json: problem }),
        ),
    });
    expect(await verdictOn(page)).toEqual({ error: code });
    expect(await page.textContent('#verdict')).toBe(headline);
    await close();
  });

  it('speaks again where the server asks it to, and says so meanwhile', async () => {
    const steps: string[] = [];
    let asked = 0;
    const { page, complaints, close } = await stage.open('/', {
      prepare: async (opened) => {
        await opened.exposeFunction('tell', (step: string) => steps.push(step));
        await opened.addInitScript(TELL_STEPS);
        await pretendNat(opened, PORT_RESTRICTED);
        await opened.route('**/classify/browser/x', (route) => {
          asked++;
          return asked <= 2
            ? route.fulfill({ status: 202, json: { id: 'x', awaits: 'pair' } })
            : route.fallback();
        });
      },
    });
    expect(await verdictOn(page)).toMatchObject({ type: 'port-restricted-cone' });
    expect(asked).toBe(3);
    expect(steps).toContain('The server is slow to answer, and is waited for …');
    expect(await page.textContent('#step')).toBe('');
    expect(complaints).toEqual([]);
    await close();
  });

  it('waits for a server that does not answer, says so, and gives up after twenty seconds', async () => {
    const { page, close } = await stage.open('/', {
      prepare: async (opened) => {
        await pretendNat(opened, PORT_RESTRICTED);
        await opened.route('**/classify/browser/x', () => undefined);
        await opened.clock.install();
      },
    });
    await page.getByText('Judging what came through …').waitFor();
    await page.clock.runFor(2000);
    await page.getByText('The server is slow to answer').waitFor();
    expect(await page.getAttribute('#result', 'data-state')).toBe('running');
    await page.clock.runFor(18_000);
    expect(await verdictOn(page)).toEqual({ error: 'unfinished' });
    expect(await page.textContent('#verdict')).toBe('The server took too long');
    expect(await page.textContent('#explanation')).toContain('Measure again');
    await close();
  });

  it('says that the server is gone, and that WebRTC is off', async () => {
    const gone = await stage.open('/', {
      prepare: (opened) => opened.route('**/classify/browser', (route) => route.abort()),
    });
    expect(await verdictOn(gone.page)).toEqual({ error: 'failed' });
    await gone.close();
    const off = await stage.open('/', {
      prepare: (opened) => opened.addInitScript('delete globalThis.RTCPeerConnection'),
    });
    expect(await verdictOn(off.page)).toEqual({ error: 'webrtc-missing' });
    expect(await off.page.textContent('#verdict')).toBe('WebRTC is off in this browser');
    await off.close();
  });

  describe.each(['light', 'dark'] as const)('in %s colours', (colorScheme) => {
    it('has no barrier that axe knows, and fits a phone', async () => {
      const { page, close } = await stage.open('/', {
        colorScheme,
        viewport: PHONE,
        bypassCSP: true,
        prepare: (opened) => pretendNat(opened, PORT_RESTRICTED),
      });
      await verdictOn(page);
      expect(await findBarriers(page)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(PHONE.width);
      await close();
    });
  });
});

async function classesOf(elements: Locator): Promise<(string | null)[]> {
  return Promise.all((await elements.all()).map((element) => element.getAttribute('class')));
}
