/** Witnesses and services asked for along with a classification: what comes, and that it changes nothing. */
import { describe, expect, it } from 'vitest';
import { WitnessMaker } from '../../server/answer/witness.ts';
import { checkWitnesses } from '../../server/witness/check-witnesses.ts';
import { WitnessKeys, witnessKeyOf } from '../../server/witness/witness-keys.ts';
import { ALL_CELLS, BLOCKED, IPV6, LINUX_ROUTERS } from './cells.ts';
import { classifyIn, describeRun, markRun } from './classify.ts';
import { type Conditions, type Scenario, buildWorld } from './scenario.ts';

const KEYS = new WitnessKeys(witnessKeyOf(new Uint8Array(32).fill(3)));
const NONCE = new Uint8Array(16).fill(9);
const NOW_MS = Date.UTC(2026, 0, 2);
const GIVES = {
  witness: new WitnessMaker(KEYS, () => NOW_MS),
  service: { scheme: 'https', port: 8443 },
} as const;
const ENCLOSURES = { witness: { purpose: 'report', nonce: NONCE }, service: true } as const;

function conditions(seed: number, more: Partial<Conditions> = {}): Conditions {
  return { seed, rttMs: 20, ...more, server: { gives: GIVES, ...more.server } };
}

function run(scenario: Scenario, under: Conditions) {
  const world = buildWorld(scenario, under);
  const asked = classifyIn(world, { enclosures: ENCLOSURES });
  const { enclosures, evidence = [] } = asked.result ?? {};
  const witnesses = { nonce: Buffer.from(NONCE).toString('hex'), given: enclosures?.witnesses ?? [] };
  return { asked, enclosures, witnessed: checkWitnesses(witnesses, evidence, KEYS, NOW_MS), world };
}

const LOSSY = { rough: { loss: { kind: 'independent', probability: 0.1 } } } as const;

describe('a classification that asks for witnesses', () => {
  it.each([...ALL_CELLS, ...LINUX_ROUTERS, ...IPV6])(
    '$name: has all of its mapping evidence witnessed',
    (scenario) => {
      for (const under of [conditions(1), conditions(2, LOSSY)]) {
        const { asked, witnessed, enclosures } = run(scenario, under);
        expect([scenario.name, witnessed]).toEqual([scenario.name, true]);
        expect(markRun(asked, scenario.truth)).not.toBe('wrong');
        expect(enclosures?.services[0]).toMatchObject({ scheme: 'https', port: 8443 });
      }
    },
  );

  it('sends as many packets and takes as long as one that does not', () => {
    for (const scenario of ALL_CELLS) {
      const plain = classifyIn(buildWorld(scenario, conditions(1)));
      const { asked } = run(scenario, conditions(1));
      expect([describeRun(asked), asked.sent, asked.tookMs]).toEqual([
        describeRun(plain),
        plain.sent,
        plain.tookMs,
      ]);
      expect(plain.result?.enclosures).toBeUndefined();
    }
  });

  it('gets nothing from other servers, and is classified as ever', () => {
    for (const kind of ['rfc5780', 'rfc3489'] as const) {
      const { asked, enclosures, witnessed } = run(ALL_CELLS[0]!, conditions(1, { server: { kind } }));
      expect({ enclosures, witnessed }).toEqual({
        enclosures: { witnesses: [], services: [] },
        witnessed: false,
      });
      expect(markRun(asked, ALL_CELLS[0]!.truth)).toBe('right');
    }
  });

  it('learns where the API is over TCP where UDP is blocked', () => {
    for (const scenario of BLOCKED) {
      const { asked, enclosures, witnessed, world } = run(scenario, conditions(1));
      expect(markRun(asked, scenario.truth)).toBe('right');
      expect(witnessed).toBe(false);
      expect(enclosures?.services).toContainEqual({
        server: world.server.primary,
        scheme: 'https',
        port: 8443,
      });
    }
  });
});
