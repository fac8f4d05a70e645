/** The homes of the lab whose router has a port mapper, or none, and how their layers should be told. */
import type { LayersAxis } from '../../shared/nat/layers.ts';
import { type HomeSetting, PUBLIC_ADDRESS } from './port-mapper-network.ts';

export interface LabHome {
  readonly name: string;
  readonly madeOf: string;
  readonly setting: HomeSetting;
  readonly layers: LayersAxis['value'];
}

const ALL = { natPmpAndPcp: true, upnp: true };
const NOTHING = { natPmpAndPcp: false, upnp: false };
const ONE_NAT: HomeSetting = { outside: PUBLIC_ADDRESS, isBehindNat: false, speaks: ALL };

export const LAB_HOMES: readonly LabHome[] = [
  { name: 'home', madeOf: 'masquerade; miniupnpd', setting: ONE_NAT, layers: 'one-nat' },
  {
    name: 'home-upnp',
    madeOf: 'masquerade; miniupnpd, UPnP alone',
    setting: { ...ONE_NAT, speaks: { natPmpAndPcp: false, upnp: true } },
    layers: 'one-nat',
  },
  {
    name: 'home-pcp',
    madeOf: 'masquerade; miniupnpd, NAT-PMP and PCP alone',
    setting: { ...ONE_NAT, speaks: { natPmpAndPcp: true, upnp: false } },
    layers: 'one-nat',
  },
  {
    name: 'home-silent',
    madeOf: 'masquerade; no port mapper',
    setting: { ...ONE_NAT, speaks: NOTHING },
    layers: 'unknown',
  },
  {
    name: 'home-vpn',
    madeOf: 'as home-silent; the client’s interface is called wg0',
    setting: { ...ONE_NAT, speaks: NOTHING, clientInterface: 'wg0' },
    layers: 'unknown',
  },
  {
    name: 'home-carrier',
    madeOf: 'home behind a carrier’s NAT with shared addresses',
    setting: { outside: '100.64.0.2', isBehindNat: true, speaks: ALL },
    layers: 'cgn',
  },
  {
    name: 'home-carrier-public',
    madeOf: 'home behind a carrier’s NAT with other people’s addresses',
    setting: { outside: '25.0.0.2', isBehindNat: true, speaks: ALL },
    layers: 'cgn',
  },
  {
    name: 'home-behind-home',
    madeOf: 'home behind another router of the house',
    setting: { outside: '192.168.0.2', isBehindNat: true, speaks: ALL },
    layers: 'double-nat',
  },
];

/** The home of that name; throws if there is none. */
export function labHome(name: string): LabHome {
  const found = LAB_HOMES.find((home) => home.name === name);
  if (found === undefined) throw new Error(`no home ${name} in the lab`);
  return found;
}
