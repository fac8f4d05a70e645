import { describe, expect, it } from 'vitest';
import {
  LINUX_ROUTERS,
  LINUX_WITH_DROP,
  LINUX_WITHOUT_DROP,
  NINE_CELLS,
  PASSING,
  WITHOUT_NAT,
} from './cells.ts';
import { classifyIn, describeAnswer, describeRun, verdictOf } from './classify.ts';
import { startCrossTraffic } from './cross-traffic.ts';
import { Host } from './host.ts';
import { buildWorld } from './scenario.ts';

const LOCAL_PORT = 40_000;
const RUNS = 100;

describe('a hundred runs in one network on one local port give one verdict', () => {
  for (const gapMs of [0, 700, 20_000]) {
    it(`${gapMs} ms apart`, () => {
      for (const scenario of [...LINUX_ROUTERS, ...NINE_CELLS, ...WITHOUT_NAT]) {
        const world = buildWorld(scenario, { seed: 1, rttMs: 20 });
        const answers = new Set<string>();
        for (let run = 0; run < RUNS; run += 1) {
          answers.add(describeRun(classifyIn(world, { localPort: LOCAL_PORT })));
          world.network.run(world.network.now + gapMs);
        }
        expect([...answers], scenario.name).toEqual([describeAnswer(scenario.truth)]);
      }
    });
  }

  it('also at 20 % loss behind a Linux router', () => {
    const rough = { loss: { kind: 'independent', probability: 0.2 } } as const;
    for (const scenario of [LINUX_WITH_DROP, LINUX_WITHOUT_DROP]) {
      const world = buildWorld(scenario, { seed: 1, rttMs: 20, rough });
      const answers = new Set<string>();
      for (let run = 0; run < RUNS; run += 1) {
        answers.add(describeRun(classifyIn(world, { localPort: LOCAL_PORT })));
      }
      expect([...answers], scenario.name).toEqual([describeAnswer(scenario.truth)]);
    }
  });
});

describe('other flows through the same box', () => {
  it('that take ports in between change nothing', () => {
    for (const scenario of PASSING.filter(({ layers, family }) => layers.length > 0 && family === 'ipv4')) {
      const world = buildWorld(scenario, { seed: 1, rttMs: 100 });
      const isPublic = scenario.truth.mapping === 'none';
      const neighbour = new Host(world.lan, [isPublic ? '203.0.113.101' : '10.0.0.3']);
      startCrossTraffic(neighbour, 500);
      world.network.run(100);
      expect(describeRun(classifyIn(world)), scenario.name).toBe(describeAnswer(scenario.truth));
    }
  });

  it('that hold the own port towards one endpoint of the server are told as a collision', () => {
    for (const scenario of [LINUX_WITH_DROP, LINUX_WITHOUT_DROP]) {
      const world = buildWorld(scenario, { seed: 1, rttMs: 20 });
      const neighbour = new Host(world.lan, ['10.0.0.3']);
      const held = neighbour.openSocket(
        { address: '10.0.0.3', port: LOCAL_PORT },
        { onDatagram: () => undefined },
      );
      held!.send(world.server.endpoints[3]!, new Uint8Array(1));
      world.network.run(100);
      const run = classifyIn(world, { localPort: LOCAL_PORT });
      expect(describeRun(run), scenario.name).toBe(describeAnswer(scenario.truth));
      expect(verdictOf(run)!.reasons.map(({ code }) => code)).toContain('mapping-collision');
    }
  });
});

describe('a local port that is taken', () => {
  it('is told to the machine', () => {
    const world = buildWorld(LINUX_WITH_DROP, { seed: 1, rttMs: 20 });
    const address = world.client.addressOf('ipv4')!;
    world.client.openSocket({ address, port: LOCAL_PORT }, { onDatagram: () => undefined });
    const run = classifyIn(world, { localPort: LOCAL_PORT });
    expect(describeRun(run)).toMatch(/^unreachable: .*EADDRINUSE/);
  });
});
