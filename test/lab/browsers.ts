/** Real browsers, headless, inside a namespace of the lab. */
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium, type Page } from 'playwright-core';
import { CHROMIUM_FLAGS } from '../support/chromium.ts';
import type { Namespace } from './namespaces.ts';

export interface LabBrowser {
  /**
   * Opens `url` in a window that knows nothing of earlier ones; resolves with the text that the
   * script, an expression, evaluates to in the page, or to which its promise resolves.
   */
  visit(url: string, script: string): Promise<string>;
  close(): Promise<void>;
}

/** Debian's Chromium with an empty profile; each window is prepared before anything is loaded. */
export async function startChromium(
  namespace: Namespace,
  flags: readonly string[] = [],
  prepare?: (page: Page) => Promise<unknown>,
): Promise<LabBrowser> {
  const { folder, remove } = makeFolder();
  // It is driven through pipes that it inherits, so that no network is needed for that.
  const wrapper = join(folder, 'chromium-in-namespace');
  writeFileSync(wrapper, `#!/bin/sh\nexec ${namespace.enter.join(' ')} chromium "$@"\n`);
  chmodSync(wrapper, 0o755);
  try {
    const browser = await chromium.launch({
      executablePath: wrapper,
      args: [...CHROMIUM_FLAGS, ...flags],
      env: { ...process.env, HOME: folder },
    });
    return {
      async visit(url, script) {
        const context = await browser.newContext();
        try {
          const page = await context.newPage();
          await prepare?.(page);
          await page.goto(url);
          return await page.evaluate<string>(script);
        } finally {
          await context.close();
        }
      },
      async close() {
        await browser.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

const FIREFOX_AGENT = fileURLToPath(new URL('firefox-agent.ts', import.meta.url));

/** Debian's Firefox ESR with an empty profile, driven from within the namespace by firefox-agent.ts. */
export async function startFirefox(namespace: Namespace): Promise<LabBrowser> {
  const { folder, remove } = makeFolder();
  const agent = namespace.spawn(process.execPath, [FIREFOX_AGENT, folder], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { HOME: folder },
  });
  let talk = '';
  agent.stderr!.setEncoding('utf8').on('data', (text: string) => (talk += text));
  const ended = once(agent, 'close');
  const lines = createInterface({ input: agent.stdout! })[Symbol.asyncIterator]();
  const nextLine = async (): Promise<string> => {
    const line = await lines.next();
    if (line.done === true) throw new Error(`Firefox ended: ${talk}`);
    return line.value;
  };
  await nextLine();
  return {
    async visit(url, script) {
      agent.stdin!.write(`${JSON.stringify({ url, script })}\n`);
      const answer = JSON.parse(await nextLine()) as { value?: string; error?: string };
      if (answer.value === undefined) throw new Error(`Firefox: ${answer.error ?? talk}`);
      return answer.value;
    },
    async close() {
      agent.stdin!.end();
      await ended;
      remove();
    },
  };
}

function makeFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-browser-'));
  // A browser that was just closed may still write into its profile.
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }) };
}
