/**
 * Three natprobed over three NATS servers (Debian's nats-server) on this machine, with peers spread over
 * them: introductions a second between servers and how long one takes; and, once a natprobed and a NATS
 * server are killed while peers are introduced, how introductions end, how long the longest takes, and
 * after how long each peer has been found again by one at another server.
 *
 *     npm run bench:cluster [-- PEERS [SECONDS]]
 *
 * Ends in 1 if an introduction takes more than 5 s, or a peer more than 20 s to be reachable again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { number, readArguments } from '../support/arguments.ts';
import {
  type ClusterPeer,
  failDuringIntroductions,
  joinPeers,
  startBrokerCluster,
} from '../support/broker-cluster.ts';
import { natsMissing } from '../support/nats-server.ts';

const AT_ONCE = 16;
/** Of fewer each would ask for more introductions than it may; and of so many connections. */
const FEWEST_PEERS = 1000;
const MOST_PEERS = 60_000;
const PER_ROOM = 250;
const LONGEST_INTRODUCTION_MS = 5000;
const LONGEST_ABSENCE_MS = 20_000;
const { peers: count, seconds } = readArguments(
  'bench:cluster',
  {
    peers: number(3000, { least: FEWEST_PEERS, most: MOST_PEERS, step: PER_ROOM }),
    seconds: number(10, { least: 1 }),
  },
  ['peers', 'seconds'],
);

/** As many as can be had (`perSecond` absent), or at that pace. */
async function introduce(peers: readonly ClusterPeer[], perSecond?: number): Promise<number[]> {
  const tookMs: number[] = [];
  const refused: Record<string, number> = {};
  const endsAt = performance.now() + 1000 * seconds;
  let turn = 0;
  const one = async (dueAt: number): Promise<void> => {
    const asker = peers[turn++ % peers.length]!;
    const room = Math.floor(asker.index / PER_ROOM) * PER_ROOM;
    const size = Math.min(PER_ROOM, peers.length - room);
    // One or two on: never of the same server.
    const asked = peers[room + ((asker.index - room + 1 + (turn % 2)) % size)]!;
    const { end } = await asker.introduce(asked.name);
    if (end === 'plan') tookMs.push(performance.now() - dueAt);
    else refused[end] = (refused[end] ?? 0) + 1;
  };
  if (perSecond === undefined) {
    const inTurn = async (): Promise<void> => {
      while (performance.now() < endsAt) await one(performance.now());
    };
    await Promise.all(Array.from({ length: AT_ONCE }, inTurn));
  } else {
    const under: Promise<void>[] = [];
    for (let dueAt = performance.now(); dueAt < endsAt; dueAt += 1000 / perSecond) {
      const waitMs = dueAt - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      under.push(one(dueAt));
    }
    await Promise.all(under);
  }
  const others = Object.values(refused).reduce((sum, times) => sum + times, 0);
  if (others > tookMs.length / 100)
    throw new Error(`refused: ${JSON.stringify(refused)} beside ${tookMs.length}`);
  return tookMs.sort((a, b) => a - b);
}

async function main(): Promise<number> {
  const missing = natsMissing();
  if (missing !== undefined) {
    console.error(`bench:cluster cannot run: ${missing}`);
    return 2;
  }
  console.log(`Node ${process.version}, 3 natprobed, 3 nats-server, ${count} peers, ${seconds} s each\n`);
  const cluster = await startBrokerCluster();
  let peers: ClusterPeer[] = [];
  try {
    const startedAt = performance.now();
    peers = await joinPeers(cluster, count, PER_ROOM);
    const joinedMs = performance.now() - startedAt;
    const all = await introduce(peers);
    const perSecond = all.length / seconds;
    const half = await introduce(peers, perSecond / 2);
    const { ends, longestMs, reachableAfterMs } = await failDuringIntroductions(
      cluster,
      peers,
      AT_ONCE,
      PER_ROOM,
    );
    const renamed = peers.reduce((sum, peer) => sum + peer.renamed, 0);
    console.log(`joins a second                         ${(count / (joinedMs / 1000)).toFixed(0)}`);
    console.log(`introductions a second between servers ${perSecond.toFixed(0)}`);
    console.log(`  p50, p99 ms at half of that          ${at(half, 0.5)}, ${at(half, 0.99)}`);
    console.log('after kill -9 of a natprobed and a NATS server');
    console.log(`  introductions ended in               ${JSON.stringify(ends)}`);
    console.log(`  the longest, s                       ${(longestMs / 1000).toFixed(2)}`);
    console.log(`  each peer reachable after, s         ${(reachableAfterMs / 1000).toFixed(1)}`);
    console.log(`  peers under another number           ${renamed}`);
    return longestMs > LONGEST_INTRODUCTION_MS || reachableAfterMs > LONGEST_ABSENCE_MS || renamed > 0
      ? 1
      : 0;
  } finally {
    for (const peer of peers) peer.close();
    await cluster.remove();
  }
}

/** Of numbers in rising order. */
function at(sorted: readonly number[], share: number): string {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!.toFixed(1);
}

process.exitCode = await main();
