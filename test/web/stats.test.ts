/** The page of statistics in Chromium: a chart from the server's own counts, and tables beside it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSample, SAMPLE_NAMES } from '../http/app.ts';
import { describeIf } from '../support/requirements.ts';
import { chromiumMissing, findBarriers, openStage, type Stage } from './pages.ts';

const PHONE = { width: 390, height: 844 };

describeIf(chromiumMissing())('the page of statistics', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  }, 60_000);
  afterAll(() => stage.close());

  it('says so where nothing was measured', async () => {
    const { page, complaints, close } = await stage.open('/stats');
    expect(await page.textContent('main p')).toContain('0 reports');
    expect(await page.locator('canvas').count()).toBe(0);
    expect(complaints).toEqual([]);
    await close();
  });

  it.each(['light', 'dark'] as const)(
    'in %s colours draws the days, and has no barrier',
    async (colorScheme) => {
      for (const name of SAMPLE_NAMES)
        await fetch(`${stage.base}/classify`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(readSample(name)),
        });
      const options = { colorScheme, viewport: PHONE };
      const { page, complaints, asked, close } = await stage.open('/stats', options);
      await page.locator('#days-chart canvas').waitFor();
      expect(await page.getByRole('table').first().getByRole('rowheader').allTextContents()).toEqual(
        expect.arrayContaining(['symmetric', 'UDP blocked', 'port-restricted cone']),
      );
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(PHONE.width);
      expect(complaints).toEqual([]);
      expect([...asked]).toEqual([stage.base]);
      await close();
      const free = await stage.open('/stats', { ...options, bypassCSP: true });
      await free.page.locator('#days-chart canvas').waitFor();
      expect(await findBarriers(free.page)).toEqual([]);
      await free.close();
    },
  );
});
