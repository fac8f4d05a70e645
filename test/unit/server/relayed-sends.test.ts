/** Both ends of a relay at the sockets: what lanes hand over for a partner, and what they send for one. */
import { Worker } from 'node:worker_threads';
import { afterEach, expect, it, vi } from 'vitest';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { OTHER_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { CHANGE_REQUEST } from '../../../shared/stun/attributes/behaviour.ts';
import { RECEIPT_REQUEST } from '../../../shared/stun/attributes/natprobe.ts';
import { readAttribute } from '../../../shared/stun/message.ts';
import type { AnswerLimits } from '../../../server/answer/answer-guard.ts';
import type { PartnerEndpoints, RelayedAnswer } from '../../../server/answer/relayed-answer.ts';
import { WitnessMaker } from '../../../server/answer/witness.ts';
import type { FamilyConfig } from '../../../server/config.ts';
import { openUdp, type OpenUdp } from '../../../server/udp/open-udp.ts';
import { WitnessKeys, witnessKeyOf } from '../../../server/witness/witness-keys.ts';
import { batchedLanesMissing } from '../../support/batched-lanes.ts';
import { describeIf } from '../../support/requirements.ts';
import { request } from '../answer/exchange.ts';
import { type Heard, loopbackFamily, UdpClient } from './loopback.ts';

/** A loaded machine takes long to start threads. */
const PATIENCE = { timeout: 20_000, interval: 20 };
const CHANGE = CHANGE_REQUEST.of({ address: true, port: true });
const PARTNER: PartnerEndpoints = {
  ipv4: [
    { address: '192.0.2.2', port: 3478 },
    { address: '192.0.2.2', port: 3479 },
  ],
};

const opened: OpenUdp[] = [];
const clients: UdpClient[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((udp) => udp.close()));
  for (const client of clients.splice(0)) client.close();
});

interface Started {
  readonly udp: OpenUdp;
  readonly family: FamilyConfig;
  readonly relayed: readonly RelayedAnswer[];
  readonly workers: readonly Worker[];
  readonly client: UdpClient;
}

async function start(lanes: number, limits?: AnswerLimits): Promise<Started> {
  const family = await loopbackFamily('127.0.0.1', undefined);
  const keys = new WitnessKeys(witnessKeyOf(new Uint8Array(32)));
  const relayed: RelayedAnswer[] = [];
  const workers: Worker[] = [];
  const udp = await openUdp(
    {
      families: [{ config: family, answers: { family: family.family, endpoints: family.advertised } }],
      lanes,
      witnessKeys: keys,
      witness: new WitnessMaker(keys, Date.now),
      relay: (answer) => relayed.push(answer),
      ...(limits && { limits }),
      log: () => undefined,
    },
    (module, options) => {
      const worker = new Worker(module, options);
      workers.push(worker);
      return worker;
    },
  );
  opened.push(udp);
  const client = await UdpClient.open();
  clients.push(client);
  return { udp, family, relayed, workers, client };
}

/** Sends and waits for the next datagram that is heard. */
async function ask(client: UdpClient, bytes: Uint8Array, to: Endpoint): Promise<Heard> {
  const before = client.heard.length;
  client.send(bytes, to);
  return (await client.hear(before + 1))[before]!;
}

describeIf(batchedLanesMissing)('with lanes and without', () => {
  it.each([0, 2])('--lanes %d: what is to come from a partner’s address is handed over', async (lanes) => {
    const { udp, family, relayed, client } = await start(lanes);
    const [pp, pa] = family.bound;
    udp.usePartner(PARTNER);
    // The two may be asked of different lanes, and each has to have heard of the partner.
    await vi.waitFor(async () => {
      for (const [index, endpoint] of [pp, pa].entries()) {
        const { message } = await ask(client, request(), endpoint);
        expect(readAttribute(message, OTHER_ADDRESS)).toEqual(PARTNER.ipv4![1 - index]);
      }
    }, PATIENCE);
    client.send(request([CHANGE, RECEIPT_REQUEST.of(200)]), pp);
    client.send(request([CHANGE]), pa);
    await vi.waitFor(() => expect(relayed).toHaveLength(2), PATIENCE);
    const byPort = relayed.toSorted((a, b) => b.port - a.port);
    expect(byPort.map(({ port, arrival, receipt }) => [port, arrival, receipt !== undefined])).toEqual([
      [1, 0, true],
      [0, 1, false],
    ]);
    expect(byPort[0]).toMatchObject({ family: 'ipv4', to: client.endpoint, source: client.endpoint });
  });

  it.each([0, 2])('--lanes %d: nothing is handed over once the partner is gone', async (lanes) => {
    const { udp, family, relayed, client } = await start(lanes);
    udp.usePartner(PARTNER);
    udp.usePartner(undefined);
    await vi.waitFor(async () => {
      const { message } = await ask(client, request([CHANGE]), family.bound[0]);
      expect(message.class).toBe('error');
    }, PATIENCE);
    expect(relayed).toEqual([]);
  });

  it('a lane that is started again knows the partner', async () => {
    const { udp, family, relayed, workers, client } = await start(1);
    udp.usePartner(PARTNER);
    void workers[0]!.terminate();
    await vi.waitFor(() => expect(udp.status().restarts).toBe(1), PATIENCE);
    client.send(request([CHANGE]), family.bound[0]);
    await vi.waitFor(() => expect(relayed).toHaveLength(1), PATIENCE);
  });

  it.each([0, 2])(
    '--lanes %d: what a partner asks for leaves from its port, within the limits',
    async (lanes) => {
      const one = { perSecond: 1, burst: 2 };
      const rates = { ipv4Address: one, ipv4Network: one, ipv6Customer: one };
      const { udp, family, client } = await start(lanes, { rates });
      const out = udp.relayed('ipv4')!;
      expect(udp.relayed('ipv6')).toBeUndefined();
      const response = request();
      const outcomes: boolean[] = [];
      for (let i = 0; i < 2; i++) {
        expect(out.admit(client.endpoint, response.length)).toBe(true);
        out.sender.sendOwn(1, client.endpoint, response, 'responses', (isSent) => outcomes.push(isSent));
      }
      expect(out.admit(client.endpoint, response.length)).toBe(false);
      await vi.waitFor(() => expect(client.heard).toHaveLength(2), PATIENCE);
      expect(client.heard.map(({ from }) => from)).toEqual([family.bound[1], family.bound[1]]);
      expect(outcomes).toEqual([true, true]);
      const { sends, drops } = udp.counts(0);
      expect([sends.responses, drops['rate-limit']]).toEqual([2, 1]);
      out.sender.sendOwn(2, client.endpoint, response, 'responses', (isSent) => outcomes.push(isSent));
      expect(outcomes).toEqual([true, true, false]);
    },
  );
});
