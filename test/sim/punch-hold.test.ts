/** An open hole: held, made again when it is lost, and closed. */
import { describe, expect, it } from 'vitest';
import type { Side } from '../../shared/punch/plain.ts';
import { LINUX_WITH_DROP, NINE_CELLS } from './cells.ts';
import { PunchMatch } from './punch.ts';
import { known, lossOf, RTT_MS, STRICT } from './punch-runs.ts';
import { buildPunchWorld } from './punch-world.ts';
import type { Layer } from './scenario.ts';

describe('two punchers', () => {
  it('hold the hole, with few packets', () => {
    const { layers } = NINE_CELLS[2]!;
    const [{ behaviour }] = layers as unknown as [Extract<Layer, { kind: 'nat' }>];
    const lifetime = { idleMs: 40_000, refreshedByOutbound: true, refreshedByInbound: false };
    const mortal: Layer = { kind: 'nat', behaviour: { ...behaviour, lifetime } };
    const world = buildPunchWorld({ seed: 1, rttMs: RTT_MS, a: [mortal], b: [mortal] });
    const side = known(NINE_CELLS[2]!);
    const match = new PunchMatch(world, { a: { ...side, lifetimeMs: 40_000 }, b: side });
    expect(match.run().carries).toBe(true);
    const before = match.peers.a.sent;
    world.network.run(world.network.now + 600_000);
    expect(match.peers.a.events.map(({ kind }) => kind)).toEqual(['open']);
    expect(match.peers.a.sent - before).toBeLessThan(80);
  });

  it.each(['a', 'b'] as const)(
    'make it again when it is gone, whoever notices: the socket of %s dies',
    (side) => {
      const world = buildPunchWorld({ seed: 1, rttMs: RTT_MS, a: [STRICT], b: [STRICT] });
      const match = new PunchMatch(world, { a: known(LINUX_WITH_DROP), b: known(LINUX_WITH_DROP) });
      expect(match.run().carries).toBe(true);
      const before = { a: match.peers.a.hole!.socket, b: match.peers.b.hole!.socket };
      // Not when both are about to look: the one notices long before the other.
      world.network.run(world.network.now + 10_000);
      match.peers[side].main.close();
      world.network.run(world.network.now + 60_000);
      for (const [name, peer] of Object.entries(match.peers)) {
        expect(peer.events.map(({ kind }) => kind)).toEqual(['open', 'lost', 'open']);
        expect(peer.hole!.socket).not.toBe(before[name as Side]);
      }
      expect(match.carries()).toBe(true);
      match.stop();
      for (const peer of Object.values(match.peers)) expect(peer.events.at(-1)).toEqual({ kind: 'closed' });
    },
  );

  it('end it on both sides when one closes it, at 20 % loss too', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const world = buildPunchWorld({ seed, rttMs: RTT_MS, a: [STRICT], b: [STRICT], ...lossOf(0.2) });
      const match = new PunchMatch(world, { a: known(LINUX_WITH_DROP), b: known(LINUX_WITH_DROP) });
      expect(match.run().holes).toBeDefined();
      const closedAt = world.network.now;
      match.peers.a.stop();
      world.network.run(closedAt + 600);
      for (const peer of Object.values(match.peers)) expect(peer.events.at(-1)).toEqual({ kind: 'closed' });
      const before = match.peers.a.sent + match.peers.b.sent;
      world.network.run(closedAt + 60_000);
      expect(match.peers.a.sent + match.peers.b.sent).toBe(before);
    }
  });

  it('say that it is lost for good where the other does not come back', () => {
    const world = buildPunchWorld({ seed: 1, rttMs: RTT_MS, a: [STRICT], b: [STRICT] });
    const match = new PunchMatch(world, { a: known(LINUX_WITH_DROP), b: known(LINUX_WITH_DROP) });
    match.run();
    match.peers.a.vanish();
    world.network.run(world.network.now + 120_000);
    expect(match.peers.b.events).toMatchObject([
      { kind: 'open' },
      { kind: 'lost' },
      { kind: 'failed', reason: { code: 'no-plan' } },
    ]);
  });
});
