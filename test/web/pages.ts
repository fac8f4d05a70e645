/** A natprobed on loopback whose pages a real browser looks at. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { reportBrowser } from '../../server/ice/browser-report.ts';
import { assessPunchability } from '../../server/http/punchability.ts';
import { formatEndpoint } from '../../shared/endpoint.ts';
import { classifyBrowserIn } from '../sim/browser.ts';
import { buildWorld, type Scenario } from '../sim/scenario.ts';
import { launchChromium } from '../support/chromium.ts';
import { missingPrograms, programPath } from '../support/system-programs.ts';
import { startOnLoopback } from '../unit/server/loopback.ts';

export const chromiumMissing = (): string | undefined => missingPrograms('chromium');

/** `http://127.0.0.1:8478` */
type Base = string;

export interface Stage {
  readonly base: Base;
  open(path: string, options?: OpenOptions): Promise<Visit>;
  close(): Promise<void>;
}

export interface OpenOptions extends BrowserContextOptions {
  /** Before anything is loaded. */
  readonly prepare?: (page: Page) => Promise<unknown>;
}

export interface Visit {
  readonly page: Page;
  /** What the browser complained of: scripts that failed, and what the policy kept out. */
  readonly complaints: readonly string[];
  /** Whom the page asked, by origin. */
  readonly asked: ReadonlySet<string>;
  readonly close: () => Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const { server } = await startOnLoopback({ http: { host: '127.0.0.1', port: 0, required: true } });
  const browser: Browser = await launchChromium(programPath('chromium')!);
  const base = `http://${formatEndpoint(server.http!)}`;
  return {
    base,
    async open(path, { prepare, ...options } = {}) {
      const context = await browser.newContext(options);
      const page = await context.newPage();
      const complaints: string[] = [];
      const asked = new Set<string>();
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('request', (request) => asked.add(new URL(request.url()).origin));
      await prepare?.(page);
      await page.goto(base + path);
      return { page, complaints, asked, close: () => context.close() };
    },
    async close() {
      await browser.close();
      await server.stop();
    },
  };
}

/** Waits for the page's verdict, or for why there is none. */
export async function verdictOn(page: Page): Promise<Record<string, string>> {
  const verdict = page.locator('#verdict[data-type], #verdict[data-error]');
  await verdict.waitFor();
  return verdict.evaluate(({ dataset }) => ({ ...(dataset as object) }));
}

/** Lets the page measure in the simulator: the server's answers are those to a browser behind such a NAT. */
export async function pretendNat(page: Page, scenario: Scenario): Promise<void> {
  const { evidence } = classifyBrowserIn(buildWorld(scenario, { seed: 1, rttMs: 20 }), 20);
  const report = reportBrowser(evidence, new Date('2026-01-31T12:00:00Z'));
  const { verdict } = report;
  const answer = { id: 'x', url: '/classify/x', verdict, report, punchability: assessPunchability(report) };
  await page.addInitScript(WITHOUT_PEER);
  await page.route('**/classify/browser', (route) =>
    route.fulfill({ status: 201, json: { id: 'x', filtering: '', mapping: ['', ''] } }),
  );
  await page.route('**/classify/browser/x', (route) => route.fulfill({ status: 201, json: answer }));
}

/** There is no peer: the answers to the offers are as empty as the statistics. */
const WITHOUT_PEER = `
  RTCPeerConnection.prototype.setRemoteDescription = async () => {};
  RTCPeerConnection.prototype.getStats = async () => new Map([
    ['pair', { id: 'pair', type: 'candidate-pair', state: 'succeeded', localCandidateId: 'local' }],
    ['local', { id: 'local', type: 'local-candidate', candidateType: 'prflx' }],
  ]);`;

/** What axe-core finds wrong with the page, each with the first element that it is wrong with. */
export async function findBarriers(page: Page): Promise<string[]> {
  const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(source);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ''}`);
  });
}
