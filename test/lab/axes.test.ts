/** Lifetime, hairpinning, fragments, unsolicited packets and payloads behind kernel NATs, with real programs at both ends. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FragmentsAxis } from '../../shared/nat/fragments.ts';
import type { HairpinAxis } from '../../shared/nat/hairpin.ts';
import type { LifetimeAxis } from '../../shared/nat/lifetime.ts';
import type { ManglingAxis } from '../../shared/nat/mangling.ts';
import type { UnsolicitedAxis } from '../../shared/nat/unsolicited.ts';
import { inLanes } from '../support/lanes.ts';
import { describeIf } from '../support/requirements.ts';
import {
  conntrackLifetimeNat,
  HAIRPIN_ADDRESSES,
  LAB_FRAGMENTS_NATS,
  LAB_HAIRPIN_NATS,
  LAB_LIFETIME_NATS,
  LAB_MANGLING_NATS,
  LAB_UNSOLICITED_NATS,
  type LabHairpinNat,
} from './axis-nats.ts';
import { behind, inquire } from './inquire.ts';
import { FAMILIES, openInternet, type Internet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { startNatprobed } from './natprobe.ts';
import { labNat } from './nats.ts';

const LOSSES = [0, 10];
const CONTEXT = { maxMs: 10_000, resolutionMs: 1000 };
/** A step, and what questions may take under loss on a busy machine. */
const WIDTH_MS = 3000;
const LOSSY_RUNS = 2;
/** Without it a system drops what comes in with its own address as the source. */
const ACCEPT_OWN_ADDRESS = 'echo 1 >/proc/sys/net/ipv4/conf/all/accept_local';

describeIf(labMissing())('axes behind the kernel’s NATs', () => {
  let internet: Internet;

  beforeAll(async () => {
    internet = await openInternet();
    await startNatprobed(internet.server);
  });

  afterAll(async () => {
    await internet.close();
  });

  // Beside each other, since each of them mostly waits.
  describe.concurrent('lifetimes', () => {
    it('are as long as conntrack is told to keep mappings', async ({ expect }) => {
      const cases = LOSSES.flatMap((percent) => LAB_LIFETIME_NATS.map((lab) => ({ lab, percent })));
      const misses = await Promise.all(
        cases.map(({ lab, percent }) =>
          behind(internet, lab.nat, percent, async (site) => {
            const { axis, tookMs } = await inquire<LifetimeAxis>(site, 'lifetime', { context: CONTEXT });
            const found = [
              missOf(axis, lab.briefMs),
              missOf(axis.stream, lab.streamMs),
              axis.refreshedByInbound === lab.refreshedByInbound ? undefined : axis.refreshedByInbound,
              tookMs < CONTEXT.maxMs + 6000 ? undefined : `took ${tookMs} ms`,
            ];
            const where = `${lab.nat.name}, ${percent} % loss`;
            return found.flatMap((miss) => (miss === undefined ? [] : `${where}: ${miss}`));
          }),
        ),
      );
      expect(misses.flat()).toEqual([]);
    });

    it('of an IPv6 firewall’s openings are found as well', async ({ expect }) => {
      await behind(internet, conntrackLifetimeNat('firewall', 3, 6).nat, 0, async (site) => {
        const { axis } = await inquire<LifetimeAxis>(site, 'lifetime', { context: CONTEXT, family: 'ipv6' });
        expect([missOf(axis, 3000), missOf(axis.stream, 6000)]).toEqual([undefined, undefined]);
      });
    });

    it('of which not all is measured are bounded by what is', async ({ expect }) => {
      await behind(internet, conntrackLifetimeNat('port-restricted-cone', 3, 60).nat, 0, async (site) => {
        const context = { maxMs: 60_000, resolutionMs: 1000 };
        const options = { context, stopAfterMs: 7500 };
        const { axis, tookMs } = await inquire<LifetimeAxis>(site, 'lifetime', options);
        expect(missOf(axis, 3000)).toBeUndefined();
        expect(axis.stream.value).toBe('longer-than-tried');
        expect(axis.stream.atLeastMs).toBeGreaterThan(2000);
        expect(tookMs).toBeLessThan(9000);
      });
    });
  });

  for (const percent of LOSSES) {
    it(`hairpinning is named right, at ${percent} % loss`, async () => {
      await inLanes(3, LAB_HAIRPIN_NATS, (lab) =>
        behind(internet, lab.nat, percent, async (site) => {
          await site.client.script(ACCEPT_OWN_ADDRESS);
          for (let run = 0; run < (percent === 0 ? 1 : LOSSY_RUNS); run++) {
            const { axis } = await inquire<HairpinAxis>(site, 'hairpin');
            const truth = [lab.hairpin, seenAddress(lab, site)];
            expect([axis.value, axis.seenAs?.address], lab.nat.name).toEqual(truth);
          }
        }),
      );
    });

    it(`fragments are found to pass or not, at ${percent} % loss`, async () => {
      await inLanes(3, LAB_FRAGMENTS_NATS, (lab) =>
        behind(internet, lab.nat, percent, async (site) => {
          for (const family of FAMILIES) {
            const { axis } = await inquire<FragmentsAxis>(site, 'fragments', { family });
            const truth = [lab.fragments, lab.fragments === 'pass' ? 2048 : 1500, 1500];
            const found = [axis.value, axis.largestHeardBytes, axis.largestWholeBytes];
            expect(found, `${lab.nat.name}, ${family}`).toEqual(truth);
          }
        }),
      );
    });

    it(`what unsolicited packets do is told, at ${percent} % loss`, async () => {
      await inLanes(3, LAB_UNSOLICITED_NATS, (lab) =>
        behind(internet, lab.nat, percent, async (site) => {
          for (let run = 0; run < (percent === 0 ? 1 : LOSSY_RUNS); run++) {
            await site.forget();
            const { axis } = await inquire<UnsolicitedAxis>(site, 'unsolicited');
            const why = `${lab.nat.name}: ${JSON.stringify(axis)}`;
            expect(axis.value, why).toBe(lab.unsolicited);
            if (lab.because !== undefined) expect(axis.reasons[0]!.code, why).toBe(lab.because);
          }
        }),
      );
    });

    it(`rewritten payloads are seen, at ${percent} % loss`, async () => {
      await inLanes(2, LAB_MANGLING_NATS, (lab) =>
        behind(internet, lab.nat, percent, async (site) => {
          const { axis } = await inquire<ManglingAxis>(site, 'mangling');
          expect(axis.value, lab.nat.name).toBe(lab.mangling);
          if (axis.rewritten) expect(axis.rewritten.to.address).toBe(site.clientAddress.ipv4);
        }),
      );
    });
  }

  it('what unsolicited packets do is told in IPv6 too', async () => {
    for (const name of ['firewall', 'nat66']) {
      await behind(internet, labNat(name), 0, async (site) => {
        const { axis } = await inquire<UnsolicitedAxis>(site, 'unsolicited', { family: 'ipv6' });
        expect(axis.value, `${name}: ${JSON.stringify(axis)}`).toBe('dropped');
      });
    }
  });

  it('an untranslated packet is dropped by a system that does not accept its own address from outside', async () => {
    const lab = LAB_HAIRPIN_NATS.find(({ hairpin }) => hairpin === 'untranslated')!;
    await behind(internet, lab.nat, 0, async (site) => {
      const { axis } = await inquire<HairpinAxis>(site, 'hairpin');
      expect(axis.value).toBe('none');
    });
  });
});

function missOf(
  { value, atLeastMs, atMostMs = Infinity }: Pick<LifetimeAxis, 'value' | 'atLeastMs' | 'atMostMs'>,
  trueMs: number,
): string | undefined {
  const holds = atLeastMs <= trueMs && trueMs <= atMostMs && atMostMs - atLeastMs <= WIDTH_MS;
  return holds ? undefined : `${value} ${atLeastMs} to ${atMostMs}, truly ${trueMs}`;
}

function seenAddress({ seenAs }: LabHairpinNat, site: Site): string | undefined {
  if (seenAs === undefined) return undefined;
  return seenAs === 'public' ? site.outerAddress.ipv4 : HAIRPIN_ADDRESSES[seenAs];
}
