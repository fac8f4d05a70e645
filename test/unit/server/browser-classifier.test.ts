/** A page measured over real loopback sockets and HTTP, by hand: the lane hands over what is a session's, and nothing else. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeCheck, encodeCheckResponse } from '../../../shared/ice/check.ts';
import { iceCredentials } from '../../../shared/ice/credentials.ts';
import type { Verdict } from '../../../shared/nat/verdict.ts';
import { Random } from '../../sim/random.ts';
import { attributeOf, browserCheck, type HandMadeConnection } from '../../support/ice.ts';
import { USERNAME } from '../../../shared/stun/attributes/text.ts';
import { batchedLanesMissing } from '../../support/batched-lanes.ts';
import { describeIf } from '../../support/requirements.ts';
import { request } from '../answer/exchange.ts';
import { type LoopbackServer, loopbackConfig, startOnLoopback, UdpClient } from './loopback.ts';

const random = new Random(1);

describe('by node:dgram', () => measuresBrowsers(0));
describeIf(batchedLanesMissing)('by batched lanes', () => measuresBrowsers(2));

function measuresBrowsers(lanes: number): void {
  let running: LoopbackServer;
  let base: string;

  beforeAll(async () => {
    const http = { host: '127.0.0.1', port: 0, required: true };
    running = await startOnLoopback({ ...(await loopbackConfig()), http, lanes });
    base = `http://127.0.0.1:${running.server.http!.port}`;
  });
  afterAll(() => running.server.stop());

  it('a page on this machine is open; others are answered as ever meanwhile', async () => {
    const credentials = [1, 2].map(() => iceCredentials(random.bytes(24)));
    const [filtering, mapping] = credentials.map(({ ufrag, password }) =>
      [
        'v=0',
        'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
        `a=ice-ufrag:${ufrag}`,
        `a=ice-pwd:${password}`,
        'a=mid:0',
        '',
      ].join('\r\n'),
    );
    const begun = await post<{ id: string; filtering: string; mapping: string[] }>('/classify/browser', {
      filtering,
      mapping: [mapping],
    });
    const connections = [begun.filtering, ...begun.mapping].map((sdp, index): HandMadeConnection => {
      const ours = { ufrag: attributeOf(sdp, 'ice-ufrag'), password: attributeOf(sdp, 'ice-pwd') };
      return { theirs: credentials[index]!, ours };
    });
    const [first, second] = [await UdpClient.open(), await UdpClient.open()];
    const closeFirst = answerChecks(first, connections[0]!);
    const closeSecond = answerChecks(second, connections[1]!);
    first.send(browserCheck({ random }, connections[0]!), running.endpoints[0]!);
    for (const endpoint of running.endpoints)
      second.send(browserCheck({ random }, connections[1]!), endpoint);

    const other = await UdpClient.open();
    other.send(request([]), running.endpoints[0]!);
    // It looks like a browser's check, and is none's.
    other.send(request([USERNAME.of('nobody:here')]), running.endpoints[3]!);
    const heard = await other.hear(2);
    expect(heard.map(({ message }) => message.class)).toEqual(['success', 'success']);
    expect(new Set(heard.map(({ from }) => from.port))).toEqual(
      new Set([running.endpoints[0]!.port, running.endpoints[3]!.port]),
    );
    other.close();

    const stats = { localCandidates: 1, pairs: 1, localType: 'host' };
    const { id, verdict } = await post<{ id: string; verdict: Verdict }>(`/classify/browser/${begun.id}`, {
      filtering: stats,
      mapping: [stats],
    });
    expect(verdict.type).toBe('open');
    closeFirst();
    closeSecond();
    const kept = await fetch(`${base}/classify/${id}`);
    expect(await kept.json()).toMatchObject({ source: 'browser', verdict: { type: 'open' } });
  });

  async function post<T>(path: string, body: object): Promise<T> {
    const response = await fetch(`${base}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    expect(response.status).toBe(201);
    return (await response.json()) as T;
  }
}

/** As an ICE agent does, until the returned function is called. */
function answerChecks(client: UdpClient, { theirs }: HandMadeConnection): () => void {
  let answered = 0;
  const timer = setInterval(() => {
    for (; answered < client.heard.length; answered++) {
      const { message, from } = client.heard[answered]!;
      const check = decodeCheck(message);
      if (check?.receiverUfrag !== theirs.ufrag) continue;
      client.send(encodeCheckResponse(check.transactionId, from, theirs.password), from);
    }
  }, 2);
  return () => {
    clearInterval(timer);
    client.close();
  };
}
