/** A port that Debian's miniupnpd maps, as a candidate: what it opens, and that it is gone when its member is. */
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { SERVER_ADDRESSES } from './internet.ts';
import { collectOutput, endOf } from './namespaces.ts';
import { NATPROBE_COMMAND, NATPROBE_ENVIRONMENT } from './natprobe.ts';
import {
  HOME_CLIENT,
  type HomeNetwork,
  openHomeNetwork,
  portMapperLabMissing,
  PUBLIC_ADDRESS,
} from './port-mapper-network.ts';
import { joinFrom, punchBetween } from './punches.ts';

const RUNS = 3;
/** From a mapping to its being registered. */
const SETTLE_MS = 1000;

describeIf(portMapperLabMissing())('a member whose router draws its ports, and maps one of them', () => {
  let home: HomeNetwork;
  beforeAll(async () => {
    home = await openHomeNetwork({
      outside: PUBLIC_ADDRESS,
      isBehindNat: false,
      speaks: { natPmpAndPcp: true, upnp: true },
      drawsPorts: true,
      hasPeer: true,
    });
  });
  afterAll(() => home.close());

  it('is not reached by one like it without that', async () => {
    const [ann, bob] = await Promise.all([joinFrom(home.client, 'ann'), joinFrom(home.peer, 'bob')]);
    const { reports } = await punchBetween(bob, ann);
    expect(reports.a).toMatchObject({ outcome: 'failed', predicted: { outcome: 'relay' } });
    await Promise.all([ann.leave(), bob.leave()]);
  }, 60_000);

  it.each(['the other', 'the member itself'])(
    'is reached at the mapped endpoint, as foreseen, where %s asks, and the mapping goes when it leaves',
    async (asker) => {
      const bob = await joinFrom(home.peer, 'bob');
      for (let run = 0; run < RUNS; run++) {
        const port = 5200 + run;
        const ann = await joinFrom(home.client, 'ann', { mapPort: port });
        expect((await home.listMappings()).join()).toContain(`${HOME_CLIENT}:${port}`);
        const isAsked = asker === 'the other';
        const { reports, carries } = await (isAsked ? punchBetween(bob, ann) : punchBetween(ann, bob));
        const [atBob, atAnn] = isAsked ? [reports.a, reports.b] : [reports.b, reports.a];
        expect(atBob).toMatchObject({
          outcome: 'open',
          path: 'direct',
          predicted: { outcome: 'direct' },
          endpoints: { remote: `${PUBLIC_ADDRESS}:${port}` },
        });
        expect([atAnn.outcome, carries]).toEqual(['open', true]);
        await ann.leave();
        expect(await home.listMappings()).toEqual([]);
      }
      await bob.leave();
    },
    120_000,
  );

  it('is reached so by each who punches, at another port once that is registered', async () => {
    const bob = await joinFrom(home.peer, 'bob');
    const ann = await joinFrom(home.client, 'ann', { mapPort: 5250 });
    const remotes = new Set<string | undefined>();
    for (let run = 0; run < RUNS; run++) {
      const { reports, carries } = await punchBetween(bob, ann, { closes: false });
      expect([reports.a.predicted.outcome, reports.a.path, carries]).toEqual(['direct', 'direct', true]);
      const { remote } = reports.a.endpoints;
      remotes.add(remote);
      expect((await home.listMappings()).join()).toContain(`${HOME_CLIENT}:${remote!.split(':')[1]!}`);
      for (const [member, peer] of [
        [bob, 'ann'],
        [ann, 'bob'],
      ] as const)
        member.tell({ kind: 'close', peer });
      // Until then a punch is from where the last one was.
      const count = async (): Promise<number> => (await home.listMappings()).length;
      await expect.poll(count, { timeout: 20_000 }).toBeGreaterThan(remotes.size);
      await wait(SETTLE_MS);
    }
    expect(remotes.size).toBeGreaterThan(1);
    await Promise.all([ann.leave(), bob.leave()]);
    expect(await home.listMappings()).toEqual([]);
  }, 120_000);

  it('has it mapped for as long as the command runs that took the hole over', async () => {
    const bob = await joinFrom(home.peer, 'bob');
    const [node, script] = NATPROBE_COMMAND;
    const server = ['-s', SERVER_ADDRESSES.ipv4.primary, '-4'];
    const command = 'echo "took over $NATPROBE_LOCAL"; cat';
    const flags = ['punch', 'bob', '--map-port', '5260', '--exec', command, ...server];
    const child = home.client.spawn(node, [script, ...flags], {
      env: { ...process.env, ...NATPROBE_ENVIRONMENT },
    });
    const output = collectOutput(child);
    const ended = endOf(child);
    await expect.poll(() => output.stdout, { timeout: 30_000 }).toContain('took over 192.168.1.2:5260');
    expect((await home.listMappings()).join()).toContain(`${HOME_CLIENT}:5260`);
    child.stdin!.end();
    expect([await ended, output.stderr]).toEqual([0, expect.stringContaining('Punch: open')]);
    expect(await home.listMappings()).toEqual([]);
    await bob.leave();
  }, 120_000);

  it('says what was in the way of a mapping, and punches without', async () => {
    const bob = await joinFrom(home.client, 'bob');
    // Behind the peer's router, which maps nothing.
    const [node, script] = NATPROBE_COMMAND;
    const flags = ['punch', 'bob', '--map-port', '5270', '-s', SERVER_ADDRESSES.ipv4.primary, '-4'];
    const finished = await home.peer.run(node, [script, ...flags], { env: NATPROBE_ENVIRONMENT });
    expect(finished.stderr).toMatch(/^natprobe: port 5270: .*router.*\n$/);
    expect(finished.stdout).toMatch(/^Punch: /);
    await bob.leave();
  }, 120_000);

  it('leaves the mapping there where it is to be kept', async () => {
    const ann = await joinFrom(home.client, 'ann', { mapPort: 5300, keepMapping: true });
    await ann.leave();
    expect((await home.listMappings()).join()).toContain(`${HOME_CLIENT}:5300`);
  }, 60_000);
});
