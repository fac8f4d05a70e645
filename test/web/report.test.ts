/** A report's page in Chromium: drawn from the evidence that is kept, without a script. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSample } from '../http/app.ts';
import { describeIf } from '../support/requirements.ts';
import { chromiumMissing, findBarriers, openStage, type Stage } from './pages.ts';

const PHONE = { width: 390, height: 844 };

describeIf(chromiumMissing())('the page of a report', () => {
  let stage: Stage;
  let path: string;
  beforeAll(async () => {
    stage = await openStage();
    const posted = await fetch(`${stage.base}/classify`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(readSample('symmetric')),
    });
    path = posted.headers.get('location')!;
  }, 60_000);
  afterAll(() => stage.close());

  it.each(['light', 'dark'] as const)(
    'in %s colours has no barrier, and fits a phone',
    async (colorScheme) => {
      const options = { colorScheme, viewport: PHONE, bypassCSP: true };
      const { page, complaints, asked, close } = await stage.open(path, options);
      expect(await page.textContent('#verdict')).toBe('NAT type: symmetric');
      expect(await page.getByRole('img').count()).toBe(2);
      expect(await findBarriers(page)).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(PHONE.width);
      expect(complaints).toEqual([]);
      expect([...asked]).toEqual([stage.base]);
      await close();
    },
  );
});
