/**
 * Networks with Debian's miniupnpd (`miniupnpd-nftables`) on the home's router, and whatever is
 * outside of it. Everything runs in network namespaces: the daemon with a configuration of its own.
 *
 *     server ──┬── [outer router] ── home router (miniupnpd) ── client
 *              └── [peer's router ── peer]
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missingPrograms } from '../support/system-programs.ts';
import { labMissing, namespaceMaker, type Namespace } from './namespaces.ts';
import { serverOf, startNatprobedOn } from './natprobe.ts';
import { SERVER_ADDRESSES } from './internet.ts';
import { joinBehind } from './links.ts';
import { startBroker } from './punches.ts';

/** Says why these networks can't be made here, or undefined if they can. */
export function portMapperLabMissing(): string | undefined {
  return labMissing() ?? missingPrograms('miniupnpd');
}

/** What the home's router has outside, and what is outside of it. */
export interface HomeSetting {
  /** Of the home's router; its neighbour outside has the `.1` of that /24. */
  readonly outside: string;
  /** Whether that neighbour is another NAT. It then has PUBLIC_ADDRESS outside. */
  readonly isBehindNat: boolean;
  /** What the router speaks; nothing: there is no daemon. */
  readonly speaks: { readonly natPmpAndPcp: boolean; readonly upnp: boolean };
  /** The name of the client's interface. */
  readonly clientInterface?: string;
  /** Whether routers draw a port for each destination. */
  readonly drawsPorts?: boolean;
  /** Whether there is another home, whose router maps nothing, and a broker for the two. */
  readonly hasPeer?: boolean;
}

/**
 * miniupnpd maps nothing for a router whose outer address is of a documentation range, which the rest
 * of the lab uses. These belong to somebody, and lead nowhere from inside a namespace.
 */
export const PUBLIC_ADDRESS = '9.1.1.2';
/** Of the peer's router. */
export const PEER_PUBLIC_ADDRESS = '9.2.2.2';
export const HOME_ROUTER = '192.168.1.1';
export const HOME_CLIENT = '192.168.1.2';

export interface HomeNetwork {
  readonly client: Namespace;
  readonly router: Namespace;
  /** Has no network where the setting has no peer. */
  readonly peer: Namespace;
  /** The mappings that the router has now, as nft lists them. */
  listMappings(): Promise<string[]>;
  /** Loses this share of packets (0 to 99 percent) between client and router, each way. */
  setLoss(percent: number): Promise<void>;
  close(): Promise<void>;
}

/** Makes the network, with natprobed on both of its IPv4 addresses. Throws where portMapperLabMissing() gives a reason. */
export async function openHomeNetwork(setting: HomeSetting): Promise<HomeNetwork> {
  const maker = namespaceMaker();
  const server = await maker.open('server');
  const [outer, router, client, peersRouter, peer] = await Promise.all(
    ['outer router', 'router', 'client', 'peer’s router', 'peer'].map((name) => maker.open(name)),
  );
  const all = [server, outer!, router!, client!, peersRouter!, peer!];
  const folder = await mkdtemp(join(tmpdir(), 'natprobe-miniupnpd-'));
  const close = async (): Promise<void> => {
    await Promise.all(all.map((namespace) => namespace.close()));
    await rm(folder, { recursive: true });
  };
  try {
    await Promise.all(all.map((namespace) => namespace.script('ip link set lo up')));
    const { primary, alternate } = SERVER_ADDRESSES.ipv4;
    await server.script(`ip address add ${primary}/32 dev lo\nip address add ${alternate}/32 dev lo`);
    if (setting.isBehindNat) {
      await joinBehind(outer!, 'wan', PUBLIC_ADDRESS, server, 'site');
      await joinBehind(router!, 'wan', setting.outside, outer!, 'lan');
      await outer!.script(routerScript(setting));
    } else {
      await joinBehind(router!, 'wan', setting.outside, server, 'site');
    }
    await joinBehind(client!, setting.clientInterface ?? 'eth0', HOME_CLIENT, router!, 'lan');
    await router!.script(routerScript(setting));
    if (setting.hasPeer === true) {
      await server.script('echo 1 >/proc/sys/net/ipv4/ip_forward');
      await joinBehind(peersRouter!, 'wan', PEER_PUBLIC_ADDRESS, server, 'peer');
      await joinBehind(peer!, 'eth0', HOME_CLIENT, peersRouter!, 'lan');
      await peersRouter!.script(routerScript(setting));
    }
    if (setting.hasPeer === true) await startBroker({ server }, ['ipv4']);
    else await startNatprobedOn(server, ['--ip', primary, '--alt-ip', alternate]);
    if (setting.speaks.natPmpAndPcp || setting.speaks.upnp) await startMiniupnpd(router!, folder, setting);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    client: client!,
    router: router!,
    peer: peer!,
    async listMappings() {
      const { stdout } = await router!.run('nft', [
        'list',
        'chain',
        'inet',
        'filter',
        'prerouting_miniupnpd',
      ]);
      return stdout.split('\n').flatMap((line) => (line.includes('dnat') ? [line.trim()] : []));
    },
    setLoss: (percent) => router!.script(lossScript(percent)),
    close,
  };
}

/** Masquerades, lets nothing in that nobody asked for, and has the chains that miniupnpd fills. */
function routerScript({ drawsPorts = false }: HomeSetting): string {
  return `
echo 1 >/proc/sys/net/ipv4/ip_forward
nft -f - <<END
table inet filter {
  chain input {
    type filter hook input priority filter;
    ct state established,related accept
    iifname "wan" drop
  }
  chain forward {
    type filter hook forward priority filter;
    ct state established,related accept
    jump miniupnpd
    iifname "wan" drop
  }
  chain prerouting {
    type nat hook prerouting priority dstnat;
    jump prerouting_miniupnpd
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    jump postrouting_miniupnpd
    oifname "wan" masquerade ${drawsPorts ? 'fully-random' : ''}
  }
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
END
`;
}

async function startMiniupnpd(router: Namespace, folder: string, { speaks }: HomeSetting): Promise<void> {
  const config = join(folder, 'miniupnpd.conf');
  const yesNo = (value: boolean): string => (value ? 'yes' : 'no');
  await writeFile(
    config,
    [
      'ext_ifname=wan',
      'listening_ip=lan',
      'http_port=5000',
      `enable_natpmp=${yesNo(speaks.natPmpAndPcp)}`,
      `enable_upnp=${yesNo(speaks.upnp)}`,
      'secure_mode=yes',
      'min_lifetime=10',
      'uuid=5c3b5a0e-5a1e-4d4e-9b6e-2d1f5f0c7a10',
      'allow 1024-65535 192.168.1.0/24 1024-65535',
      'deny 0-65535 0.0.0.0/0 0-65535',
      '',
    ].join('\n'),
  );
  const child = router.spawn('miniupnpd', ['-d', '-f', config, '-P', join(folder, 'pid')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const signs = [
    ...(speaks.upnp ? ['HTTP listening on port'] : []),
    ...(speaks.natPmpAndPcp ? ['Listening for NAT-PMP/PCP traffic'] : []),
  ];
  await serverOf(child, 'miniupnpd', (log) => signs.every((sign) => log.includes(sign)));
}

function lossScript(percent: number): string {
  const drop = `numgen random mod 100 < ${percent} drop`;
  return `
nft -f - <<END
table inet loss
delete table inet loss
table inet loss {
  chain in {
    type filter hook prerouting priority raw;
    ${percent === 0 ? '' : `iifname "lan" ${drop}`}
  }
  chain out {
    type filter hook postrouting priority raw;
    ${percent === 0 ? '' : `oifname "lan" ${drop}`}
  }
}
END
`;
}
