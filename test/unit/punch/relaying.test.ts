/** Two punchers with a relay between them: when each turns to it, and what comes of that. */
import { describe, expect, it } from 'vitest';
import type { PuncherAction, PuncherEvent, PuncherInput } from '../../../probe/punch/io.ts';
import { createPuncher } from '../../../probe/punch/puncher.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { Side } from '../../../shared/punch/plain.ts';
import type { PunchPlan } from '../../../shared/punch/plan.ts';
import { Random } from '../../sim/random.ts';

const KEY = Buffer.alloc(32, 1);
const PUBLIC: Readonly<Record<Side, Endpoint>> = {
  a: { address: '203.0.113.1', port: 4000 },
  b: { address: '203.0.113.2', port: 4000 },
};
/** The relayed address of each, and the local port behind which its own relay brings what the peer sends. */
const RELAYED: Readonly<Record<Side, Endpoint>> = {
  a: { address: '198.51.100.1', port: 50_001 },
  b: { address: '198.51.100.1', port: 50_002 },
};
const LOCAL: Endpoint = { address: '192.168.1.2', port: 60_000 };
const OTHER: Readonly<Record<Side, Side>> = { a: 'b', b: 'a' };
const SIDES: readonly Side[] = ['a', 'b'];
const START_MS = 30;
const TIME_MS = 1500;
const ONE_WAY_MS = 20;
/** To be given an address, and for the peer to hear of it. */
const ALLOCATION_MS = 150;

interface Setting {
  readonly relay?: Extract<PuncherInput, { kind: 'plan' }>['relay'];
  readonly plan?: Partial<PunchPlan>;
  /** Whose allocations fail, by what text. */
  readonly failing?: Partial<Record<Side, string>>;
  /** The relay gives addresses, and forwards nothing. */
  readonly isDeaf?: boolean;
  readonly isDirect?: boolean;
  readonly loss?: number;
  readonly seed?: number;
  /** How much later `b` starts. */
  readonly skewMs?: number;
}

interface Story {
  readonly ends: Readonly<Record<Side, PuncherEvent[]>>;
  /** Who asked for an address, and when since the start. */
  readonly asked: readonly (readonly [side: Side, atMs: number])[];
  readonly endedAtMs: number;
}

function planOf(side: Side, more: Partial<PunchPlan>): PunchPlan {
  const endpoint = PUBLIC[OTHER[side]];
  return {
    role: side === 'a' ? 'controlling' : 'controlled',
    peer: { publicKey: '', candidates: [{ kind: 'public', endpoint }] },
    startInMs: START_MS,
    steps: [{ strategy: 'plain', atMs: 0, untilMs: TIME_MS, action: { kind: 'check', to: [endpoint] } }],
    timeMs: TIME_MS,
    limits: { packetsPerSecond: 1000, packets: 500 },
    transport: 'udp',
    keepaliveMs: 15_000,
    attempt: 1,
    attempts: 1,
    predicted: { strategy: 'plain', probability: 1 },
    ...more,
  };
}

/** What becomes of a punch until both sides have an end, or 20 seconds have passed. */
function punchWith(setting: Setting): Story {
  const { loss = 0, seed = 1, failing = {}, isDirect = false, isDeaf = false, skewMs = 0 } = setting;
  const random = new Random(seed);
  const machines = {
    a: createPuncher({ random: (length) => random.bytes(length) }),
    b: createPuncher({ random: (length) => random.bytes(length) }),
  };
  const ends: Record<Side, PuncherEvent[]> = { a: [], b: [] };
  const asked: [Side, number][] = [];
  const due: { readonly at: number; readonly act: () => void }[] = [];
  let now = 0;
  const later = (ms: number, act: () => void): void => void due.push({ at: now + ms, act });
  const tell = (side: Side, input: PuncherInput): void => {
    machines[side].handleInput(input, now);
    settle(side);
  };
  const hear = (side: Side, from: Endpoint, bytes: Uint8Array): void =>
    tell(side, { kind: 'datagram', socket: 'main', from, bytes });
  const perform = (side: Side, action: PuncherAction): void => {
    const peer = OTHER[side];
    if (action.kind === 'relay') {
      asked.push([side, now - START_MS]);
      const text = failing[side];
      later(ALLOCATION_MS, () => {
        if (text !== undefined) tell(side, { kind: 'relay-failed', side: 'own', text });
        tell(
          peer,
          text === undefined
            ? { kind: 'relay-found', remote: RELAYED[side] }
            : { kind: 'relay-failed', side: 'peer' },
        );
      });
      return;
    }
    if (action.kind !== 'send' || random.chance(loss)) return;
    const { to, bytes } = action;
    if (to.port === PUBLIC[peer].port && isDirect) later(ONE_WAY_MS, () => hear(peer, PUBLIC[side], bytes));
    else if (isDeaf) return;
    else if (to.port === RELAYED[peer].port)
      later(ONE_WAY_MS, () => {
        tell(peer, { kind: 'relay-found', remote: LOCAL });
        hear(peer, LOCAL, bytes);
      });
    else if (to.port === LOCAL.port) later(ONE_WAY_MS, () => hear(peer, RELAYED[side], bytes));
  };
  const settle = (side: Side): void => {
    const machine = machines[side];
    for (let action = machine.pollAction(); action; action = machine.pollAction()) perform(side, action);
    for (let event = machine.pollEvent(); event; event = machine.pollEvent()) ends[side].push(event);
  };
  for (const side of SIDES)
    later(side === 'a' ? 0 : skewMs, () =>
      tell(side, {
        kind: 'plan',
        plan: planOf(side, setting.plan ?? {}),
        key: KEY,
        sockets: { ipv4: 'main' },
        ...(setting.relay && { relay: setting.relay }),
      }),
    );
  for (; now < 20_000 && !SIDES.every((side) => ends[side].length > 0); now++) {
    for (const { act } of due.filter(({ at }) => at === now)) act();
    for (const side of SIDES)
      if ((machines[side].pollTimeout() ?? Infinity) <= now) {
        machines[side].handleTimeout(now);
        settle(side);
      }
  }
  return { ends, asked, endedAtMs: now - START_MS };
}

const kindsOf = ({ ends }: Story): string[] => SIDES.map((side) => ends[side].map(({ kind }) => kind).join());
const reasonOf = ({ ends }: Story, side: Side): unknown => {
  const [end] = ends[side];
  return end?.kind === 'failed' ? end.reason : end?.kind;
};

describe('two punchers with a relay', () => {
  it('go by it at once where nothing else is expected to work, with one address for both', () => {
    const story = punchWith({ relay: 'at-once' });
    expect(story.ends.a).toMatchObject([{ kind: 'open', path: 'relay', strategy: 'relay', remote: LOCAL }]);
    expect(story.ends.b).toMatchObject([{ kind: 'open', path: 'relay', remote: RELAYED.a }]);
    expect(story.asked).toEqual([['a', 0]]);
    expect(story.endedAtMs).toBeLessThan(ALLOCATION_MS + 8 * ONE_WAY_MS);
  });

  it('turn to it when the punch has come to nothing, and not before', () => {
    const story = punchWith({ relay: 'at-last' });
    expect(kindsOf(story)).toEqual(['open', 'open']);
    expect(story.asked).toEqual([['a', TIME_MS]]);
  });

  it('leave it to the last attempt', () => {
    const story = punchWith({ relay: 'at-last', plan: { attempts: 2 } });
    expect(kindsOf(story)).toEqual(['retrying', 'retrying']);
    expect(story.asked).toEqual([]);
  });

  it('have no use for it where they open a hole', () => {
    for (const relay of ['at-once', 'at-last'] as const) {
      const story = punchWith({ relay, isDirect: true });
      expect(story.ends).toMatchObject({ a: [{ path: 'direct' }], b: [{ path: 'direct' }] });
    }
  });

  it('take the other side’s address where one is refused, or slow', () => {
    const story = punchWith({ relay: 'at-once', failing: { a: 'does not answer' } });
    expect(story.ends).toMatchObject({ a: [{ path: 'relay', remote: RELAYED.b }], b: [{ path: 'relay' }] });
    expect(story.asked).toEqual([
      ['a', 0],
      ['b', ALLOCATION_MS],
    ]);
  });

  it('know that it is over when both are refused, each with its own reason', () => {
    const failing = { a: 'does not answer', b: 'is full' };
    const story = punchWith({ relay: 'at-last', failing });
    expect(reasonOf(story, 'a')).toEqual({
      code: 'no-relay',
      text: 'nothing of the peer came through, and the relay does not answer',
    });
    expect(reasonOf(story, 'b')).toEqual({
      code: 'no-relay',
      text: 'nothing of the peer came through, and the relay is full',
    });
    expect(story.endedAtMs).toBeLessThan(TIME_MS + 3 * ALLOCATION_MS);
  });

  it('give up where nothing comes through the relay either', () => {
    const story = punchWith({ relay: 'at-last', isDeaf: true });
    expect(reasonOf(story, 'a')).toEqual({
      code: 'relay-not-through',
      text: 'nothing of the peer came through, and nothing came through the relay either',
    });
    expect(story.asked.map(([side]) => side)).toEqual(['a', 'b']);
    expect(story.endedAtMs).toBeLessThan(TIME_MS + 9000);
  });

  it('fail as before where there is none', () => {
    expect(reasonOf(punchWith({}), 'a')).toEqual({
      code: 'nothing-heard',
      text: 'nothing of the peer came through',
    });
  });

  it('go by it where they have no address family in common', () => {
    expect(kindsOf(punchWith({ relay: 'at-once', plan: { steps: [], timeMs: 0 } }))).toEqual([
      'open',
      'open',
    ]);
  });

  it('agree on it through losses, and where one starts late', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const relay = seed % 2 === 0 ? 'at-once' : 'at-last';
      const story = punchWith({ relay, seed, loss: 0.2, skewMs: (seed * 37) % 400 });
      expect([seed, ...kindsOf(story)]).toEqual([seed, 'open', 'open']);
    }
  });
});
