/** Three natprobed over three NATS servers: their peers are in one room, also while one of each is killed. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type BrokerCluster,
  type ClusterPeer,
  failDuringIntroductions,
  joinPeers,
  startBrokerCluster,
} from '../support/broker-cluster.ts';
import { natsMissing } from '../support/nats-server.ts';
import { describeIf } from '../support/requirements.ts';

describeIf(natsMissing())('three natprobed and three NATS servers', () => {
  let cluster: BrokerCluster;
  let peers: ClusterPeer[] = [];
  beforeAll(async () => {
    cluster = await startBrokerCluster();
    peers = await joinPeers(cluster, 45);
  }, 120_000);
  afterAll(async () => {
    for (const peer of peers) peer.close();
    await cluster.remove();
  });

  it('introduce peers to each other, wherever they are', async () => {
    const [one, two, three] = [peers[0]!, peers[1]!, peers[2]!];
    expect([one, two, three].map(({ server }) => server)).toEqual([0, 1, 2]);
    const ends = [
      await one.introduce(two.name),
      await two.introduce(three.number),
      await three.foresee(one.name),
    ];
    expect(ends.map(({ end }) => end)).toEqual(['plan', 'plan', 'prediction']);
    expect((await one.introduce('nobody')).end).toBe('ERR_NO_PEER');
  });

  it('end each introduction within 5 s while a natprobed and a NATS server are killed, and have all peers reachable within 20 s', async () => {
    const numbers = peers.map(({ number }) => number);
    const { ends, longestMs, reachableAfterMs } = await failDuringIntroductions(cluster, peers, 4);
    expect(ends).not.toHaveProperty('none');
    expect(longestMs).toBeLessThan(5000);
    expect(reachableAfterMs).toBeLessThan(20_000);
    expect(peers.map(({ number }) => number)).toEqual(numbers);
  }, 120_000);
});
