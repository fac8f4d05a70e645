/** Limits of answers over real sockets, whichever way UDP is answered. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { AnswerLimits } from '../../../server/answer/answer-guard.ts';
import { batchedLanesMissing } from '../../support/batched-lanes.ts';
import { describeIf } from '../../support/requirements.ts';
import { request } from '../answer/exchange.ts';
import { type LoopbackServer, startOnLoopback, UdpClient } from './loopback.ts';

const CLIENTS = 12;
const EACH = 10;
const BURST = 40;
/** So slow that nothing is gained while the test runs. */
const RATE = { perSecond: 0.001, burst: BURST };
const ONE_NETWORK: AnswerLimits = {
  rates: { ipv4Address: RATE, ipv4Network: { perSecond: 1, burst: 1e6 }, ipv6Customer: RATE },
};

let running: LoopbackServer | undefined;
afterEach(async () => {
  await running?.server.stop();
  running = undefined;
});

describe('by node:dgram', () => limitsHold(0));
describeIf(batchedLanesMissing)('by three batched lanes', () => limitsHold(3));

function limitsHold(lanes: number): void {
  it('an address has its share of all sockets together, and no more', async () => {
    running = await startOnLoopback({ lanes, answerLimits: ONE_NETWORK });
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => UdpClient.open()));
    for (const client of clients)
      for (let turn = 0; turn < EACH; turn++) client.send(request(), running.endpoints[turn % 4]!);
    const { server } = running;
    await vi.waitFor(
      () => {
        const { udp } = server.counts()[0]!;
        expect(udp.drops['rate-limit'] + udp.sends.responses).toBe(CLIENTS * EACH);
      },
      { timeout: 10_000 },
    );
    // A lane that takes a token at the same time as another may lose that: one or two more pass.
    const answered = server.counts()[0]!.udp.sends.responses;
    expect(answered).toBeGreaterThanOrEqual(BURST - 1);
    expect(answered).toBeLessThanOrEqual(BURST + (lanes === 0 ? 0 : 8));
    for (const client of clients) client.close();
  });

  it('amplification is limited', async () => {
    running = await startOnLoopback({ lanes, answerLimits: { amplification: 1 } });
    const client = await UdpClient.open();
    client.send(request(), running.endpoints[0]!);
    const { server } = running;
    await vi.waitFor(() => expect(server.counts()[0]!.udp.drops.amplification).toBe(1));
    expect(server.counts()[0]!.udp.sends.responses).toBe(0);
    client.close();
  });
}
