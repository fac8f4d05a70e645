/** Holes between members of a room behind the kernel's NATs, through a real natprobed (MEASURING.md §7). */
import { expect, it } from 'vitest';
import { predict } from '../../probe/index.ts';
import { describeIf } from '../support/requirements.ts';
import { labMissing } from './namespaces.ts';
import { labNat } from './nats.ts';
import { type PairPunch, punchAllPairs, punchOnePair } from './punch-pairs.ts';

/** {no NAT, EIM, ADM, APDM} × {EIF, ADF, APDF}. */
const BEHAVIOURS = [
  'open',
  'firewall-adf',
  'firewall',
  'full-cone',
  'restricted-cone',
  'port-restricted-cone',
  'adm-eif',
  'adm-adf',
  'adm-apdf',
  'symmetric-eif',
  'symmetric-adf',
  'symmetric-random',
].map(labNat);

/** What plain sending doesn't open, or opens only by chance, and how often of ten it is to open. */
const RUNS = 10;
const HARD_PAIRS = [
  ['linux-router', 'linux-router'],
  ['port-restricted-cone', 'linux-router'],
  ['symmetric-random', 'port-restricted-cone'],
  ['symmetric-random', 'linux-router'],
  ['symmetric-sequential', 'port-restricted-cone'],
  ['double-nat', 'port-restricted-cone'],
  ['double-nat', 'linux-router'],
] as const;

/** No plan takes longer, and there are at most three. */
const BUDGET_MS = 3 * 3000;

/** What a punch comes to: as predicted; a kernel may open more than theory does. */
function expectItsEnd({ a, b, reports, carries }: PairPunch): void {
  const what = `${a.name} × ${b.name}`;
  const { predicted, outcome, timing, reason } = reports.a;
  expect([what, reports.b.outcome]).toEqual([what, outcome]);
  expect([what, timing.totalMs < BUDGET_MS]).toEqual([what, true]);
  if (predicted.outcome === 'direct' || predicted.outcome === 'likely')
    expect([what, outcome, carries]).toEqual([what, 'open', true]);
  if (outcome === 'failed') expect([what, reason]).toEqual([what, expect.stringMatching(/\w/)]);
  else expect([what, carries]).toEqual([what, true]);
  if (predict(a.truth.ipv4, b.truth.ipv4).plain)
    expect([what, predicted.plain, outcome]).toEqual([what, true, 'open']);
}

describeIf(labMissing())('a punch behind the kernel’s NATs', () => {
  it('opens between all pairs of the twelve behaviours what can be opened, and says why not', async () => {
    const punches: PairPunch[] = [];
    await punchAllPairs(BEHAVIOURS, { onPunch: (punch) => void punches.push(punch) });
    expect(punches).toHaveLength((12 * 13) / 2);
    for (const punch of punches) expectItsEnd(punch);
  }, 400_000);

  it.each(HARD_PAIRS)(
    `opens %s × %s ${RUNS} times of ${RUNS}`,
    async (a, b) => {
      const ends: string[] = [];
      await punchOnePair(labNat(a), labNat(b), {
        runs: RUNS,
        onPunch: ({ reports, carries }) => {
          const { outcome, strategy, attempts } = reports.a;
          ends.push(carries ? 'open' : `${outcome} ${strategy} after ${attempts} attempts`);
        },
      });
      expect(ends).toEqual(new Array(RUNS).fill('open'));
    },
    120_000,
  );

  it('hits a port of a NAT by address that no server has seen, mostly at the first attempt', async () => {
    const attempts: number[] = [];
    // Each time measured anew: what ports seem likely depends on those that were seen.
    for (let turn = 0; turn < RUNS / 2; turn++)
      await punchOnePair(labNat('adm-adf'), labNat('symmetric-sequential'), {
        runs: 2,
        onPunch: ({ reports: { a }, carries }) => {
          expect([a.predicted.strategy, a.predicted.outcome, carries]).toEqual(['birthday', 'likely', true]);
          attempts.push(a.attempts);
        },
      });
    expect(attempts).toHaveLength(RUNS);
    expect(attempts.filter((count) => count === 1).length).toBeGreaterThan(RUNS / 3);
  }, 240_000);

  it.each(['a', 'b'])(
    `opens two routers without input drop ${RUNS} times of ${RUNS}, though that of %s is behind another and nobody knows`,
    async (deep) => {
      const router = labNat('linux-router');
      const behind = {
        ...router,
        name: 'linux-router-behind-another',
        layers: [...router.layers, ...router.layers],
      };
      const attempts: (number | undefined)[] = [];
      const [a, b] = deep === 'a' ? [behind, router] : [router, behind];
      await punchOnePair(a, b, {
        runs: RUNS,
        onPunch: ({ reports, carries }) => attempts.push(carries ? reports.a.attempts : undefined),
      });
      expect(attempts).toHaveLength(RUNS);
      // Each side's turn to begin with a TTL that leaves one NAT.
      expect(attempts.filter((count) => count === 1 || count === 2)).toHaveLength(RUNS);
    },
    120_000,
  );

  it('takes few packets from low ports, of which a Linux router draws from as few', async () => {
    const packets: number[] = [];
    await punchOnePair(labNat('symmetric-random'), labNat('port-restricted-cone'), {
      runs: RUNS,
      lowPorts: true,
      onPunch: ({ reports, carries }) => {
        expect(carries).toBe(true);
        packets.push(reports.a.packets + reports.b.packets);
      },
    });
    // 256 sockets and 1024 probes take 500 on average; 16 sockets and as many ports as 424 a tenth of that.
    expect(packets).toHaveLength(RUNS);
    expect(packets.toSorted((a, b) => a - b)[RUNS / 2]).toBeLessThan(300);
  }, 120_000);
});
