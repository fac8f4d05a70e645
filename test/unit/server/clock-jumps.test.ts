/** A machine's clock that is set, by an hour or by years, while natprobed runs: what goes by it, and what doesn't. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WITNESS } from '../../../shared/stun/attributes/natprobe.ts';
import { decodeMessage, readAttribute } from '../../../shared/stun/message.ts';
import type { GivenWitness } from '../../../shared/report/witnesses.ts';
import { WitnessMaker } from '../../../server/answer/witness.ts';
import { monotonicMs } from '../../../server/udp/limits.ts';
import { checkBrokerWitness } from '../../../server/witness/check-witnesses.ts';
import { WitnessKeys, witnessKeyOf } from '../../../server/witness/witness-keys.ts';
import { BROKER_KEY, BrokerPlay, inShort, witnessOf } from '../../support/broker.ts';
import { CLIENT, createCore, ENDPOINTS, exchange, ID, request } from '../answer/exchange.ts';
import { startOnLoopback, UdpClient } from './loopback.ts';

const HOUR_MS = 3_600_000;
const JUMPS = [
  ['forward by an hour', HOUR_MS],
  ['back by an hour', -HOUR_MS],
  ['back by thirty years', -30 * 365 * 24 * HOUR_MS],
] as const;

describe.each(JUMPS)('a clock set %s', (_, jumpMs) => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());

  it('gives nobody new answers, and takes none from others', async () => {
    const slow = { perSecond: 0.001, burst: 3 };
    const rates = { ipv4Address: slow, ipv4Network: { perSecond: 1, burst: 1000 }, ipv6Customer: slow };
    const { server, endpoints } = await startOnLoopback({ lanes: 0, answerLimits: { rates } });
    const [greedy, other] = [await UdpClient.open(), await UdpClient.open('127.0.0.9')];
    try {
      const ask = (client: UdpClient): void => client.send(request(), endpoints[0]!);
      for (let turn = 0; turn < 4; turn++) ask(greedy);
      await greedy.hear(3);
      const before = monotonicMs();
      vi.setSystemTime(Date.now() + jumpMs);
      expect(Math.abs(monotonicMs() - before)).toBeLessThan(HOUR_MS / 2);
      ask(greedy);
      ask(other);
      await other.hear(1);
      expect(greedy.heard).toHaveLength(3);
      expect(server.counts()[0]!.udp.drops['rate-limit']).toBe(2);
    } finally {
      greedy.close();
      other.close();
      await server.stop();
    }
  });
});

describe('witnesses', () => {
  const NONCE = '00112233445566778899aabbccddeeff';
  const KEYS = new WitnessKeys(witnessKeyOf(new Uint8Array(32).fill(3)));
  const START_MS = Date.UTC(2026, 0, 1);

  /** As the answer core gives it by a clock that stands there. */
  function witnessAt(nowMs: number): GivenWitness {
    const core = createCore('ipv4', { witness: new WitnessMaker(KEYS, () => nowMs) });
    const nonce = Buffer.from(NONCE, 'hex');
    const asked = WITNESS.of({ kind: 'asked', purpose: 'broker', nonce, fillerLength: 100 });
    const [answer] = exchange(core, request([asked]));
    const decoded = decodeMessage(Buffer.from(answer!.hex, 'hex'));
    const given = decoded.kind === 'message' ? readAttribute(decoded.message, WITNESS) : undefined;
    if (given?.kind !== 'given') throw new Error('no witness');
    const { keyId, madeAtMs, mac } = given;
    const [to] = ENDPOINTS.ipv4;
    return { transactionId: ID, to, mapped: CLIENT, keyId, madeAtMs, mac: Buffer.from(mac).toString('hex') };
  }

  it.each(JUMPS)('of before are stale once the clock is set %s, and the next ones are good', (_, jumpMs) => {
    const before = witnessAt(START_MS);
    const after = witnessAt(START_MS + jumpMs);
    const nowMs = START_MS + jumpMs + 1000;
    expect(checkBrokerWitness(before, NONCE, KEYS, nowMs)).toBeUndefined();
    expect(checkBrokerWitness(after, NONCE, KEYS, nowMs)).toEqual({ agoMs: 1000, leftMs: 89_000 });
  });

  it('outlast a clock that is put right by seconds', () => {
    for (const stepMs of [-20_000, 20_000])
      expect(checkBrokerWitness(witnessAt(START_MS), NONCE, KEYS, START_MS + stepMs)).toEqual({
        agoMs: Math.max(0, stepMs),
        leftMs: 90_000 - stepMs,
      });
  });
});

describe('peers of the broker', () => {
  const [ann, bob] = [
    { address: '198.51.100.7', port: 40000 },
    { address: '203.0.113.9', port: 50000 },
  ];

  it.each(JUMPS)('stay to be punched with when the clock is set %s, and register as ever', (_, jumpMs) => {
    let epochMs = Date.UTC(2026, 0, 1);
    const keys = new WitnessKeys(BROKER_KEY);
    const play: BrokerPlay = new BrokerPlay({
      checkWitness: (witness, nonce) => checkBrokerWitness(witness, nonce, keys, epochMs + play.now),
    });
    const register = (name: string, at: typeof ann): { connection: number; nonce: string } => {
      const peer = play.greet(name);
      const given = witnessOf(peer.nonce, at, epochMs + play.now);
      const said = play.say(peer.connection, {
        kind: 'candidates',
        public: [given],
        private: [],
        mapped: [],
      });
      expect(inShort(said)).toEqual([`${peer.connection} registered`]);
      return peer;
    };
    register('ann', ann);
    epochMs += jumpMs;
    play.wait(10_000);
    const asker = register('bob', bob);
    const said = play.say(asker.connection, { kind: 'introduce', id: 1, peer: 'ann' });
    expect(inShort(said)).toEqual(['2 plan', '1 plan']);
  });
});
