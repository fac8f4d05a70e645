/** The addresses of a deployment: whether the machine has them, and whether what clients are told can be right. Pure. */
import { type AddressScope, isBehindNat, scopeOf } from '../../shared/address-scope.ts';
import type { Family } from '../../shared/endpoint.ts';
import { doubtful, fine, type Finding, wrong } from '../../shared/findings.ts';
import { FAMILY_NAMES } from '../../shared/report/report.ts';
import type { FamilyConfig } from '../config.ts';
import { isLocalAddress, type LocalAddress } from '../local-addresses.ts';

export interface AddressFacts {
  readonly families: readonly FamilyConfig[];
  readonly local: readonly LocalAddress[];
  /** With another host, which has the second address. */
  readonly isPaired: boolean;
}

export function checkAddresses({ families, local, isPaired }: AddressFacts): Finding[] {
  if (families.length === 0)
    return [
      wrong(
        'address',
        'this machine has no address to serve',
        'give it one (ip address add ADDRESS dev INTERFACE)',
      ),
    ];
  return [
    ...families.flatMap((family) => checkFamily(family, local, isPaired)),
    ...findUnserved(families, local),
  ];
}

function checkFamily(
  { family, bound, advertised }: FamilyConfig,
  local: readonly LocalAddress[],
  isPaired: boolean,
) {
  const primary = { bound: bound[0].address, advertised: advertised[0].address };
  const alternate = bound[2] && { bound: bound[2].address, advertised: advertised[2]!.address };
  const pairs = alternate === undefined ? [primary] : [primary, alternate];
  const findings = pairs.flatMap((pair) => [
    checkBound(pair.bound, local),
    ...checkAdvertised(pair.bound, pair.advertised, local),
  ]);
  if (alternate === undefined && !isPaired) findings.push(oneAddress(family));
  if (alternate !== undefined) findings.push(...checkInterfaces(primary.bound, alternate.bound, local));
  return findings;
}

function checkBound(address: string, local: readonly LocalAddress[]): Finding {
  const own = local.find((item) => item.address === address);
  if (own !== undefined) return fine('address', `${address} is on ${own.interface}`);
  if (isLocalAddress(address, local)) return fine('address', `${address} is on a loopback interface`);
  const others = local.filter((item) => !item.loopback).map((item) => item.address);
  const has = others.length === 0 ? 'none but loopback' : others.join(', ');
  return wrong(
    'address',
    `this machine does not have ${address}; it has ${has}`,
    `give it the address (ip address add ${address} dev INTERFACE), or serve one that it has; ` +
      'behind 1:1 NAT that is the private one, with --advertise PRIVATE=PUBLIC',
  );
}

/** Of no use to clients, wherever they are. */
const UNREACHABLE: readonly AddressScope[] = [
  'link-local',
  'multicast',
  'unspecified',
  'reserved',
  'loopback',
];

function checkAdvertised(bound: string, advertised: string, local: readonly LocalAddress[]): Finding[] {
  const scope = scopeOf(advertised)!;
  const boundScope = scopeOf(bound)!;
  if (bound === advertised) {
    if (!isBehindNat(scope)) return [];
    return [
      doubtful(
        'address',
        `${bound} is ${PHRASES[scope] ?? scope}, and what clients are told: others than in this network cannot reach it`,
        `if a 1:1 NAT leads to it, say --advertise ${bound}=PUBLIC`,
      ),
    ];
  }
  if (local.some((item) => item.address === advertised))
    return [
      wrong(
        '1:1 NAT',
        `${bound} is advertised as ${advertised}, which this machine has itself: answers leave from ${bound}`,
        `serve ${advertised} in its place, without --advertise`,
      ),
    ];
  if (UNREACHABLE.includes(scope))
    return [
      wrong('1:1 NAT', `${bound} is advertised as ${advertised}, where nobody is reached`, ADVERTISE_REMEDY),
    ];
  if (isBehindNat(scope))
    return [
      doubtful(
        '1:1 NAT',
        `${bound} is advertised as ${advertised}, which is ${PHRASES[scope] ?? scope} too`,
        ADVERTISE_REMEDY,
      ),
    ];
  if (!isBehindNat(boundScope))
    return [
      doubtful(
        '1:1 NAT',
        `${bound}, which needs no NAT, is advertised as ${advertised}`,
        `leave --advertise ${bound}=… out, unless something translates between the two`,
      ),
    ];
  return [
    fine(
      '1:1 NAT',
      `${bound} is advertised as ${advertised}; natprobe doctor tells from outside whether that leads here`,
    ),
  ];
}

const ADVERTISE_REMEDY =
  'give the public address that the provider translates to it: --advertise PRIVATE=PUBLIC';

const PHRASES: Readonly<Partial<Record<AddressScope, string>>> = {
  private: 'a private address',
  shared: 'an address of a carrier’s NAT',
  'unique-local': 'a private address',
  'link-local': 'a link-local address',
};

function oneAddress(family: Family): Finding {
  return doubtful(
    'address',
    `${FAMILY_NAMES[family]} has one address, so clients cannot learn what their NAT lets in`,
    'give this machine a second one and say --alt-ip, or pair it with another machine (--pair)',
  );
}

/** Where the second address is on another interface, its answers need a route of their own. */
function checkInterfaces(primary: string, alternate: string, local: readonly LocalAddress[]): Finding[] {
  const [first, second] = [primary, alternate].map(
    (address) => local.find((item) => item.address === address)?.interface,
  );
  if (first === undefined || second === undefined || first === second) return [];
  return [
    doubtful(
      'routing',
      `${primary} is on ${first}, and ${alternate} on ${second}: answers from ${alternate} may leave by ${first}, and be dropped`,
      `give them their own way out: ip rule add from ${alternate} table 100, and in that table a default route by ${second}`,
    ),
  ];
}

function findUnserved(families: readonly FamilyConfig[], local: readonly LocalAddress[]): Finding[] {
  if (families.some(({ family }) => family === 'ipv6')) return [];
  const isPublic = ({ family, address }: LocalAddress): boolean =>
    family === 'ipv6' && scopeOf(address) === 'public';
  const own = local.find(isPublic);
  if (own === undefined) return [];
  return [
    doubtful(
      'address',
      `IPv6 is not served, though this machine has ${own.address}`,
      `serve it too: --ip ${own.address}, and a second one as --alt-ip`,
    ),
  ];
}
