/**
 * How many NATs lie between this machine and the internet, and through what the packets leave it.
 *
 * A server sees the outermost address only. What is in between is told by the router, if it maps
 * ports on request: its outer address is compared with the one that the server saw.
 */
import { isBehindNat, scopeOf } from '../address-scope.ts';
import { type Axis, unknownAxis } from './axis.ts';
import type {
  EndpointsEvidence,
  Evidence,
  InterfaceEvidence,
  InterfaceKind,
  PortMapperEvidence,
  PortMapperProtocol,
} from './evidence.ts';
import { isPlain } from './evidence.ts';
import { isTunnel } from './interface-kind.ts';

export type Layers =
  | 'none'
  | 'one-nat'
  /** A carrier's NAT (RFC 6888), whether or not another one is inside it. */
  | 'cgn'
  /** Another NAT outside the router's own, and no sign of whose: a house's, or a carrier's with private addresses. */
  | 'double-nat';

export interface LayersAxis extends Axis<Layers> {
  /** How many NATs there are at least. */
  readonly atLeast: 0 | 1 | 2;
  /** Through which the packets to the server leave. */
  readonly path?: PathInterface;
  /** Further VPN, tunnel, container and virtual machine interfaces that are up. */
  readonly otherInterfaces: readonly NamedInterface[];
  readonly portMappers: readonly PortMapperEvidence[];
}

export interface NamedInterface {
  readonly name: string;
  readonly kind: InterfaceKind;
}

export interface PathInterface extends NamedInterface {
  readonly address: string;
  readonly gateway?: string;
}

/**
 * By judgement, not measured. A router can be told a public address (by its operator, or by STUN),
 * and then says it although another NAT is outside.
 */
const AGREEMENT_CONFIDENCE = 0.98;
/** A router that has such an address outside has it from another NAT, unless it lies. */
const INNER_ADDRESS_CONFIDENCE = 0.99;
/** Two public addresses: a carrier that numbers its customers from other people's ranges, or else a second uplink. */
const DISAGREEMENT_CONFIDENCE = 0.9;
/** Shared addresses are the carriers', and yet some use them at home. */
const SHARED_LOCAL_CONFIDENCE = 0.95;
const MISMATCH_CONFIDENCE = 0.95;
/** "No address" is also what a router says whose mapper is badly set up. */
const NO_ADDRESS_CONFIDENCE = 0.8;

/** What of a classification the layers are judged from, or undefined if no answer came over UDP. */
export function endpointsOf(classification: readonly Evidence[]): EndpointsEvidence | undefined {
  const sockets = classification.filter((item) => item.kind === 'socket');
  const asked = sockets.find(({ purpose }) => purpose === 'mapping');
  if (asked === undefined) return undefined;
  const seen = classification
    .filter((item) => item.kind === 'binding')
    .filter((series) => series.socket === asked.socket && isPlain(series))
    .flatMap(({ replies }) => replies)
    .flatMap((reply) => (reply.kind === 'response' ? [reply.mapped] : []));
  if (seen.length === 0) return undefined;
  const byAddress = new Map(seen.map((mapped) => [`${mapped.address} ${mapped.port}`, mapped]));
  return { kind: 'endpoints', local: asked.local, mapped: [...byAddress.values()] };
}

export function assessLayers(evidence: readonly Evidence[]): LayersAxis {
  const facts = factsOf(evidence);
  const { path, interfaces, portMappers } = facts;
  const found = judge(facts);
  return {
    ...found,
    ...(path === undefined ? {} : { path: pathOf(path) }),
    otherInterfaces: otherInterfacesOf(interfaces),
    portMappers,
  };
}

/** The layers; then, where there is something to say, the interface, further interfaces, port mappers. */
export function describeLayers(axis: LayersAxis): readonly string[] {
  const { reasons, path, otherInterfaces, portMappers } = axis;
  const onTunnel = path !== undefined && isTunnel(path.kind);
  return [
    ...(onTunnel ? [`this goes through the ${KIND_NAMES[path.kind]} ${path.name}`] : []),
    ...reasons.map(({ text }) => text),
    ...(otherInterfaces.length === 0
      ? []
      : [`also up: ${otherInterfaces.map(({ name, kind }) => `${KIND_NAMES[kind]} ${name}`).join(', ')}`]),
    portMappers.length === 0
      ? 'no port mapper answers'
      : `the router maps ports on request: ${portMappers.map(describeMapper).join(', ')}`,
  ];
}

export const PORT_MAPPER_NAMES: Readonly<Record<PortMapperProtocol, string>> = {
  pcp: 'PCP',
  'nat-pmp': 'NAT-PMP',
  'upnp-igd': 'UPnP',
};

const KIND_NAMES: Readonly<Record<InterfaceKind, string>> = {
  ethernet: 'Ethernet interface',
  wifi: 'Wi-Fi interface',
  cellular: 'cellular interface',
  ppp: 'PPP interface',
  vpn: 'VPN interface',
  tunnel: 'tunnel interface',
  container: 'container interface',
  'virtual-machine': 'virtual machine interface',
  bridge: 'bridge',
  loopback: 'loopback interface',
  other: 'interface',
};

const NOTEWORTHY_KINDS: ReadonlySet<InterfaceKind> = new Set([
  'vpn',
  'tunnel',
  'container',
  'virtual-machine',
]);

interface LayerFacts {
  readonly endpoints: EndpointsEvidence | undefined;
  readonly path: InterfaceEvidence | undefined;
  readonly interfaces: readonly InterfaceEvidence[];
  readonly portMappers: readonly PortMapperEvidence[];
}

type Judgement = Pick<LayersAxis, 'value' | 'confidence' | 'reasons' | 'atLeast'>;

function factsOf(evidence: readonly Evidence[]): LayerFacts {
  const interfaces = evidence.filter((item) => item.kind === 'interface');
  return {
    endpoints: evidence.find((item) => item.kind === 'endpoints'),
    path: interfaces.find(({ onPath }) => onPath),
    interfaces,
    portMappers: evidence.filter((item) => item.kind === 'port-mapper'),
  };
}

function judge(facts: LayerFacts): Judgement {
  const { endpoints, path } = facts;
  if (endpoints === undefined || endpoints.mapped.length === 0) {
    return unknown(0, 'layers-not-seen', 'no server has told how this machine is seen from outside');
  }
  const local = endpoints.local.address;
  const mapped = endpoints.mapped.map(({ address }) => address);
  if (mapped.includes(local)) {
    return known('none', 0, 1, 'layers-none', `no NAT: this machine itself has ${local}`);
  }
  // The router of the network underneath is not on the way, and its port mapper has no say.
  if (path !== undefined && isTunnel(path.interfaceKind)) {
    const text = `the NAT that is seen lies behind ${path.name}, at its other end`;
    return unknown(1, 'layers-behind-tunnel', text);
  }
  if (scopeOf(local) === 'shared') {
    const text = `carrier-grade NAT: this machine’s own address ${local} is of a carrier’s shared range`;
    return known('cgn', 1, SHARED_LOCAL_CONFIDENCE, 'layers-shared-local', text);
  }
  return judgeByMapper(mappersOnPath(facts), mapped);
}

function judgeByMapper(mappers: readonly PortMapperEvidence[], mapped: readonly string[]): Judgement {
  const external = outerAddressOf(mappers);
  const scope = external === undefined ? undefined : scopeOf(external);
  if (external !== undefined && scope === 'shared') {
    const text = `carrier-grade NAT: the router’s outer address ${external} is of a carrier’s shared range`;
    return known('cgn', 2, INNER_ADDRESS_CONFIDENCE, 'layers-shared-outside', text);
  }
  if (external !== undefined && scope !== undefined && isBehindNat(scope)) {
    const text = `double NAT: the router’s outer address ${external} is private itself`;
    return known('double-nat', 2, INNER_ADDRESS_CONFIDENCE, 'layers-private-outside', text);
  }
  if (external !== undefined && mapped.includes(external)) {
    const text = `one NAT: the router has ${external} outside, and that is what the server saw`;
    return known('one-nat', 1, AGREEMENT_CONFIDENCE, 'layers-one', text);
  }
  if (external !== undefined) {
    const text = `carrier-grade NAT: the router has ${external} outside, yet the server saw ${mapped.join(', ')}`;
    return known('cgn', 2, DISAGREEMENT_CONFIDENCE, 'layers-other-outside', text);
  }
  if (mappers.some(({ error }) => error === 'address-mismatch')) {
    const text = 'double NAT: the port mapper sees this machine by another address, so a NAT lies before it';
    return known('double-nat', 2, MISMATCH_CONFIDENCE, 'layers-nat-before-mapper', text);
  }
  if (mappers.some(({ error }) => error === 'no-external-address')) {
    const text = 'double NAT: the router says that it has no public address, yet leads to the internet';
    return known('double-nat', 2, NO_ADDRESS_CONFIDENCE, 'layers-no-address-outside', text);
  }
  return unknown(1, 'layers-uncounted', 'one NAT at least: no router tells whether another is outside it');
}

function mappersOnPath({ path, portMappers }: LayerFacts): readonly PortMapperEvidence[] {
  const gateway = path?.gateway;
  return gateway === undefined ? portMappers : portMappers.filter((mapper) => mapper.gateway === gateway);
}

/** Where a router's protocols disagree, an inner address is the one that nobody would make up. */
function outerAddressOf(mappers: readonly PortMapperEvidence[]): string | undefined {
  const addresses = mappers.flatMap(({ externalAddress }) => externalAddress ?? []);
  const inner = addresses.find((address) => {
    const scope = scopeOf(address);
    return scope !== undefined && isBehindNat(scope);
  });
  return inner ?? addresses[0];
}

function pathOf({ name, interfaceKind, address, gateway }: InterfaceEvidence): PathInterface {
  return { name, kind: interfaceKind, address, ...(gateway === undefined ? {} : { gateway }) };
}

function otherInterfacesOf(interfaces: readonly InterfaceEvidence[]): NamedInterface[] {
  const byName = new Map<string, NamedInterface>();
  for (const { name, interfaceKind, onPath } of interfaces) {
    if (!onPath && NOTEWORTHY_KINDS.has(interfaceKind)) byName.set(name, { name, kind: interfaceKind });
  }
  for (const { name, onPath } of interfaces) if (onPath) byName.delete(name);
  return [...byName.values()];
}

function describeMapper({ protocol, latencyMs, error }: PortMapperEvidence): string {
  const took = `${Math.max(1, Math.round(latencyMs))} ms`;
  return `${PORT_MAPPER_NAMES[protocol]} (${error === undefined ? took : `${took}, ${ERROR_NAMES[error]}`})`;
}

const ERROR_NAMES: Readonly<Record<NonNullable<PortMapperEvidence['error']>, string>> = {
  'no-external-address': 'has no public address',
  'not-authorized': 'switched off',
  'address-mismatch': 'behind another NAT',
  'no-resources': 'has no ports left',
  conflict: 'the port is taken',
  unsupported: 'can’t do it',
  malformed: 'answers nonsense',
  silent: 'stopped answering',
  refused: 'refuses',
};

function known(
  value: Layers,
  atLeast: LayersAxis['atLeast'],
  confidence: number,
  code: string,
  text: string,
): Judgement {
  return { value, atLeast, confidence, reasons: [{ code, text }] };
}

function unknown(atLeast: LayersAxis['atLeast'], code: string, text: string): Judgement {
  return { ...unknownAxis(code, text), atLeast };
}
