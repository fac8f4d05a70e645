/**
 * Two clients behind one NAT, a full cone, which may carry packets between them that are sent to its outer address.
 *
 *     server ── NAT ──┬── client        one LAN, or two that are kept apart
 *                     └── client
 *
 *     server ── NAT ──┬── home router ──┬── client
 *                     │                 └── [stranger]
 *                     └── home router ──┬── client
 *                                       └── [stranger]
 */
import { SERVER_ADDRESSES } from './internet.ts';
import { joinBehind, joinOnLan } from './links.ts';
import { namespaceMaker, type Namespace } from './namespaces.ts';
import type { Behaviour, KnownFiltering } from './nats.ts';
import { startBroker } from './punches.ts';
import { rulesetOf } from './ruleset.ts';
import { startStranger, type Stranger } from './stranger.ts';

export interface NeighbourSetting {
  readonly live: 'on-one-lan' | 'on-two-lans' | 'in-two-homes';
  /** Whether the NAT that both share turns packets back in, from the sender's outer endpoint (RFC 4787 §6). */
  readonly hairpin: boolean;
  /** Whether each home has a machine with the private address of the client in the other. */
  readonly strangers?: boolean;
}

/** Of the NAT that both share. */
export const SHARED_ADDRESS = '198.51.100.2';

export interface Neighbours {
  readonly clients: readonly [Namespace, Namespace];
  readonly strangers: readonly Stranger[];
  close(): Promise<void>;
}

/** Makes the network, with natprobed and its broker. Throws where labMissing() gives a reason. */
export async function openNeighbours(setting: NeighbourSetting): Promise<Neighbours> {
  const maker = namespaceMaker();
  const all: Namespace[] = [];
  const open = async (name: string): Promise<Namespace> => {
    const namespace = await maker.open(name);
    all.push(namespace);
    await namespace.script('ip link set lo up');
    return namespace;
  };
  const close = async (): Promise<void> => {
    await Promise.all(all.map((namespace) => namespace.close()));
  };
  try {
    const server = await open('server');
    const shared = await open('shared NAT');
    const clients = [await open('client a'), await open('client b')] as const;
    const { primary, alternate } = SERVER_ADDRESSES.ipv4;
    await server.script(`ip address add ${primary}/32 dev lo\nip address add ${alternate}/32 dev lo`);
    await joinBehind(shared, 'wan', SHARED_ADDRESS, server, 'site');
    await shared.script(
      natScript('endpoint-independent') + (setting.hairpin ? HAIRPIN_SCRIPT : '') + SEPARATION_SCRIPT,
    );
    const strangers: Stranger[] = [];
    switch (setting.live) {
      case 'on-one-lan':
        await joinOnLan(shared, 'lan', machinesOf(clients));
        break;
      case 'on-two-lans':
        await joinBehind(clients[0], 'eth0', '192.168.1.2', shared, 'lan-a');
        await joinBehind(clients[1], 'eth0', '192.168.2.3', shared, 'lan-b');
        break;
      case 'in-two-homes':
        for (const [index, client] of clients.entries()) {
          const home = await open(`home ${index}`);
          await joinBehind(home, 'wan', `100.64.${index}.2`, shared, `lan-${'ab'[index]!}`);
          await home.script(natScript('address-and-port-dependent'));
          const stranger = setting.strangers === true ? await open(`stranger ${index}`) : undefined;
          await joinOnLan(home, 'lan', machinesOf(index === 0 ? [client, stranger] : [stranger, client]));
          if (stranger !== undefined) strangers.push(await startStranger(stranger));
        }
        break;
    }
    await startBroker({ server }, ['ipv4']);
    return { clients, strangers, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The first has 192.168.1.2, and the second 192.168.1.3. */
function machinesOf(
  namespaces: readonly (Namespace | undefined)[],
): { readonly namespace: Namespace; readonly address: string }[] {
  return namespaces.flatMap((namespace, index) =>
    namespace === undefined ? [] : [{ namespace, address: `192.168.1.${index + 2}` }],
  );
}

/** Keeps ports, and drops what nobody asked for. */
function natScript(filtering: KnownFiltering): string {
  const { primary, alternate } = SERVER_ADDRESSES.ipv4;
  const nat: Behaviour = { kind: 'nat', mapping: 'preserving', filtering, unsolicited: 'dropped' };
  const none = { inner: '', outer: '' };
  return `
echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f - <<END
${rulesetOf(nat, 'ipv4', [primary, alternate], none)}
END
`;
}

/** By the ports that the NAT has learned from what its clients have sent out. */
const HAIRPIN_SCRIPT = `
nft -f - <<END
table ip lab {
  chain turn {
    type nat hook prerouting priority dstnat;
    iifname != "wan" ip daddr ${SHARED_ADDRESS} meta l4proto udp ct mark set 1 dnat to udp dport map @udp_inner_address : udp dport map @udp_inner_port
  }
  chain turned {
    type nat hook postrouting priority srcnat - 1;
    oifname != "wan" ct mark 1 snat to ${SHARED_ADDRESS}
  }
}
END
`;

/** Between networks inside only what was turned; what is switched on one LAN doesn't come here. */
const SEPARATION_SCRIPT = `
nft -f - <<END
table ip separation {
  chain forward {
    type filter hook forward priority filter;
    iifname "lan-a" oifname "lan-b" ct status ! dnat drop
    iifname "lan-b" oifname "lan-a" ct status ! dnat drop
  }
}
END
`;
