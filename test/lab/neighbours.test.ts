/** Punches between two behind one NAT: on their LAN, by way of that NAT, or not at all (MEASURING.md §3). */
import { expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { labMissing } from './namespaces.ts';
import { type NeighbourSetting, type Neighbours, openNeighbours, SHARED_ADDRESS } from './neighbours.ts';
import { joinFrom, type LabPunch, punchBetween } from './punches.ts';

const RUNS = 5;
/** Each takes all of its attempts. */
const FAILING_RUNS = 2;

/** Punches in turn from either side, several times. */
async function punchNeighbours(
  setting: NeighbourSetting,
  use: (punch: LabPunch, neighbours: Neighbours) => void,
  runs = RUNS,
): Promise<void> {
  const neighbours = await openNeighbours(setting);
  try {
    const [ann, bob] = await Promise.all(
      neighbours.clients.map((client, index) => joinFrom(client, ['ann', 'bob'][index]!)),
    );
    for (let run = 0; run < runs; run++) {
      const punch = await (run % 2 === 0 ? punchBetween(ann!, bob!) : punchBetween(bob!, ann!));
      use(punch, neighbours);
    }
    await Promise.all([ann!.leave(), bob!.leave()]);
  } finally {
    await neighbours.close();
  }
}

describeIf(labMissing())('two behind one NAT', () => {
  it.each([true, false])(
    'on one LAN meet there, whether the NAT turns packets back in or not: %s',
    (hairpin) =>
      punchNeighbours({ live: 'on-one-lan', hairpin }, ({ reports, carries }) => {
        for (const report of [reports.a, reports.b])
          expect(report).toMatchObject({
            outcome: 'open',
            path: 'lan',
            endpoints: { remote: expect.stringMatching(/^192\.168\.1\.[23]:/) as string },
          });
        expect(carries).toBe(true);
      }),
    60_000,
  );

  it.each(['on-two-lans', 'in-two-homes'] as const)(
    'meet by way of it %s, where it turns packets back in',
    (live) =>
      punchNeighbours({ live, hairpin: true }, ({ reports, carries }) => {
        for (const report of [reports.a, reports.b])
          expect(report).toMatchObject({
            outcome: 'open',
            path: 'hairpin',
            endpoints: { remote: expect.stringContaining(SHARED_ADDRESS) as string },
          });
        expect(carries).toBe(true);
      }),
    60_000,
  );

  it.each(['on-two-lans', 'in-two-homes'] as const)(
    'can’t meet %s where it does not, and are told so in time',
    (live) =>
      punchNeighbours(
        { live, hairpin: false },
        ({ reports }) => {
          for (const report of [reports.a, reports.b])
            expect(report).toMatchObject({
              outcome: 'failed',
              reason: expect.stringMatching(/\w/) as string,
            });
        },
        FAILING_RUNS,
      ),
    60_000,
  );

  it('are not deceived by strangers who own the other’s private address here', async () => {
    const answered: number[] = [];
    await punchNeighbours(
      { live: 'in-two-homes', hairpin: true, strangers: true },
      ({ reports, carries }, { strangers }) => {
        expect([reports.a.path, reports.b.path, carries]).toEqual(['hairpin', 'hairpin', true]);
        for (const [index, stranger] of strangers.entries()) answered[index] = stranger.answered;
      },
    );
    expect(answered).toHaveLength(2);
    for (const count of answered) expect(count).toBeGreaterThan(0);
  }, 60_000);
});
