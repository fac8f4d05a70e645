/** NATs of the lab by how they give out public endpoints: ports, addresses of a pool, what two inside hosts share. */
import type { CollisionsAxis } from '../../shared/nat/collisions.ts';
import type { PoolingAxis } from '../../shared/nat/pooling.ts';
import type { PortsAxis } from '../../shared/nat/ports.ts';
import { changedNat, OUTER_ADDRESS } from './axis-nats.ts';
import { labNat, type LabNat } from './nats.ts';

/** The client's address behind one layer of NAT, and another one that it may have: for the NAT, another host's. */
export const FIRST_INSIDE = '192.168.1.2';
export const SECOND_INSIDE = '192.168.1.3';

/** With one public address each. */
export interface LabPortsNat {
  readonly nat: LabNat;
  readonly ports: Pick<PortsAxis, 'value' | 'keepsMapping' | 'delta'>;
  readonly block?: PortsAxis['block'];
  /** New flows a second from the second inside address meanwhile. */
  readonly otherFlowsPerSecond?: number;
}

export interface LabPoolingNat {
  readonly nat: LabNat;
  /** As one inside address shows it, or as two do. */
  readonly pooling: Pick<PoolingAxis, 'value' | 'by' | 'portKept'>;
  readonly insideAddresses: 1 | 2;
}

export interface LabCollisionsNat {
  readonly nat: LabNat;
  readonly collisions: Pick<CollisionsAxis, 'value' | 'then'>;
}

/** Shell: gives the gateway three further outer addresses, `pool1` to `pool3`. */
const POOL = `
network=$(echo $wan | cut -d. -f1-3)
host=$(echo $wan | cut -d. -f4)
pool1=$network.$((host + 1))
pool2=$network.$((host + 2))
pool3=$network.$((host + 3))
for address in $pool1 $pool2 $pool3; do ip address replace $address/29 dev wan; done
`;

/** Of the client and of the second inside address: 1024 ports each, from a multiple of that. */
const BLOCKS = [20 * 1024, 21 * 1024] as const;
const BLOCK_SIZE = 1024;
const BLOCK = { first: BLOCKS[0], size: BLOCK_SIZE };

const CGN_BLOCK = blockNat('cgn-block', '');
const OTHER_FLOWS_PER_SECOND = 20;

export const LAB_PORTS_NATS: readonly LabPortsNat[] = [
  { nat: labNat('port-restricted-cone'), ports: { value: 'preserved', keepsMapping: 'yes' } },
  {
    nat: labNat('linux-router'),
    ports: { value: 'preserved', keepsMapping: 'yes' },
    otherFlowsPerSecond: OTHER_FLOWS_PER_SECOND,
  },
  {
    nat: changedNat(
      'remapping-low',
      'port-restricted-cone',
      'masquerade to a port below all inner ones',
      sourceRules(['masquerade to :8192-24575']),
    ),
    ports: { value: 'random', keepsMapping: 'yes' },
  },
  { nat: labNat('symmetric-random'), ports: { value: 'random', keepsMapping: 'no' } },
  { nat: labNat('symmetric-sequential'), ports: { value: 'sequential', delta: 1, keepsMapping: 'no' } },
  {
    nat: labNat('symmetric-sequential'),
    ports: { value: 'sequential', delta: 1, keepsMapping: 'no' },
    otherFlowsPerSecond: OTHER_FLOWS_PER_SECOND,
  },
  { nat: CGN_BLOCK, ports: { value: 'block', keepsMapping: 'yes' }, block: BLOCK },
  {
    nat: blockNat('cgn-block-symmetric', 'fully-random'),
    ports: { value: 'block', keepsMapping: 'no' },
    block: BLOCK,
  },
];

const PAIRED = poolNat('pool-paired', 'each inside address has one of two public ones', [
  `snat to ip saddr map { ${FIRST_INSIDE} : $wan, ${SECOND_INSIDE} : $pool1 }`,
]);

export const LAB_POOLING_NATS: readonly LabPoolingNat[] = [
  { nat: PAIRED, pooling: { value: 'single' }, insideAddresses: 1 },
  { nat: PAIRED, pooling: { value: 'paired' }, insideAddresses: 2 },
  {
    nat: poolNat('pool-by-port', 'the local port decides on one of four public addresses', [
      'snat to jhash udp sport mod 4 map { 0 : $wan, 1 : $pool1, 2 : $pool2, 3 : $pool3 }',
    ]),
    pooling: { value: 'arbitrary', portKept: true },
    insideAddresses: 1,
  },
  {
    nat: poolNat('pool-random', 'each flow gets one of four public addresses at random', [
      'snat to numgen random mod 4 map { 0 : $wan, 1 : $pool1, 2 : $pool2, 3 : $pool3 }',
    ]),
    pooling: { value: 'arbitrary', portKept: true },
    insideAddresses: 1,
  },
  {
    nat: poolNat('uplinks-by-destination', 'destinations above 203.0.113.15 have another public address', [
      'ip daddr > 203.0.113.15 snat to $pool1',
    ]),
    pooling: { value: 'two-uplinks', by: 'destination', portKept: true },
    insideAddresses: 1,
  },
  {
    nat: poolNat('uplinks-by-flow', 'a hash of both endpoints decides on one of two public addresses', [
      'snat to jhash ip saddr . udp sport . ip daddr . udp dport mod 2 map { 0 : $wan, 1 : $pool1 }',
    ]),
    pooling: { value: 'two-uplinks', by: 'flow', portKept: true },
    insideAddresses: 1,
  },
];

export const LAB_COLLISIONS_NATS: readonly LabCollisionsNat[] = [
  { nat: labNat('port-restricted-cone'), collisions: { value: 'overloaded', then: 'random' } },
  { nat: labNat('linux-router'), collisions: { value: 'overloaded', then: 'random' } },
  {
    nat: changedNat(
      'port-holding',
      'port-restricted-cone',
      'masquerade; fully-random where another inside host holds the port',
      sourceRules(
        [
          'udp sport . ip saddr @held_by masquerade',
          'udp sport @held masquerade fully-random',
          'add @held { udp sport }',
          'add @held_by { udp sport . ip saddr }',
        ],
        [
          'set held { type inet_service; flags dynamic; size 65535; }',
          'set held_by { type inet_service . ipv4_addr; flags dynamic; size 65535; }',
        ],
      ),
    ),
    collisions: { value: 'reassigned', then: 'random' },
  },
  { nat: CGN_BLOCK, collisions: { value: 'not-preserved' } },
  { nat: labNat('symmetric-random'), collisions: { value: 'not-preserved' } },
  // Their public addresses differ: there is nothing to collide on.
  { nat: PAIRED, collisions: { value: 'unknown' } },
];

function blockNat(name: string, flag: string): LabNat {
  const [own, second] = BLOCKS.map((first) => `${first}-${first + BLOCK_SIZE - 1}`);
  return changedNat(
    name,
    'port-restricted-cone',
    `masquerade${flag && ` ${flag}`} to ${BLOCK_SIZE} ports of each inside address’s own`,
    sourceRules([
      `ip saddr ${FIRST_INSIDE} masquerade to :${own!} ${flag}`,
      `ip saddr ${SECOND_INSIDE} masquerade to :${second!} ${flag}`,
    ]),
  );
}

/** The further addresses are of the site's own: its gateway has four of the eight. */
function poolNat(name: string, what: string, rules: readonly string[]): LabNat {
  return changedNat(
    name,
    'port-restricted-cone',
    `snat; ${what}`,
    [OUTER_ADDRESS, POOL, sourceRules(rules)].join(''),
  );
}

/** What UDP gets before the gateway's own rules see it, which masquerade the rest. */
function sourceRules(rules: readonly string[], sets: readonly string[] = []): string {
  const outgoing = 'oifname "wan" meta l4proto udp';
  return `
nft -f - <<END
table ip allocation {
  ${sets.join('\n  ')}
  chain source {
    type nat hook postrouting priority srcnat - 10;
    ${rules.map((rule) => `${outgoing} ${rule}`).join('\n    ')}
  }
}
END
`;
}
