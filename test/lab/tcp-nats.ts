/** What the lab's gateways do with TCP: some of the NATs of nats.ts, and some made for TCP alone. */
import type { UnsolicitedSyn } from '../../shared/nat/tcp.ts';
import type { Filtering, Mapping } from '../../shared/nat/behaviour.ts';
import { labNat, type LabNat, type TcpTreatment } from './nats.ts';

export interface LabTcpNat {
  readonly nat: LabNat;
  /** In IPv4. */
  readonly tcp: { readonly mapping: Mapping; readonly filtering: Filtering; readonly syn: UnsolicitedSyn };
}

const EIF = 'endpoint-independent';
const ADF = 'address-dependent';
const APDF = 'address-and-port-dependent';

export const LAB_TCP_NATS: readonly LabTcpNat[] = [
  { nat: labNat('open'), tcp: { mapping: 'none', filtering: EIF, syn: 'accepted' } },
  { nat: labNat('firewall'), tcp: { mapping: 'none', filtering: APDF, syn: 'dropped' } },
  { nat: labNat('port-restricted-cone'), tcp: { mapping: EIF, filtering: APDF, syn: 'dropped' } },
  // Without an input chain the router's own TCP answers.
  { nat: labNat('linux-router'), tcp: { mapping: EIF, filtering: APDF, syn: 'reset' } },
  tcpNat('tcp-full-cone', 'masquerade; dnat of TCP by learned outer port', 'preserving', EIF),
  tcpNat('tcp-restricted', 'masquerade; dnat of TCP by outer port and contacted address', 'preserving', ADF),
  tcpNat('tcp-reset', 'masquerade; input rejects TCP with a reset', 'preserving', APDF, 'reset'),
  tcpNat('tcp-icmp', 'masquerade; input rejects TCP with admin-prohibited', 'preserving', APDF, 'icmp'),
  tcpNat('tcp-restricted-reset', 'as tcp-restricted; input rejects with a reset', 'preserving', ADF, 'reset'),
  tcpNat('tcp-by-address', 'masquerade to one port range per address', 'by-address', APDF),
  tcpNat('tcp-symmetric', 'masquerade fully-random', 'random', APDF),
  tcpNat('tcp-symmetric-eif', 'masquerade fully-random; dnat of TCP by learned outer port', 'random', EIF),
];

/** UDP is that of port-restricted-cone. */
function tcpNat(
  name: string,
  madeOf: string,
  rule: TcpTreatment['mapping'],
  filtering: TcpTreatment['filtering'],
  unsolicited: TcpTreatment['unsolicited'] = 'dropped',
): LabTcpNat {
  const base = labNat('port-restricted-cone');
  const [{ ipv4, ipv6 }] = base.layers as readonly [LabNat['layers'][number]];
  if (ipv4.kind !== 'nat') throw new Error(`${base.name} does not translate`);
  const layers = [{ ipv4: { ...ipv4, tcp: { mapping: rule, filtering, unsolicited } }, ipv6 }];
  const mapping = { preserving: EIF, remapping: EIF, 'by-address': ADF, random: APDF } as const;
  const syn = filtering === EIF ? 'accepted' : unsolicited;
  return { nat: { ...base, name, madeOf, layers }, tcp: { mapping: mapping[rule], filtering, syn } };
}
