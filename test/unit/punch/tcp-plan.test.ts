import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import type { UnsolicitedSyn } from '../../../shared/nat/tcp.ts';
import { parseBehaviour, type PunchBehaviour } from '../../../shared/punch/behaviour.ts';
import type { PlannedSide, PunchCandidate, PunchPlan } from '../../../shared/punch/plan.ts';
import { PunchPlanSchema } from '../../../shared/punch/plan-schema.ts';
import { portOddsOf } from '../../../shared/punch/port-odds.ts';
import { planTcpPunch } from '../../../shared/punch/tcp-plan.ts';
import { predictTcp } from '../../../shared/punch/tcp-predict.ts';
import { tcpSideOf } from '../../../shared/punch/tcp-side.ts';
import { portsOf } from './reports.ts';

const SEEN = { a: { address: '203.0.113.1', port: 40_001 }, b: { address: '203.0.113.2', port: 40_002 } };
const TYPES = ['open', 'fw/ADF', 'fw/APDF'].concat(
  ['EIM', 'ADM', 'APDM'].flatMap((mapping) =>
    ['EIF', 'ADF', 'APDF'].map((filtering) => `${mapping}/${filtering}`),
  ),
);

/** Behind a port-restricted cone over UDP, and such a NAT over TCP. */
function overTcp(text: string, unsolicitedSyn: UnsolicitedSyn | 'unknown' = 'dropped'): PunchBehaviour {
  const { mapping, filtering } = parseBehaviour(text);
  const syn = filtering === 'endpoint-independent' ? 'accepted' : unsolicitedSyn;
  return { ...parseBehaviour('EIM/APDF'), tcp: { mapping, filtering, confidence: 1, unsolicitedSyn: syn } };
}

function side(name: 'a' | 'b', behaviour: PunchBehaviour, more: Partial<PlannedSide> = {}): PlannedSide {
  const candidates: PunchCandidate[] = [{ kind: 'public', endpoint: SEEN[name] }];
  return { behaviour, candidates, publicKey: 'AAAA', rttMs: 40, ...more };
}

function outline({ steps }: PunchPlan): string[] {
  return steps.map(({ strategy, atMs, action }) => {
    const retries = 'everyMs' in action ? ' again' : '';
    return `${atMs} ${strategy}: ${action.kind}${retries}`;
  });
}

describe('a plan over TCP', () => {
  it('has both connect at once where early SYNs do no harm', () => {
    const { a, b } = planTcpPunch(side('a', overTcp('EIM/APDF')), side('b', overTcp('EIM/APDF')));
    expect([a, b].map(outline)).toEqual([['0 plain: connect again'], ['0 plain: connect again']]);
    expect(a.steps[0]!.action).toMatchObject({ to: [SEEN.b] });
    expect([a.transport, a.role, b.role]).toEqual(['tcp', 'controlling', 'controlled']);
  });

  it('has the side connect first, and listen, that refuses early SYNs', () => {
    const { a, b } = planTcpPunch(side('a', overTcp('EIM/APDF')), side('b', overTcp('EIM/APDF', 'reset')));
    expect(outline(a)).toEqual(['150 sequential: connect again']);
    expect(outline(b)).toEqual(['0 sequential: connect', '0 sequential: listen']);
  });

  it('has who can be called listen, and call only if nobody has', () => {
    const { a, b } = planTcpPunch(side('a', overTcp('APDM/APDF')), side('b', overTcp('APDM/EIF')));
    expect(outline(a)).toEqual(['20 direct: connect again']);
    expect(outline(b)).toEqual(['0 direct: listen', '1500 direct: connect again']);
  });

  it('has a side connect first, and listen, whose peer calls from a port that isn’t known', () => {
    const { a, b } = planTcpPunch(side('a', overTcp('EIM/ADF')), side('b', overTcp('APDM/APDF')));
    expect(outline(a)).toEqual(['0 sequential: connect', '0 sequential: listen']);
    expect(outline(b)).toEqual(['150 sequential: connect again']);
  });

  it('tries either order where it isn’t known who refuses', () => {
    const plans = [1, 2, 3].map((attempt) =>
      planTcpPunch(side('a', parseBehaviour('EIM/APDF')), side('b', parseBehaviour('EIM/APDF')), attempt),
    );
    expect(plans.map(({ a, b }) => [a.steps[0]!.atMs, b.steps[0]!.atMs])).toEqual([
      [0, 0],
      [0, 150],
      [150, 0],
    ]);
  });

  it('has the first side take its call back in the last attempt, before the other calls', () => {
    const strict = [side('a', overTcp('EIM/APDF')), side('b', overTcp('EIM/APDF', 'reset'))] as const;
    const [second, last] = [2, 3].map((attempt) => planTcpPunch(...strict, attempt));
    expect(last!.b.steps.map(({ action, untilMs }) => [action.kind, untilMs])).toEqual([
      ['connect', 75],
      ['listen', 4300],
    ]);
    expect(last!.a.steps[0]!.atMs).toBe(150);
    expect(second!.b.steps[0]!.untilMs).toBe(4300);
  });

  it('tries the likeliest ports of a peer that counts them, as over UDP', () => {
    const ports = portsOf(
      'sequential',
      { kind: 'after-last', delta: 1, last: 9000, agoMs: 0, skips: { shape: 1, rate: 1e9 } },
      { delta: 1 },
    );
    const moving = { ...overTcp('APDM/APDF'), ports: portOddsOf(ports) };
    const { a, prediction } = planTcpPunch(side('a', overTcp('EIM/APDF')), side('b', moving, { ports }));
    expect(prediction.strategy).toBe('port-prediction');
    expect(prediction.probability).toBeGreaterThan(0.9);
    const guess = a.steps.find(({ action }) => action.kind === 'guess')?.action;
    expect(guess).toMatchObject({ address: SEEN.b.address, rounds: 1 });
    expect(guess?.kind === 'guess' && guess.ports[0]).toBe(SEEN.b.port + 1);
  });

  it('has one side listen on the LAN that both are in', () => {
    const locals = { a: { address: '192.168.1.2', port: 5000 }, b: { address: '192.168.1.3', port: 5001 } };
    const at = (name: 'a' | 'b'): PlannedSide =>
      side(name, overTcp('EIM/APDF'), {
        candidates: [
          { kind: 'public', endpoint: { ...SEEN.a, port: SEEN[name].port } },
          { kind: 'private', endpoint: locals[name] },
        ],
      });
    const { a, b } = planTcpPunch(at('a'), at('b'));
    expect(outline(a)[0]).toBe('0 lan: connect again');
    expect(a.steps[0]!.action).toMatchObject({ to: [locals.b] });
    expect(outline(b)[0]).toBe('0 lan: listen');
  });

  it('fits its schema, and calls no address but the candidates’, for every pair', () => {
    const schema = Compile(PunchPlanSchema);
    for (const one of TYPES)
      for (const other of TYPES)
        for (const syn of ['dropped', 'reset', 'unknown'] as const)
          for (const attempt of [1, 2, 3]) {
            const plans = planTcpPunch(side('a', overTcp(one, syn)), side('b', overTcp(other)), attempt);
            for (const name of ['a', 'b'] as const) {
              expect([one, other, ...schema.Errors(plans[name])]).toEqual([one, other]);
              for (const { action } of plans[name].steps)
                if (action.kind === 'connect') expect(action.to).toEqual([SEEN[name === 'a' ? 'b' : 'a']]);
              expect(plans[name].timeMs).toBeLessThan(5000);
            }
          }
  });

  it('has no steps where the two have no family in common', () => {
    const six: PunchCandidate[] = [{ kind: 'ipv6', endpoint: { address: '2001:db8::1', port: 4000 } }];
    const { a, b } = planTcpPunch(
      side('a', overTcp('open')),
      side('b', overTcp('open'), { candidates: six }),
    );
    expect([a.steps, b.steps, a.timeMs]).toEqual([[], [], 0]);
  });
});

describe('a prediction over TCP', () => {
  it('is the same from either side', () => {
    for (const one of TYPES)
      for (const other of TYPES) {
        const chances = [
          predictTcp(overTcp(one), overTcp(other)),
          predictTcp(overTcp(other), overTcp(one)),
        ].map(({ probability, outcome }) => `${outcome} ${probability.toFixed(6)}`);
        expect([one, other, chances[0]]).toEqual([one, other, chances[1]]);
      }
  });

  it('has hope for symmetric × port-restricted only where one lets in whom it hasn’t called', () => {
    const outcomeOf = (a: string, b: string): string => predictTcp(overTcp(a), overTcp(b)).outcome;
    expect(outcomeOf('APDM/APDF', 'EIM/APDF')).toBe('relay');
    expect(outcomeOf('APDM/APDF', 'EIM/ADF')).toBe('likely');
    expect(outcomeOf('APDM/EIF', 'APDM/APDF')).toBe('direct');
    expect(outcomeOf('ADM/ADF', 'ADM/ADF')).toBe('relay');
  });

  it('is not known where both refuse early SYNs, and says so', () => {
    const { probability, reasons, strategies } = predictTcp(
      overTcp('EIM/APDF', 'reset'),
      overTcp('EIM/APDF', 'icmp'),
    );
    expect(probability).toBe(0.96);
    expect(reasons).toEqual([]);
    expect(strategies[0]!.reasons.map(({ code }) => code)).toContain('plain-crossing');
  });

  it('says what it assumes where TCP was not measured', () => {
    const { reasons, probability } = predictTcp(parseBehaviour('EIM/APDF'), overTcp('EIM/APDF', 'unknown'));
    expect(reasons.map(({ code }) => code)).toEqual(['assumed-tcp', 'assumed-syn']);
    expect(probability).toBeGreaterThan(0.8);
  });

  it('never says that it takes a relay by what is assumed alone', () => {
    for (const one of TYPES)
      for (const other of TYPES) {
        const { probability, outcome } = predictTcp(parseBehaviour(one), parseBehaviour(other));
        expect([one, other, outcome]).not.toEqual([one, other, 'relay']);
        const measured = predictTcp(overTcp(one), overTcp(other)).probability;
        // What is measured is surer, whichever way.
        expect([one, other, measured === 0 ? probability > 0 : probability < measured]).toEqual([
          one,
          other,
          true,
        ]);
      }
  });

  it('takes from UDP what of TCP the server could not tell, and leaves what it could', () => {
    const half = (mapping: 'endpoint-independent' | 'unknown'): PunchBehaviour => ({
      ...parseBehaviour('APDM/ADF'),
      tcp: { mapping, filtering: 'unknown', confidence: 1, unsolicitedSyn: 'reset' },
    });
    const sides = (['endpoint-independent', 'unknown'] as const).map((mapping) =>
      tcpSideOf('a', half(mapping)),
    );
    expect(
      sides.map(({ behaviour: { mapping, filtering }, unsolicitedSyn }) => [
        mapping,
        filtering,
        unsolicitedSyn,
      ]),
    ).toEqual([
      ['endpoint-independent', 'address-dependent', 'reset'],
      ['address-and-port-dependent', 'address-dependent', 'reset'],
    ]);
    expect(sides.map(({ behaviour: { confidence } }) => confidence)).toEqual([0.75, 0.75]);
  });

  it('reckons with a port that can be called, also where nothing else is known', () => {
    const unknown: PunchBehaviour = { ...parseBehaviour('udp-blocked') };
    const { possibilities } = tcpSideOf('a', unknown);
    expect(possibilities.reduce((sum, { weight }) => sum + weight, 0)).toBeCloseTo(1, 12);
    expect(predictTcp(unknown, overTcp('EIM/EIF')).probability).toBeCloseTo(0.999, 3);
  });
});
