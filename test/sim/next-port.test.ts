/** Where the next mapping towards a new endpoint is said to be, from the evidence of a ports inquiry. */
import { describe, expect, it } from 'vitest';
import { planPorts } from '../../probe/classify/inquiries/ports.ts';
import { assessAxes, describeAxes } from '../../shared/nat/axes.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import { assessNextPort, describeNextPort, type NextPort } from '../../shared/nat/next-port.ts';
import { PREDICTED_SHARE, assessPorts } from '../../shared/nat/ports.ts';
import { inquireIn } from './inquire.ts';
import type { Dependence } from './nat.ts';
import type { PortAllocation } from './ports.ts';
import { buildWorld } from './scenario.ts';

function evidenceOf(mapping: Dependence, ports: PortAllocation): readonly Evidence[] {
  const truth = { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' } as const;
  const layers = [{ kind: 'nat', behaviour: { mapping, filtering: 'endpoint-independent', ports } }] as const;
  const world = buildWorld({ name: 'next port', family: 'ipv4', layers, truth }, { seed: 1, rttMs: 20 });
  return inquireIn(world, planPorts({ server: world.server.primary })).result!.evidence;
}

function nextPortOf(mapping: Dependence, ports: PortAllocation): NextPort {
  const evidence = evidenceOf(mapping, ports);
  return assessNextPort(assessPorts(evidence), evidence)!;
}

describe('the port of a mapping towards a new endpoint', () => {
  it('is the one that a socket has, where mappings are kept', () => {
    const next = nextPortOf('endpoint-independent', { kind: 'random' });
    expect(next).toMatchObject({ count: 1, ports: [{ first: next.ownPort, last: next.ownPort }] });
    expect(next.probability).toBeGreaterThan(PREDICTED_SHARE);
    expect(describeNextPort(next)).toMatch(/will be the one that it has \(9\d %\)$/);
  });

  it('is close above the last one, where they are counted', () => {
    const next = nextPortOf('address-and-port-dependent', { kind: 'sequential', first: 5000, delta: 1 });
    expect(next.count).toBeLessThan(8);
    expect(next.ports[0]!.first).not.toBe(next.ownPort);
  });

  it('is anywhere, where they are drawn', () => {
    const next = nextPortOf('address-and-port-dependent', { kind: 'random' });
    expect(next.count).toBeGreaterThan(50_000);
    expect(describeNextPort(next)).toMatch(/can be any from \d+ to \d+$/);
  });

  it('is not said of a socket that nobody saw', () => {
    const evidence = evidenceOf('endpoint-independent', { kind: 'random' });
    const unseen = evidence.map((item) => (item.kind === 'binding' ? { ...item, replies: [] } : item));
    expect(assessNextPort(assessPorts(unseen), unseen)).toBeUndefined();
  });
});

it('rows say what is not known with the reason, and nothing of ports where nothing translates', () => {
  const ports = evidenceOf('endpoint-independent', { kind: 'random' });
  const unseen = ports.map((item) => (item.kind === 'binding' ? { ...item, replies: [] } : item));
  const rows = describeAxes(assessAxes({ ports: unseen }, ports));
  expect(rows.find(({ label }) => label === 'Ports')?.sentences).toEqual([
    'unknown: no server answered the port tests',
  ]);
  expect(rows.find(({ label }) => label === 'Collisions')?.sentences).toEqual([
    'unknown: it takes a second inside address (--also) to tell',
  ]);
  const untranslated = describeAxes({
    ...assessAxes({ ports }, ports),
    layers: { value: 'none', confidence: 1, reasons: [], atLeast: 0, otherInterfaces: [], portMappers: [] },
  });
  const labels = untranslated.map(({ label }) => label);
  expect(labels).toContain('Layers');
  expect(labels.filter((label) => /Ports|Addresses|Collisions/.test(label))).toEqual([]);
});
