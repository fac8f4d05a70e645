import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import type { PortsAxis } from '../../../shared/nat/ports.ts';
import { parseBehaviour, type PunchBehaviour } from '../../../shared/punch/behaviour.ts';
import {
  type PlannedSide,
  planPunch,
  type PunchCandidate,
  type PunchStep,
} from '../../../shared/punch/plan.ts';
import { PunchPlanSchema } from '../../../shared/punch/plan-schema.ts';
import { LOW_PORTS, portOddsOf } from '../../../shared/punch/port-odds.ts';
import { portsOf } from './reports.ts';

const SEEN = { a: { address: '203.0.113.1', port: 40_001 }, b: { address: '203.0.113.2', port: 40_002 } };

function side(name: 'a' | 'b', behaviour: string, more: Partial<PlannedSide> = {}): PlannedSide {
  return {
    behaviour: { ...parseBehaviour(behaviour), unsolicited: 'dropped' },
    candidates: [{ kind: 'public', endpoint: SEEN[name] }],
    publicKey: 'AAAA',
    rttMs: 40,
    ...more,
  };
}

const COUNTING = portsOf(
  'sequential',
  { kind: 'after-last', delta: 1, last: 9000, agoMs: 0, skips: { shape: 1, rate: 1e9 } },
  { delta: 1 },
);
const RANDOM = portsOf(
  'random',
  { kind: 'uniform', first: 1024, last: 65535, sameParity: false },
  {
    seenRange: { first: 1024, last: 65535 },
  },
);

const BLOCK = portsOf(
  'block',
  { kind: 'uniform', first: 2048, last: 6143, sameParity: false },
  { block: { first: 2048, size: 4096 } },
);

function moving(name: 'a' | 'b', ports: PortsAxis): PlannedSide {
  const behaviour: PunchBehaviour = { ...parseBehaviour('APDM/APDF'), ports: portOddsOf(ports) };
  return side(name, 'symmetric', { behaviour, ports });
}

const tracking = (name: 'a' | 'b'): PlannedSide =>
  side(name, 'EIM/APDF', { behaviour: { ...parseBehaviour('EIM/APDF'), unsolicited: 'tracked' } });

function outline(steps: readonly PunchStep[]): string[] {
  return steps.map(({ strategy, atMs, action }) => {
    const ttl = 'ttl' in action ? ` ttl ${action.ttl}` : '';
    return `${atMs} ${strategy}: ${action.kind}${ttl}`;
  });
}

describe('a plan', () => {
  it('has both send at once where that is enough', () => {
    const { a, b } = planPunch(side('a', 'EIM/APDF'), side('b', 'EIM/APDF'));
    expect(outline(a.steps)).toEqual(['0 plain: check']);
    expect(outline(b.steps)).toEqual(['0 plain: check']);
    expect(a.steps[0]!.action).toEqual({ kind: 'check', to: [SEEN.b] });
    expect([a.role, b.role]).toEqual(['controlling', 'controlled']);
  });

  it('starts both at one time, whatever their ways', () => {
    const { a, b } = planPunch(side('a', 'open'), side('b', 'open', { rttMs: 200 }));
    expect(a.startInMs + 40 / 2).toBe(b.startInMs + 200 / 2);
    expect(b.startInMs).toBeGreaterThan(0);
  });

  it('opens with a low TTL where the other router remembers what comes unasked, and only there', () => {
    const { a, b } = planPunch(side('a', 'EIM/APDF', { natLayers: 2 }), tracking('b'));
    expect(outline(a.steps)).toEqual(['0 low-ttl: check ttl 3', '150 low-ttl: check']);
    expect(outline(b.steps)).toEqual(['0 low-ttl: check']);
    const one = { natLayers: 1 };
    const again = planPunch({ ...tracking('a'), ...one }, { ...tracking('b'), ...one }, 2);
    expect(outline(again.a.steps)).toEqual(['0 low-ttl: check ttl 3', '300 low-ttl: check']);
  });

  it('begins with low ports at once where a side may bind them, and guesses no others', () => {
    const symmetric = side('a', 'APDM/APDF');
    const low = { ...symmetric, behaviour: { ...symmetric.behaviour, lowPorts: true } };
    const { a, b } = planPunch(low, side('b', 'EIM/APDF'));
    expect(a.steps.at(-1)).toMatchObject({ atMs: 0, action: { kind: 'spread', localPorts: LOW_PORTS } });
    expect(b.steps.at(-1)).toMatchObject({ atMs: 0, action: { kind: 'spray', ranges: [LOW_PORTS] } });
    expect(b.steps.map(({ action }) => action.kind)).not.toContain('guess');
  });

  it('lets one side alone have a low TTL, until it hears, where the other does not know its own NATs', () => {
    const { a, b } = planPunch({ ...tracking('a'), natLayers: 2 }, tracking('b'));
    expect(outline(a.steps)).toEqual(['0 low-ttl: check ttl 3']);
    expect(a.steps[0]!.untilMs).toBe(a.timeMs);
    expect(outline(b.steps)).toEqual(['150 low-ttl: check']);
    // If neither does they take turns.
    const turns = [1, 2, 3].map((attempt) => {
      const plans = planPunch(tracking('a'), tracking('b'), attempt);
      return [plans.a, plans.b].map(({ steps }) => outline(steps).join());
    });
    expect(turns).toEqual([
      ['0 low-ttl: check ttl 2', '150 low-ttl: check'],
      ['300 low-ttl: check', '0 low-ttl: check ttl 2'],
      ['0 low-ttl: check ttl 3', '600 low-ttl: check'],
    ]);
    // A router that remembers sends first, and the other needs no TTL then.
    const sole = planPunch(side('a', 'EIM/APDF'), tracking('b'));
    expect([sole.a, sole.b].map(({ steps }) => outline(steps))).toEqual([
      ['150 low-ttl: check'],
      ['0 low-ttl: check'],
    ]);
  });

  it('takes a low TTL at the second attempt where nothing is known of the other router', () => {
    const unknown = [side('a', 'EIM/APDF'), side('b', 'EIM/APDF')].map((item) => ({
      ...item,
      natLayers: 1,
      behaviour: parseBehaviour('EIM/APDF'),
    })) as [PlannedSide, PlannedSide];
    expect(outline(planPunch(...unknown, 1).a.steps)).toEqual(['0 plain: check']);
    expect(outline(planPunch(...unknown, 2).a.steps)[0]).toMatch(/ttl 2$/);
  });

  it('has the one guess the port that the other has next', () => {
    const { a, b } = planPunch(side('a', 'EIM/APDF'), moving('b', COUNTING));
    const guess = a.steps[1]!.action;
    expect(guess).toMatchObject({ kind: 'guess', address: SEEN.b.address });
    expect(guess.kind === 'guess' && guess.ports[0]).toBe(SEEN.b.port + 1);
    expect(outline(b.steps)).toEqual(['0 port-prediction: check']);
    // The one that is heard from a new port is answered first.
    expect(b.role).toBe('controlling');
  });

  it('has the one open many sockets where ports are drawn, and the other try many ports', () => {
    const { a, b } = planPunch(moving('a', RANDOM), side('b', 'EIM/APDF'));
    expect(outline(a.steps)).toEqual(['0 birthday: check', '0 birthday: spread']);
    expect(outline(b.steps)).toEqual(['0 birthday: check', '0 birthday: spray']);
    const spray = b.steps[1]!.action;
    expect(spray.kind === 'spray' && spray.probes).toBeGreaterThan(1000);
  });

  it('has more ports tried where each try leaves from a new one: it misses sockets that have yet to send', () => {
    const behaviour = { ...parseBehaviour('ADM/ADF'), ports: portOddsOf(BLOCK) };
    const drawn = side('a', 'ADM/ADF', { behaviour, ports: BLOCK });
    const triesOf = (other: PlannedSide): { sockets: number; probes: number } => {
      const { a, b } = planPunch(drawn, other);
      const [spread, spray] = [a, b].map(({ steps }) => steps.at(-1)!.action);
      if (spread?.kind !== 'spread' || spray?.kind !== 'spray') throw new Error('no birthday');
      return { sockets: spread.sockets, probes: spray.probes };
    };
    const steady = triesOf(side('b', 'EIM/APDF'));
    const moves = triesOf(moving('b', COUNTING));
    expect(moves).toEqual({ sockets: steady.sockets, probes: steady.probes + steady.sockets / 2 });
  });

  it('keeps full packets of drawn ports off a router that remembers them', () => {
    const { a, b } = planPunch(moving('a', RANDOM), tracking('b'));
    expect(outline(a.steps)).toEqual(['0 low-ttl: check ttl 2', '0 birthday: spread ttl 2']);
    expect(b.steps.find(({ action }) => action.kind === 'spray')!.atMs).toBeGreaterThanOrEqual(256);
  });

  it('has each send first to where the other will be, where both have a new port for each peer', () => {
    const { a, b } = planPunch(moving('a', COUNTING), moving('b', COUNTING));
    expect(outline(a.steps)).toEqual(['0 port-prediction: guess']);
    expect(outline(b.steps)).toEqual(['0 port-prediction: guess']);
  });

  it('has the two meet however many mappings of others came in between, up to fifteen', () => {
    const { a, b } = planPunch(moving('a', COUNTING), moving('b', COUNTING));
    const [fromA, fromB] = [a, b].map(({ steps: [step] }) =>
      step!.action.kind === 'guess' ? step!.action.ports : [],
    ) as [readonly number[], readonly number[]];
    for (let skippedA = 0; skippedA <= 15; skippedA++) {
      for (let skippedB = 0; skippedA + skippedB <= 15; skippedB++) {
        // The n-th packet leaves from the n-th port that is handed out after those of others.
        const meets = fromA.some((to, n) => {
          const m = fromB.indexOf(SEEN.a.port + 1 + skippedA + n);
          return m !== -1 && to === SEEN.b.port + 1 + skippedB + m;
        });
        expect([skippedA, skippedB, meets]).toEqual([skippedA, skippedB, true]);
      }
    }
  });

  it('tries the private addresses first behind one NAT, then the public ones', () => {
    const near = (name: 'a' | 'b', host: number): PlannedSide => {
      const candidates: PunchCandidate[] = [
        { kind: 'public', endpoint: { address: '203.0.113.1', port: 40_000 + host } },
        { kind: 'private', endpoint: { address: `10.0.0.${host}`, port: 5000 } },
      ];
      return side(name, 'EIM/APDF', { candidates });
    };
    expect(outline(planPunch(near('a', 2), near('b', 3)).a.steps)).toEqual([
      '0 lan: check',
      '100 hairpin: check',
    ]);
    const without = { ...near('b', 3), behaviour: { ...near('b', 3).behaviour, hairpin: 'none' as const } };
    expect(outline(planPunch(near('a', 2), without).a.steps)).toEqual(['0 lan: check']);
  });

  it('counts on a port that a router maps, and sends there first, whatever ports that router draws', () => {
    const mapped: PunchCandidate = { kind: 'mapped', endpoint: { ...SEEN.a, port: 5100 } };
    const home = moving('a', RANDOM);
    const opened = { ...home, candidates: [...home.candidates, mapped] };
    expect(planPunch(home, moving('b', RANDOM)).prediction.outcome).toBe('relay');
    for (const [asker, asked, strategy] of [
      [opened, moving('b', RANDOM), 'reversal'],
      [moving('b', RANDOM), opened, 'direct'],
    ] as const) {
      const { prediction, ...plans } = planPunch(asker, asked);
      expect(prediction).toMatchObject({ outcome: 'direct', strategy });
      const peers = plans[asker === opened ? 'b' : 'a'].steps;
      expect(peers[0]!.action).toMatchObject({ kind: 'check', to: [mapped.endpoint, SEEN.a] });
    }
  });

  it('tries IPv6 first where both have it', () => {
    const dual = (name: 'a' | 'b'): PlannedSide =>
      side(name, 'EIM/APDF', {
        candidates: [
          { kind: 'public', endpoint: SEEN[name] },
          { kind: 'ipv6', endpoint: { address: `2001:db8::${name}`, port: 5000 } },
        ],
      });
    const { steps } = planPunch(dual('a'), dual('b')).a;
    expect(outline(steps)).toEqual(['0 plain: check', '100 plain: check']);
    expect(steps[0]!.action).toEqual({ kind: 'check', to: [{ address: '2001:db8::b', port: 5000 }] });
  });

  it('does nothing without UDP, and tries what no strategy opens just once', () => {
    const blocked = planPunch(side('a', 'udp-blocked'), side('b', 'open'));
    expect([blocked.a.steps, blocked.b.steps, blocked.a.timeMs]).toEqual([[], [], 0]);
    const hopeless = planPunch(moving('a', RANDOM), moving('b', RANDOM));
    expect(hopeless.prediction.strategy).toBe('relay');
    expect(hopeless.a.attempts).toBe(1);
    expect(hopeless.a.steps.length).toBeGreaterThan(0);
  });

  it('has keepalives at half of the shorter lifetime', () => {
    const { a } = planPunch(
      side('a', 'open', { lifetimeMs: 60_000 }),
      side('b', 'open', { lifetimeMs: 20_000 }),
    );
    expect(a.keepaliveMs).toBe(10_000);
    expect(planPunch(side('a', 'open'), side('b', 'open')).b.keepaliveMs).toBe(15_000);
  });

  it('fits its schema, sends to no address but the candidates’, and keeps to its limits, for every pair', () => {
    const schema = Compile(PunchPlanSchema);
    const all = (name: 'a' | 'b'): PlannedSide[] => [
      ...['open', 'fw/ADF', 'fw/APDF', 'cone', 'inconclusive', 'udp-blocked', 'symmetric'].map((text) =>
        side(name, text),
      ),
      ...['EIM', 'ADM', 'APDM'].flatMap((mapping) =>
        ['EIF', 'ADF', 'APDF'].map((filtering) => side(name, `${mapping}/${filtering}`)),
      ),
      moving(name, COUNTING),
      moving(name, RANDOM),
      tracking(name),
    ];
    for (const one of all('a')) {
      for (const other of all('b')) {
        const plans = planPunch(one, other);
        for (const [plan, peer] of [
          [plans.a, other],
          [plans.b, one],
        ] as const) {
          const what = `${one.behaviour.name} ${other.behaviour.name}`;
          expect([what, ...schema.Errors(plan)]).toEqual([what]);
          expect([what, schema.Check(JSON.parse(JSON.stringify(plan)))]).toEqual([what, true]);
          const addresses = plan.steps.flatMap(({ action }) =>
            'to' in action
              ? [action.to].flat().map(({ address }) => address)
              : 'address' in action
                ? [action.address]
                : [],
          );
          expect(new Set(peer.candidates.map(({ endpoint }) => endpoint.address))).toEqual(
            new Set([...addresses, SEEN[peer === other ? 'b' : 'a'].address]),
          );
          expect(plan.timeMs).toBeLessThanOrEqual(4000);
        }
      }
    }
  });
});
