/** What is drawn of the evidence: the same packets, whether a probe or a browser measured. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatEndpoint } from '../../../shared/endpoint.ts';
import type { Evidence } from '../../../shared/nat/evidence.ts';
import { passagesOf } from '../../../shared/nat/passages.ts';
import type { Report } from '../../../shared/report/report.ts';
import { classifyBrowserIn } from '../../sim/browser.ts';
import { BLOCKED, NINE_CELLS } from '../../sim/cells.ts';
import { classifyIn } from '../../sim/classify.ts';
import { buildWorld, type Scenario } from '../../sim/scenario.ts';

const ENDPOINTS = ['192.0.2.1:3478', '192.0.2.1:3479', '192.0.2.2:3478', '192.0.2.2:3479'];

function measure(scenario: Scenario, who: 'probe' | 'browser'): readonly Evidence[] {
  const world = buildWorld(scenario, { seed: 7, rttMs: 20 });
  if (who === 'browser') return classifyBrowserIn(world, 20).evidence;
  return classifyIn(world).result!.evidence;
}

/** The endpoints from which packets came in, in the order drawn. */
function heardFrom(evidence: readonly Evidence[]): string[] {
  return passagesOf(evidence).in.flatMap(({ endpoint, heard }) => (heard ? [formatEndpoint(endpoint)] : []));
}

describe.each(['probe', 'browser'] as const)('what a %s saw', (who) => {
  it.each(NINE_CELLS.map((cell) => [cell.name, cell] as const))('of %s', (_, cell) => {
    const evidence = measure(cell, who);
    const { out } = passagesOf(evidence);
    expect(out.length).toBeGreaterThan(1);
    expect(out.every(({ seenAs }) => seenAs !== undefined)).toBe(true);
    const seen = new Set(out.map(({ seenAs }) => formatEndpoint(seenAs!)));
    if (cell.truth.mapping === 'endpoint-independent') expect(seen.size).toBe(1);
    else expect(seen.size).toBeGreaterThan(1);
    const heard = heardFrom(evidence);
    expect(heard[0]).toBe(ENDPOINTS[0]);
    expect(heard.includes(ENDPOINTS[3]!)).toBe(cell.truth.filtering === 'endpoint-independent');
    expect(heard.includes(ENDPOINTS[1]!)).toBe(cell.truth.filtering !== 'address-and-port-dependent');
  });

  it('where UDP is blocked: nothing came through', () => {
    const passages = passagesOf(measure(BLOCKED[0]!, who));
    expect(passages.out.length).toBeGreaterThan(0);
    expect(passages.out.every(({ seenAs }) => seenAs === undefined)).toBe(true);
    expect(passages.in.some(({ heard }) => heard)).toBe(false);
  });
});

it('counts what is known to have been sent and did not come in', () => {
  const file = new URL('../../vectors/reports/port-restricted-cone.json', import.meta.url);
  const { evidence } = JSON.parse(readFileSync(file, 'utf8')) as Report;
  const unasked = passagesOf(evidence).in.filter(({ asked, sent }) => !asked && sent > 0);
  expect(unasked.map(({ endpoint }) => formatEndpoint(endpoint))).toEqual([
    '203.0.113.10:3479',
    '203.0.113.20:3479',
  ]);
  for (const { sent, heard } of unasked) {
    expect(sent).toBeGreaterThanOrEqual(4);
    expect(heard).toBe(false);
  }
});

it('draws nothing of nothing', () => {
  expect(passagesOf([])).toEqual({ out: [], in: [] });
});
