/** Real browsers, headless, inside a namespace of the lab. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import type { Namespace } from './namespaces.ts';

/** Debian's. */
const CHROMIUM = 'chromium';

/** Nothing that would go anywhere but to the page's server. */
const CHROMIUM_FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface RunningBrowser {
  readonly browser: Browser;
  close(): Promise<void>;
}

/** Starts Chromium in `namespace`, with an empty profile. */
export async function startChromium(namespace: Namespace): Promise<RunningBrowser> {
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-browser-'));
  // It is driven through pipes that it inherits, so that no network is needed for that.
  const wrapper = join(folder, 'chromium-in-namespace');
  writeFileSync(wrapper, `#!/bin/sh\nexec ${namespace.enter.join(' ')} ${CHROMIUM} "$@"\n`);
  chmodSync(wrapper, 0o755);
  const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const browser = await chromium.launch({
      executablePath: wrapper,
      args: CHROMIUM_FLAGS,
      env: { ...process.env, HOME: folder },
    });
    return {
      browser,
      async close() {
        await browser.close();
        removeFolder();
      },
    };
  } catch (error) {
    removeFolder();
    throw error;
  }
}
