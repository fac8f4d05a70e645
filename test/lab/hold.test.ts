/** Holes that stay: past the timeouts of the NATs in between, and anew where those have forgotten them. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { conntrackLifetimeNat } from './axis-nats.ts';
import { type Internet, openInternet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { type LabNat, labNat } from './nats.ts';
import { carriesBothWays, joinFrom, type Member, punchBetween, startBroker } from './punches.ts';

/** Longer than the 15 s from one keepalive to the next, where nobody has measured the lifetime. */
const TIMEOUT_S = 20;
const IDLE_MS = 27_000;
const SETTLE_MS = 500;

describeIf(labMissing())('an open hole', () => {
  let internet: Internet;
  beforeAll(async () => {
    internet = await openInternet();
    await startBroker(internet);
  });
  afterAll(() => internet.close());

  async function meet(hers: LabNat, his: LabNat): Promise<Record<'ann' | 'bob', [Site, Member]>> {
    const [ann, bob] = await Promise.all(
      ([hers, his] as const).map(async (nat, index): Promise<[Site, Member]> => {
        const site = await internet.attach(nat);
        return [site, await joinFrom(site.client, `${nat.name} ${index}`)];
      }),
    );
    return { ann: ann!, bob: bob! };
  }

  it.concurrent(
    'is there after a silence that its mappings would not have survived',
    async () => {
      const nat = conntrackLifetimeNat('port-restricted-cone', TIMEOUT_S, TIMEOUT_S).nat;
      const {
        ann: [, ann],
        bob: [, bob],
      } = await meet(nat, nat);
      const { reports } = await punchBetween(ann, bob, { closes: false });
      expect(reports.a.outcome).toBe('open');
      const lost = watchLoss(ann, bob);
      await wait(IDLE_MS);
      expect(lost.by).toEqual([]);
      // One way alone: who sends first would open its own NAT, and not the other's.
      const heard = bob.next((event) => (event.kind === 'received' ? event.text : undefined));
      ann.tell({ kind: 'send', peer: bob.name, text: 'still there?' });
      expect(await heard).toBe('still there?');
      await Promise.all([ann.leave(), bob.leave()]);
    },
    120_000,
  );

  it.concurrent(
    'is made again where its mapping is gone, and carries',
    async () => {
      const { ann, bob } = await meet(labNat('symmetric-random'), labNat('port-restricted-cone'));
      const { reports } = await punchBetween(ann[1], bob[1], { closes: false });
      expect(reports.a.outcome).toBe('open');
      const ends = ([ann, bob] as const).map(([, member], index) => {
        const peer = [bob, ann][index]![1].name;
        const next = (kind: 'lost' | 'reopened'): Promise<true> =>
          member.next((event) => (event.kind === kind && event.peer === peer ? true : undefined));
        return Promise.all([next('lost'), next('reopened')]);
      });
      // What is still on its way would be the first packet of a flow that begins outside.
      await wait(SETTLE_MS);
      await Promise.all([ann[0].forget(), bob[0].forget()]);
      await Promise.all(ends);
      expect(await carriesBothWays(ann[1], bob[1])).toBe(true);
      await Promise.all([ann[1].leave(), bob[1].leave()]);
    },
    120_000,
  );
});

/** By whom it is said that the hole is lost. */
function watchLoss(...members: readonly Member[]): { readonly by: readonly string[] } {
  const by: string[] = [];
  for (const member of members)
    member
      .next((event) => (event.kind === 'lost' ? true : undefined))
      .then(
        () => by.push(member.name),
        () => undefined,
      );
  return { by };
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
