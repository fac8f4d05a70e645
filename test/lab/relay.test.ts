/** Pairs that no punch opens, relayed by coturn between kernel NATs: by its settings of deploy/, with lifetimes as short as it takes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { COTURN_PORT, startCoturn } from '../support/coturn.ts';
import { describeIf } from '../support/requirements.ts';
import { missingPrograms } from '../support/system-programs.ts';
import { copyThroughHole, hashOfFile, writeNoise } from './copies.ts';
import { openInternet, type Internet, SERVER_ADDRESSES, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import type { RunningServer } from './natprobe.ts';
import { labNat } from './nats.ts';
import { carriesBothWays, joinFrom, type Member, punchBetween, startBroker } from './punches.ts';
import { chatThroughHole, runThroughHole } from './stream-pairs.ts';
import { startUdpEcho } from './udp-echo.ts';

const SECRET = 'a secret of this test alone';
const RELAY = SERVER_ADDRESSES.ipv4.primary;
/** Allocations and nonces that hold for so long; each is renewed at half of it. */
const LIFETIME_S = 10;

describeIf(labMissing() ?? missingPrograms('turnserver'))('a relay between two random symmetric NATs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-relay-'));
  let internet: Internet;
  let server: RunningServer;
  let relay: RunningServer;
  let alice: Site;
  let bob: Site;

  const startRelay = (secret = SECRET): Promise<RunningServer> =>
    startCoturn({
      address: RELAY,
      secret,
      change: { 'max-allocate-lifetime': `${LIFETIME_S}`, 'stale-nonce': `${LIFETIME_S}` },
      spawn: (...call) => internet.server.spawn(...call),
    });

  beforeAll(async () => {
    internet = await openInternet();
    const file = join(folder, 'secret');
    writeFileSync(file, SECRET);
    const flags = ['--relay', `turn:${RELAY}:${COTURN_PORT}`, '--relay-secret-file', file];
    [server, relay, alice, bob] = await Promise.all([
      startBroker(internet, undefined, flags),
      startRelay(),
      internet.attach(labNat('symmetric-random')),
      internet.attach(labNat('symmetric-random')),
    ]);
  });
  afterAll(async () => {
    await Promise.all([server.stop(), relay.stop()]);
    await internet.close();
    rmSync(folder, { recursive: true });
  });

  it('carries what both send, at once, and for longer than any of its lifetimes', async () => {
    const [a, b] = await join2();
    const { reports, carries } = await punchBetween(a, b, { closes: false });
    expect(carries).toBe(true);
    for (const report of Object.values(reports))
      expect(report).toMatchObject({ outcome: 'open', path: 'relay', strategy: 'relay', attempts: 1 });
    const { relayed } = reports.a.endpoints;
    expect(relayed).toMatch(new RegExp(`^${RELAY}:5\\d{4}$`));
    expect(reports.b.endpoints.relayed).toBe(relayed);
    const remotes = [reports.a, reports.b].map(({ endpoints }) => endpoints.remote);
    // Who sends to the relay's address, and whom the relay sees.
    expect(remotes.filter((remote) => remote === relayed)).toHaveLength(1);
    expect(remotes.filter((remote) => remote?.startsWith('198.51.100.'))).toHaveLength(1);

    await new Promise((resolve) => setTimeout(resolve, 1.5 * LIFETIME_S * 1000));
    expect(await carriesBothWays(a, b)).toBe(true);
    expect(await isAllocated(relayed!)).toBe(true);
    a.tell({ kind: 'close', peer: b.name });
    // Sooner than it would have expired.
    await expect.poll(() => isAllocated(relayed!), { timeout: (LIFETIME_S * 1000) / 2 - 500 }).toBe(false);
    await leave(a, b);
  });

  it('lets two people chat', async () => {
    expect(await chatThroughHole(alice.client, bob.client)).toMatch(/open by a relay/);
  });

  it('carries 5 MB as they were', { timeout: 120_000 }, async () => {
    const [from, to] = [join(folder, 'from'), join(folder, 'to')];
    writeNoise(from, 5);
    await copyThroughHole(alice.client, bob.client, from, to);
    expect(await hashOfFile(to)).toBe(await hashOfFile(from));
  });

  it('has a UDP program ask one on the other side, in packets that go everywhere whole', async () => {
    const echo = await startUdpEcho(bob.client);
    const ends = await runThroughHole(alice.client, bob.client, {
      alice: ['--bridge', '127.0.0.1:9', '--bridge-port', '5555'],
      bob: ['--bridge', `127.0.0.1:${echo.port}`],
    });
    await Promise.all([ends.alice.said(/^Bridge: /m), ends.bob.said(/^Bridge: /m)]);
    expect(await echo.ask(alice.client, 5555, [1, 700, 1404])).toEqual([1, 700, 1404]);
    ends.alice.process.kill('SIGINT');
    expect(await Promise.all([ends.alice.ended, ends.bob.ended])).toEqual([130, 0]);
    echo.stop();
  });

  it('is missed, said why, where it takes other credentials or does not run; and used once it does', async () => {
    const [a, b] = await join2();
    const reasons = async (): Promise<string[]> => {
      const { reports } = await punchBetween(a, b);
      for (const report of Object.values(reports))
        expect(report).toMatchObject({ outcome: 'failed', code: 'no-relay' });
      return Object.values(reports).map(({ reason }) => reason!);
    };
    await relay.stop();
    for (const reason of await reasons())
      expect(reason).toMatch(new RegExp(`the relay at ${RELAY} (is not running|does not answer)`));
    relay = await startRelay('another secret');
    for (const reason of await reasons())
      expect(reason).toMatch(/does not take the credentials.*\(401 .*\)$/);
    await relay.stop();
    relay = await startRelay();
    expect((await punchBetween(a, b)).carries).toBe(true);
    await leave(a, b);
  });

  /** Whether the relay has a socket with that port. */
  async function isAllocated(relayed: string): Promise<boolean> {
    const port = Number(relayed.split(':')[1]).toString(16).toUpperCase().padStart(4, '0');
    const { stdout } = await internet.server.run('cat', ['/proc/net/udp']);
    return stdout.includes(`:${port} `);
  }

  async function join2(): Promise<[Member, Member]> {
    return Promise.all([joinFrom(alice.client, 'alice'), joinFrom(bob.client, 'bob')]);
  }

  async function leave(...members: Member[]): Promise<void> {
    await Promise.all(members.map((member) => member.leave()));
  }
});
