/**
 * The real server over real loopback sockets, whichever way it answers UDP. A second IPv6 loopback
 * address takes root: the lab has that.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { OTHER_ADDRESS, RESPONSE_ORIGIN } from '../../../shared/stun/attributes/address.ts';
import { XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { CHANGE_REQUEST, RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import { RECEIPT, RECEIPT_REQUEST } from '../../../shared/stun/attributes/natprobe.ts';
import { SERVER_ROLES, SERVER_ROLE_NAMES } from '../../../shared/role.ts';
import { readAttribute } from '../../../shared/stun/message.ts';
import { PADDING } from '../../../shared/stun/attributes/behaviour.ts';
import { batchedLanesMissing } from '../../support/batched-lanes.ts';
import { describeIf } from '../../support/requirements.ts';
import { request } from '../answer/exchange.ts';
import type { RunningServer } from '../../../server/server.ts';
import type { UdpCounts } from '../../../server/udp/open-udp.ts';
import { type LoopbackServer, UdpClient, loopbackFamily, startOnLoopback } from './loopback.ts';

describe('by node:dgram', () => answersOverUdp(0));
describeIf(batchedLanesMissing)('by one batched lane', () => answersOverUdp(1));
describeIf(batchedLanesMissing)('by three batched lanes', () => answersOverUdp(3));

function answersOverUdp(lanes: number): void {
  describe('over IPv4, two addresses', () => {
    let running: LoopbackServer;
    beforeAll(async () => {
      running = await startOnLoopback({ lanes });
    });
    afterAll(() => running.server.stop());

    for (const arrival of SERVER_ROLES) {
      for (const flags of SERVER_ROLES) {
        it(`${SERVER_ROLE_NAMES[arrival]} with change ${flags} is answered from the right socket`, async () => {
          const client = await UdpClient.open();
          const change = CHANGE_REQUEST.of({ address: (flags & 2) !== 0, port: (flags & 1) !== 0 });
          client.send(request([change]), running.endpoints[arrival]!);
          const [answer] = await client.hear(1);
          client.close();
          expect(answer!.from).toEqual(running.endpoints[arrival ^ flags]);
          expect(readAttribute(answer!.message, RESPONSE_ORIGIN)).toEqual(running.endpoints[arrival ^ flags]);
          expect(readAttribute(answer!.message, OTHER_ADDRESS)).toEqual(running.endpoints[arrival ^ 3]);
        });
      }
    }

    it('sends the response, then the receipt from where it was asked', async () => {
      const client = await UdpClient.open();
      const ask = [CHANGE_REQUEST.of({ address: true, port: true }), RECEIPT_REQUEST.of(84)];
      client.send(request(ask), running.endpoints[0]!);
      const [response, receipt] = await client.hear(2);
      expect([response!.message.class, response!.from]).toEqual(['success', running.endpoints[3]]);
      expect([receipt!.message.class, receipt!.from]).toEqual(['indication', running.endpoints[0]]);
      expect(readAttribute(receipt!.message, RECEIPT)).toEqual({
        sentFrom: running.endpoints[3],
        relayDelayMs: 0,
      });
      expect(readAttribute(receipt!.message, XOR_MAPPED_ADDRESS)).toEqual(client.endpoint);
      client.close();
    });

    it('answers to RESPONSE-PORT', async () => {
      const [asking, hearing] = [await UdpClient.open(), await UdpClient.open()];
      asking.send(request([RESPONSE_PORT.of(hearing.endpoint.port)]), running.endpoints[0]!);
      const [answer] = await hearing.hear(1);
      expect(readAttribute(answer!.message, XOR_MAPPED_ADDRESS)).toEqual(asking.endpoint);
      expect(asking.heard).toEqual([]);
      asking.close();
      hearing.close();
    });

    it('answers requests longer than a frame, with as much padding', async () => {
      const client = await UdpClient.open();
      const long = request([PADDING.of(9000)]);
      client.send(long, running.endpoints[2]!);
      client.send(request(), running.endpoints[2]!);
      const heard = await client.hear(2);
      expect(heard.map(({ message }) => message.bytes.length)).toEqual([long.length, 68]);
      client.close();
    });

    it('answers a thousand in a row, counts them, and is not shaken by garbage', async () => {
      const before = await settledCounts(running.server);
      const client = await UdpClient.open();
      for (let i = 0; i < 1000; i++) {
        if (i % 10 === 0) client.send(Buffer.from(`garbage ${i}`), running.endpoints[1]!);
        client.send(request(), running.endpoints[1]!);
        // The client's own receive buffer is small.
        if (i % 50 === 49) await client.hear(i + 1);
      }
      await client.hear(1000);
      client.close();
      const { answers, drops, sends } = await settledCounts(running.server);
      expect(answers.binding.PA - before.answers.binding.PA).toBe(1000);
      expect(drops['not-stun'] - before.drops['not-stun']).toBe(100);
      expect(sends.responses - before.sends.responses).toBe(1000);
      expect(sends.errors).toBe(0);
    });
  });

  it('over IPv6, one address', async () => {
    const { server, endpoints } = await startOnLoopback({
      families: [await loopbackFamily('::1', undefined)],
      selfTest: true,
      lanes,
    });
    const client = await UdpClient.open('::1');
    client.send(request(), endpoints[1]!);
    const [answer] = await client.hear(1);
    expect(endpoints).toHaveLength(2);
    expect(answer!.from).toEqual(endpoints[1]);
    expect(readAttribute(answer!.message, XOR_MAPPED_ADDRESS)).toEqual(client.endpoint);
    expect(readAttribute(answer!.message, OTHER_ADDRESS)).toBeUndefined();
    client.close();
    await server.stop();
  });

  it('behind 1:1 NAT it tells the public endpoints and tests itself at the private ones', async () => {
    const family = await loopbackFamily('127.0.0.1', '127.0.0.2');
    const advertised = family.bound.map((endpoint, role) => ({
      address: role < 2 ? '203.0.113.1' : '203.0.113.2',
      port: endpoint!.port,
    })) as unknown as typeof family.bound;
    const { server } = await startOnLoopback({
      families: [{ ...family, advertised }],
      selfTest: true,
      lanes,
    });
    const client = await UdpClient.open();
    client.send(request(), family.bound[0]);
    const [answer] = await client.hear(1);
    expect(answer!.from).toEqual(family.bound[0]);
    expect(readAttribute(answer!.message, RESPONSE_ORIGIN)).toEqual(advertised[0]);
    expect(readAttribute(answer!.message, OTHER_ADDRESS)).toEqual(advertised[3]);
    client.close();
    await server.stop();
  });

  it('stops answering, and frees its ports', async () => {
    const config = { families: [await loopbackFamily('127.0.0.1', '127.0.0.2')], selfTest: true, lanes };
    const first = await startOnLoopback(config);
    await first.server.stop();
    const client = await UdpClient.open();
    client.send(request(), config.families[0]!.bound[0]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(client.heard).toEqual([]);
    client.close();
    const second = await startOnLoopback(config);
    await second.server.stop();
  });
}

/** The counts, once all that was answered is counted as sent: a client may hear of it sooner. */
function settledCounts(server: RunningServer): Promise<UdpCounts> {
  return vi.waitFor(() => {
    const { udp } = server.counts()[0]!;
    const answers = Object.values(udp.answers).flatMap((byRole) => Object.values(byRole));
    expect(udp.sends.responses).toBe(answers.reduce((sum, count) => sum + count, 0));
    return udp;
  });
}
