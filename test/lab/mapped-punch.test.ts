/** A port that Debian's miniupnpd maps, as a candidate: what it opens, and that it is gone when its member is. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import {
  HOME_CLIENT,
  type HomeNetwork,
  openHomeNetwork,
  portMapperLabMissing,
  PUBLIC_ADDRESS,
} from './port-mapper-network.ts';
import { joinFrom, punchBetween } from './punches.ts';

const RUNS = 3;

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

  it('leaves the mapping there where it is to be kept', async () => {
    const ann = await joinFrom(home.client, 'ann', { mapPort: 5300, keepMapping: true });
    await ann.leave();
    expect((await home.listMappings()).join()).toContain(`${HOME_CLIENT}:5300`);
  }, 60_000);
});
