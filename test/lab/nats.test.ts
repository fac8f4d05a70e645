/**
 * The lab's NATs are what they are said to be. Found with plain sockets on both sides, without STUN
 * and without natprobe: which source each of the server's endpoints sees, and what of theirs comes in.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sameEndpoint, type Endpoint, type Family } from '../../shared/endpoint.ts';
import type { Filtering, Mapping } from '../../shared/nat/behaviour.ts';
import { SERVER_ROLE_NAMES, type ServerRoleName } from '../../shared/role.ts';
import { describeIf } from '../support/requirements.ts';
import { FAMILIES, openInternet, SERVER_ADDRESSES, type Internet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { LAB_NATS, labNat, type LabNat, type Unsolicited } from './nats.ts';
import { SEQUENTIAL_PORTS } from './ruleset.ts';
import { openSockets, type Sockets } from './sockets.ts';

const SERVER_PORTS = { primary: 3478, alternate: 3479 };
/** From here the server sends what nobody asked for, over a connected socket. */
const FIRST_STRANGER_PORT = 5000;
/** One socket could draw the same random port twice. */
const MAPPING_SOCKETS = 3;

describeIf(labMissing())('a NAT of the lab', () => {
  let internet: Internet;
  let server: Sockets;
  let strangers = 0;

  beforeAll(async () => {
    internet = await openInternet();
    server = openSockets(internet.server);
    for (const family of FAMILIES) {
      for (const role of SERVER_ROLE_NAMES) {
        await server.open(`${family} ${role}`, serverEndpoint(family, role));
        await server.listen(`${family} ${role} tcp`, serverEndpoint(family, role));
      }
    }
  });

  afterAll(async () => {
    await internet.close();
  });

  for (const nat of LAB_NATS) {
    it(`${nat.name} is ${describeTruth(nat)}`, async () => {
      await withClient(internet, nat, async (site, client) => {
        for (const family of FAMILIES) {
          const { mapping, filtering, unsolicited } = nat.truth[family];
          expect(await observe(site, client, family), family).toEqual(
            mapping === 'unknown' ? 'blocked' : { mapping, filtering, unsolicited },
          );
        }
      });
    });
  }

  it('keeps the inner port where it is said to, and takes the next, or one of its range, where not', async () => {
    const ports: Record<string, { inner: number; outer: number[] }> = {};
    for (const name of ['port-restricted-cone', 'remapping', 'symmetric-sequential']) {
      await withClient(internet, labNat(name), async (site, client) => {
        const inner = (await client.open('ports', { address: site.clientAddress.ipv4, port: 0 })).port;
        const seen = await sourcesSeen(client, 'ports', 'ipv4', name);
        ports[name] = { inner, outer: seen.map((source) => source.port) };
      });
    }
    const { inner, outer } = ports['port-restricted-cone']!;
    expect(outer).toEqual([inner, inner, inner, inner]);
    expect(ports['remapping']!.outer[0]).toBeGreaterThanOrEqual(10_000);
    expect(ports['remapping']!.outer[0]).toBeLessThan(30_000);
    const first = ports['symmetric-sequential']!.outer[0]!;
    expect(ports['symmetric-sequential']!.outer).toEqual([first, first + 1, first + 2, first + 3]);
  });

  it('sends what comes in for an outer port to its present owner, not to an earlier one', async () => {
    const filtering = 'endpoint-independent';
    const sequential = { kind: 'nat', mapping: 'sequential', filtering, unsolicited: 'dropped' } as const;
    const nat: LabNat = {
      ...labNat('symmetric-eif'),
      name: 'reusing',
      layers: [{ ipv4: sequential, ipv6: { kind: 'router' } }],
    };
    await withClient(internet, nat, async (site, client) => {
      const to = serverEndpoint('ipv4', 'PP');
      for (const socket of ['first', 'filler', 'second']) {
        await client.open(socket, { address: site.clientAddress.ipv4, port: 0 });
      }
      client.send('first', to, 'first owner');
      const { from: outer } = await server.received('first owner');
      // The next destinations take all other ports; nobody need listen there.
      for (let taken = 1; taken < SEQUENTIAL_PORTS; taken++) {
        client.send('filler', { address: to.address, port: 10_000 + taken }, 'filler');
      }
      client.send('second', serverEndpoint('ipv4', 'PA'), 'second owner');
      expect((await server.received('second owner')).from).toEqual(outer);
      server.send('ipv4 AA', outer, 'for the second owner');
      expect((await client.received('for the second owner')).socket).toBe('second');
    });
  });

  it('refuses blocked UDP with an ICMP error where it is said to', async () => {
    await withClient(internet, labNat('udp-rejected'), async (site, client) => {
      const to = serverEndpoint('ipv4', 'PP');
      await client.open('refused', { address: site.clientAddress.ipv4, port: 0 }, to);
      client.send('refused', to, 'refused');
      expect(await client.failed('refused')).toBe('EHOSTUNREACH');
    });
  });

  it('loses the share of packets that is asked for, each way', async () => {
    await withClient(internet, labNat('open'), async (site, client) => {
      const local = await client.open('lossy', { address: site.clientAddress.ipv4, port: 0 });
      await site.setLoss(20);
      const rounds = 10;
      const perRound = 100;
      for (let round = 0; round < rounds; round++) {
        for (let index = 0; index < perRound; index++) {
          client.send('lossy', serverEndpoint('ipv4', 'PP'), 'out');
          server.send('ipv4 PP', local, 'in');
        }
        // More would not fit into a socket's receive buffer.
        await client.settled();
        await server.settled();
      }
      await client.settled();
      // Five standard deviations of a binomial at 20 % are 63.
      for (const [sockets, text] of [
        [server, 'out'],
        [client, 'in'],
      ] as const) {
        const lost =
          rounds * perRound - sockets.datagrams.filter((datagram) => datagram.text === text).length;
        expect(lost).toBeGreaterThan(200 - 64);
        expect(lost).toBeLessThan(200 + 64);
      }
    });
  });

  /** What the NAT does in one family, in the terms of RFC 4787 §4.1 and §5. */
  async function observe(
    site: Site,
    client: Sockets,
    family: Family,
  ): Promise<{ mapping: Mapping; filtering: Filtering; unsolicited: Unsolicited | undefined } | 'blocked'> {
    const label = `${site.nat.name} ${family}`;
    const local = { address: site.clientAddress[family], port: 0 };

    // TCP passes every NAT here, so it shows when the UDP sent before it should have been there.
    await client.open(`${label} first`, local);
    client.send(`${label} first`, serverEndpoint(family, 'PP'), `${label} first`);
    await client.connect(`${label} tcp`, serverEndpoint(family, 'PP'));
    await server.settled();
    if (!server.datagrams.some(({ text }) => text === `${label} first`)) return 'blocked';

    const sources: { local: Endpoint; seen: Endpoint[] }[] = [];
    for (let index = 0; index < MAPPING_SOCKETS; index++) {
      const socket = `${label} mapping ${index}`;
      sources.push({
        local: await client.open(socket, local),
        seen: await sourcesSeen(client, socket, family, socket),
      });
    }
    const mapping = mappingOf(sources);

    const socket = `${label} filtering`;
    await client.open(socket, local);
    client.send(socket, serverEndpoint(family, 'PP'), `${socket} PP`);
    const { from: mapped } = await server.received(`${socket} PP`);
    for (const role of ['AA', 'AP', 'PA', 'PP'] as const)
      server.send(`${family} ${role}`, mapped, `${socket} from ${role}`);
    await client.received(`${socket} from PP`);
    await roundTrip(client, socket, family, mapped);
    const arrived = ['PA', 'AP', 'AA'].filter((role) =>
      client.datagrams.some(({ text }) => text === `${socket} from ${role}`),
    );

    return {
      mapping,
      filtering: filteringOf(arrived),
      unsolicited:
        mapping === 'none' ? undefined : await unsolicitedOf(client, socket, family, mapped, mapping),
    };
  }

  /** What a packet that nobody asked for does: the error that it draws, and the mapping after it. */
  async function unsolicitedOf(
    client: Sockets,
    socket: string,
    family: Family,
    mapped: Endpoint,
    mapping: Mapping,
  ): Promise<Unsolicited> {
    const port = FIRST_STRANGER_PORT + strangers++;
    const stranger = { address: SERVER_ADDRESSES[family].alternate, port };
    await server.open(`stranger ${port}`, stranger, mapped);
    server.send(`stranger ${port}`, mapped, `from stranger ${port}`);
    await roundTrip(client, socket, family, mapped);
    const refused = server.hasFailed(`stranger ${port}`);
    if (mapping !== 'endpoint-independent') return refused ? 'rejected' : 'dropped';

    // An entry left by the server's earlier packet from AA would push this flow to another port.
    client.send(socket, serverEndpoint(family, 'AA'), `${socket} to AA`);
    const { from } = await server.received(`${socket} to AA`);
    if (!sameEndpoint(from, mapped)) return 'tracked';
    return refused ? 'rejected' : 'dropped';
  }

  /** Whatever was sent before this has come, and been reported, when it is over. */
  async function roundTrip(client: Sockets, socket: string, family: Family, mapped: Endpoint): Promise<void> {
    const text = `${socket} round trip ${server.datagrams.length}`;
    client.send(socket, serverEndpoint(family, 'PP'), `${text} out`);
    await server.received(`${text} out`);
    server.send(`${family} PP`, mapped, `${text} back`);
    await client.received(`${text} back`);
    await client.settled();
    await server.settled();
  }

  async function sourcesSeen(
    client: Sockets,
    socket: string,
    family: Family,
    label: string,
  ): Promise<Endpoint[]> {
    const seen: Endpoint[] = [];
    for (const role of SERVER_ROLE_NAMES) {
      client.send(socket, serverEndpoint(family, role), `${label} to ${role}`);
      seen.push((await server.received(`${label} to ${role}`)).from);
    }
    return seen;
  }
});

async function withClient(
  internet: Internet,
  nat: LabNat,
  body: (site: Site, client: Sockets) => Promise<void>,
): Promise<void> {
  const site = await internet.attach(nat);
  try {
    await body(site, openSockets(site.client));
  } finally {
    await site.close();
  }
}

function serverEndpoint(family: Family, role: ServerRoleName): Endpoint {
  return {
    address: SERVER_ADDRESSES[family][role.startsWith('P') ? 'primary' : 'alternate'],
    port: SERVER_PORTS[role.endsWith('P') ? 'primary' : 'alternate'],
  };
}

function mappingOf(sockets: readonly { local: Endpoint; seen: readonly Endpoint[] }[]): Mapping {
  if (sockets.every(({ local, seen }) => seen.every((source) => sameEndpoint(source, local)))) return 'none';
  const sameFor = (one: number, other: number): boolean =>
    sockets.every(({ seen }) => sameEndpoint(seen[one]!, seen[other]!));
  // PP, PA, AP, AA in this order.
  if (!sameFor(0, 1) || !sameFor(2, 3)) return 'address-and-port-dependent';
  return sameFor(0, 2) ? 'endpoint-independent' : 'address-dependent';
}

function filteringOf(arrived: readonly string[]): Filtering {
  switch (arrived.join(' ')) {
    case 'PA AP AA':
      return 'endpoint-independent';
    case 'PA':
      return 'address-dependent';
    case '':
      return 'address-and-port-dependent';
    default:
      throw new Error(`no filtering of RFC 4787 lets in ${arrived.join(' and ')} alone`);
  }
}

function describeTruth({ truth: { ipv4, ipv6 } }: LabNat): string {
  const describe = ({ mapping, filtering, unsolicited }: LabNat['truth']['ipv4']): string =>
    mapping === 'unknown' ? 'without UDP' : [mapping, filtering, unsolicited].filter(Boolean).join(', ');
  return `${describe(ipv4)}; IPv6 ${describe(ipv6)}`;
}
