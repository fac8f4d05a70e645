/** How kernel NATs give out public endpoints: ports, addresses of a pool, what two inside hosts share. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CollisionsAxis } from '../../shared/nat/collisions.ts';
import { assessPooling, type PoolingAxis } from '../../shared/nat/pooling.ts';
import type { PortsAxis } from '../../shared/nat/ports.ts';
import { inLanes } from '../support/lanes.ts';
import { describeIf } from '../support/requirements.ts';
import { LAB_COLLISIONS_NATS, LAB_POOLING_NATS, LAB_PORTS_NATS, SECOND_INSIDE } from './allocation-nats.ts';
import { behind, inquire } from './inquire.ts';
import type { InquiryOutcome } from './inquiry-agent.ts';
import { openInternet, SERVER_ADDRESSES, type Internet, type Site } from './internet.ts';
import { endOf, labMissing } from './namespaces.ts';
import { startNatprobed } from './natprobe.ts';

const LOSSES = [0, 10];
const LANES = 3;
/**
 * A dozen ports that are drawn may by chance fit other rules as well, about one time in 25, or better than their own:
 * one time in 100 if they are drawn from 8192 to 24575.
 */
const TRIES = 3;
const DRAWN: readonly PortsAxis['value'][] = ['random', 'block'];
const CROSS_TRAFFIC = fileURLToPath(new URL('cross-traffic-agent.ts', import.meta.url));
/** Nobody listens there. */
const SINK = [SERVER_ADDRESSES.ipv4.primary, '9'] as const;

describeIf(labMissing())('public endpoints behind the kernel’s NATs', () => {
  let internet: Internet;

  beforeAll(async () => {
    internet = await openInternet();
    await startNatprobed(internet.server);
  });

  afterAll(async () => {
    await internet.close();
  });

  for (const percent of LOSSES) {
    it(`how ports are picked is told, also beside others’ flows, at ${percent} % loss`, async () => {
      await inLanes(LANES, LAB_PORTS_NATS, (lab) =>
        behind(internet, lab.nat, percent, async (site) => {
          const { axis, evidence } = await besideOthers(site, lab.otherFlowsPerSecond, () =>
            portsOf(site, lab.ports.value),
          );
          const { value, keepsMapping, delta, block, otherMappingsPerSecond } = axis;
          const why = `${lab.nat.name}: ${JSON.stringify(axis)}`;
          expect(withoutAbsent({ value, keepsMapping, delta }), why).toEqual(lab.ports);
          if (lab.block !== undefined) expect(shareInCommon(block!, lab.block), why).toBeGreaterThan(0.4);
          if (value === 'sequential' && lab.otherFlowsPerSecond !== undefined)
            expect(otherMappingsPerSecond, why).toBeGreaterThan(1);
          expect(assessPooling(evidence).value, why).toBe('single');
        }),
      );
    });

    it(`pools and uplinks are told from one address, at ${percent} % loss`, async () => {
      await inLanes(LANES, LAB_POOLING_NATS, (lab) =>
        behind(internet, lab.nat, percent, async (site) => {
          const axis =
            lab.insideAddresses === 1
              ? (await inquire<PoolingAxis>(site, 'pooling')).axis
              : await inquireFromTwo<PoolingAxis>(site, 'pooling-of-two');
          const { value, by, portKept } = axis;
          const found = withoutAbsent({ value, by, portKept });
          expect(found, `${lab.nat.name}: ${JSON.stringify(axis)}`).toEqual(lab.pooling);
        }),
      );
    });

    it(`what becomes of a port that another inside host holds is told, at ${percent} % loss`, async () => {
      await inLanes(LANES, LAB_COLLISIONS_NATS, (lab) =>
        behind(internet, lab.nat, percent, async (site) => {
          const axis = await inquireFromTwo<CollisionsAxis>(site, 'collisions');
          const { value, then } = axis;
          const found = withoutAbsent({ value, then });
          expect(found, `${lab.nat.name}: ${JSON.stringify(axis)}`).toEqual(lab.collisions);
        }),
      );
    });
  }
});

async function portsOf(site: Site, truth: PortsAxis['value']): Promise<InquiryOutcome<PortsAxis>> {
  for (let tries = 1; ; tries++) {
    const outcome = await inquire<PortsAxis>(site, 'ports');
    const { value } = outcome.axis;
    const mayBeChance = value === 'unknown' || (value !== truth && DRAWN.includes(truth));
    if (!mayBeChance || tries === TRIES) return outcome;
    await site.forget();
  }
}

async function inquireFromTwo<Axis>(site: Site, name: 'collisions' | 'pooling-of-two'): Promise<Axis> {
  await addSecondInside(site);
  const context = { from: site.clientAddress.ipv4, also: SECOND_INSIDE };
  return (await inquire<Axis>(site, name, { context })).axis;
}

/** Does `body` while another inside host has flows of its own. */
async function besideOthers<Result>(
  site: Site,
  flowsPerSecond: number | undefined,
  body: () => Promise<Result>,
): Promise<Result> {
  if (flowsPerSecond === undefined) return body();
  await addSecondInside(site);
  const args = [CROSS_TRAFFIC, SECOND_INSIDE, ...SINK, String(flowsPerSecond)];
  const others = site.client.spawn(process.execPath, args, { stdio: 'inherit' });
  const ended = endOf(others);
  try {
    return await body();
  } finally {
    others.kill();
    await ended;
  }
}

function addSecondInside(site: Site): Promise<void> {
  return site.client.script(`ip address add ${SECOND_INSIDE}/24 dev net`);
}

/** Of the larger block: a dozen ports don't show where exactly theirs begins and ends. */
function shareInCommon(a: Block, b: Block): number {
  const common = Math.min(a.first + a.size, b.first + b.size) - Math.max(a.first, b.first);
  return common / Math.max(a.size, b.size);
}

type Block = PortsAxis['block'] & object;

function withoutAbsent(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
