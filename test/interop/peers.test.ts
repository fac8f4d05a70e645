/** Standard clients get right verdicts from natprobed, and natprobe right ones from standard servers. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openInternet, SERVER_ADDRESSES, type Internet, type Site } from '../lab/internet.ts';
import { labMissing } from '../lab/namespaces.ts';
import { readReport, runNatprobe, startNatprobed } from '../lab/natprobe.ts';
import { LAB_NATS, type LabNat } from '../lab/nats.ts';
import { inLanes } from '../support/lanes.ts';
import { describeIf } from '../support/requirements.ts';
import { missingPrograms } from '../support/system-programs.ts';
import {
  isRight,
  startStund,
  startTurnserver,
  TURNUTILS_NATDISCOVERY,
  VOVIDA_STUN,
  type PeerClient,
} from './peers.ts';

const SERVER = SERVER_ADDRESSES.ipv4.primary;
const NATS_WITH_UDP = LAB_NATS.filter(({ truth }) => truth.ipv4.type !== 'udp-blocked');

describeIf(labMissing(), missingPrograms('stun'))('vovida stun with natprobed', () => {
  const lab = labWith(startNatprobed);

  it('names every NAT right', async () => {
    const outcomes = await behindEach(lab(), LAB_NATS, PEER_LANES, (site) => ask(site, VOVIDA_STUN));
    expect(outcomes.filter(({ right }) => !right)).toEqual([]);
  });
});

describeIf(labMissing(), missingPrograms('turnutils_natdiscovery'))(
  'turnutils_natdiscovery with natprobed',
  () => {
    const lab = labWith(startNatprobed);

    it('names every NAT right but for ADM, which it reads as APDM', async () => {
      const outcomes = await behindEach(lab(), NATS_WITH_UDP, PEER_LANES, (site) =>
        ask(site, TURNUTILS_NATDISCOVERY),
      );
      // It takes OTHER-ADDRESS for the alternate address whichever socket it asked (FIELD.md), so its
      // third request goes back to the primary address.
      const misread = NATS_WITH_UDP.filter(({ truth }) => truth.ipv4.mapping === 'address-dependent');
      expect(misread.length).toBeGreaterThan(0);
      for (const { nat, said, right } of outcomes) {
        if (!misread.includes(nat))
          expect({ nat: nat.name, said, right }).toEqual({ nat: nat.name, said, right: true });
        else {
          const { filtering } = nat.truth.ipv4;
          const expected = { kind: 'nat', mappings: ['address-and-port-dependent'], filterings: [filtering] };
          expect(said, nat.name).toEqual(expected);
        }
      }
    });
  },
);

describeIf(labMissing(), missingPrograms('turnserver', 'ss'))('natprobe with coturn’s server', () => {
  const lab = labWith(startTurnserver);

  it('names every NAT right', async () => {
    expect(await natprobeVerdicts(lab(), LAB_NATS)).toEqual(truths(LAB_NATS));
  });
});

// It has no TCP, by which blocked UDP is told from an absent server.
describeIf(labMissing(), missingPrograms('stund', 'ss'))('natprobe with vovida’s server', () => {
  const lab = labWith(startStund);

  it('names every NAT that lets UDP through right', async () => {
    expect(await natprobeVerdicts(lab(), NATS_WITH_UDP)).toEqual(truths(NATS_WITH_UDP));
  });
});

/** A lab with this server, for the tests of one block. */
function labWith(startServer: (namespace: Internet['server']) => Promise<unknown>): () => Internet {
  let internet: Internet;
  beforeAll(async () => {
    internet = await openInternet();
    await startServer(internet.server);
  });
  afterAll(async () => {
    await internet.close();
  });
  return () => internet;
}

/** Peers mostly wait for timeouts, so all of them run at the same time; natprobe works while it runs. */
const PEER_LANES = LAB_NATS.length;
const NATPROBE_LANES = 3;

function behindEach<T>(
  internet: Internet,
  nats: readonly LabNat[],
  lanes: number,
  body: (site: Site) => Promise<T>,
): Promise<T[]> {
  return inLanes(lanes, nats, async (nat) => {
    const site = await internet.attach(nat);
    try {
      return await body(site);
    } finally {
      await site.close();
    }
  });
}

async function ask({ nat, client }: Site, peer: PeerClient) {
  const finished = await client.run(peer.program, peer.arguments(SERVER));
  const said = peer.readVerdict(finished);
  return { nat, said, right: isRight(said, nat.truth.ipv4) };
}

function natprobeVerdicts(internet: Internet, nats: readonly LabNat[]): Promise<unknown[]> {
  return behindEach(internet, nats, NATPROBE_LANES, async ({ nat, client }) => {
    const { type, mapping, filtering } = readReport(await runNatprobe(client, ['--server', SERVER])).verdict;
    return { nat: nat.name, type, mapping, filtering };
  });
}

function truths(nats: readonly LabNat[]): unknown[] {
  return nats.map(({ name, truth: { ipv4 } }) => {
    const { type, mapping, filtering } = ipv4;
    return { nat: name, type, mapping, filtering };
  });
}
