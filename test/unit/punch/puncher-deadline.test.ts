/** Two punchers whose way opens only when their time is nearly out: either both have the hole, or neither. */
import { describe, expect, it } from 'vitest';
import type { PuncherEvent } from '../../../probe/punch/io.ts';
import { createPuncher } from '../../../probe/punch/puncher.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { Side } from '../../../shared/punch/plain.ts';
import type { PunchPlan } from '../../../shared/punch/plan.ts';

const KEY = Buffer.alloc(32, 1);
const ENDPOINTS: Readonly<Record<Side, Endpoint>> = {
  a: { address: '203.0.113.1', port: 4000 },
  b: { address: '203.0.113.2', port: 4000 },
};
const START_MS = 30;
const OPENS_AT_MS = 200;
const ONE_WAY_MS = 20;
/** Long after both have waited for whatever may still come. */
const PATIENCE_MS = 3000;

function planOf(side: Side, timeMs: number): PunchPlan {
  const endpoint = ENDPOINTS[side === 'a' ? 'b' : 'a'];
  return {
    role: side === 'a' ? 'controlling' : 'controlled',
    peer: { publicKey: '', candidates: [{ kind: 'public', endpoint }] },
    startInMs: START_MS,
    steps: [{ strategy: 'plain', atMs: 0, untilMs: timeMs, action: { kind: 'check', to: [endpoint] } }],
    timeMs,
    limits: { packetsPerSecond: 1000, packets: 500 },
    transport: 'udp',
    keepaliveMs: 15_000,
    attempt: 1,
    attempts: 1,
    predicted: { strategy: 'plain', probability: 1 },
  };
}

interface Delivery {
  readonly at: number;
  readonly to: Side;
  readonly bytes: Uint8Array;
}

/** What both come to if nothing passes before OPENS_AT_MS, and of what would pass from then on the `lost`-th does not. */
function punchWithin(timeMs: number, lost: number): Record<Side, PuncherEvent['kind'][]> {
  let id = 0;
  const random = (length: number): Uint8Array => {
    const bytes = Buffer.alloc(length);
    bytes.writeUInt32BE(++id);
    return bytes;
  };
  const machines = { a: createPuncher({ random }), b: createPuncher({ random }) };
  const ends: Record<Side, PuncherEvent['kind'][]> = { a: [], b: [] };
  const flying: Delivery[] = [];
  let passed = 0;
  const drain = (side: Side, now: number): void => {
    const machine = machines[side];
    for (let action = machine.pollAction(); action; action = machine.pollAction())
      if (action.kind === 'send' && now >= OPENS_AT_MS && passed++ !== lost)
        flying.push({ at: now + ONE_WAY_MS, to: side === 'a' ? 'b' : 'a', bytes: action.bytes });
    for (let event = machine.pollEvent(); event; event = machine.pollEvent()) ends[side].push(event.kind);
  };
  for (const side of ['a', 'b'] as const)
    machines[side].handleInput(
      { kind: 'plan', plan: planOf(side, timeMs), key: KEY, sockets: { ipv4: 'main' } },
      0,
    );
  for (let now = 0; now <= START_MS + timeMs + PATIENCE_MS; now++) {
    for (; flying[0] !== undefined && flying[0].at <= now; flying.shift()) {
      const { to, bytes } = flying[0];
      const from = ENDPOINTS[to === 'a' ? 'b' : 'a'];
      machines[to].handleInput({ kind: 'datagram', socket: 'main', from, bytes }, now);
      drain(to, now);
    }
    for (const side of ['a', 'b'] as const) {
      if ((machines[side].pollTimeout() ?? Infinity) <= now) machines[side].handleTimeout(now);
      drain(side, now);
    }
  }
  return ends;
}

describe('two punchers near the end of their time', () => {
  it.each([Infinity, 0, 1, 2, 3, 4, 5])(
    'both have the hole or both have failed, however little time is left, if packet %d is lost',
    (lost) => {
      const ends = new Set<string>();
      // From less than the first packets that pass need to more than all need.
      for (let timeMs = 150; timeMs <= 600; timeMs += 5) {
        const { a, b } = punchWithin(timeMs, lost);
        expect([timeMs, a]).toEqual([timeMs, b]);
        expect([timeMs, a.length]).toEqual([timeMs, 1]);
        ends.add(a[0]!);
      }
      expect(ends).toEqual(new Set(['open', 'failed']));
    },
  );
});
