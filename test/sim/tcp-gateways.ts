/** The gateways that punches over TCP are tried through, and what a report says of each. */
import { planPorts } from '../../probe/classify/inquiries/ports.ts';
import { natTypeOf } from '../../shared/nat/behaviour.ts';
import { assessPorts } from '../../shared/nat/ports.ts';
import { behaviourOf, type PunchBehaviour, tcpBehaviourOf } from '../../shared/punch/behaviour.ts';
import { portOddsOf } from '../../shared/punch/port-odds.ts';
import { inquireIn } from './inquire.ts';
import type { Dependence } from './nat.ts';
import { buildWorld, type Scenario } from './scenario.ts';
import type { TcpGateway } from './tcp-hosts.ts';
import { inquireTcp } from './tcp-inquire.ts';
import type { KnownTcpSide } from './tcp-punch.ts';
import type { TcpConditions } from './tcp-world.ts';

const EIM: Dependence = 'endpoint-independent';
const APDF: Dependence = 'address-and-port-dependent';
const DEPENDENCES: readonly Dependence[] = [EIM, 'address-dependent', APDF];

/** Each way to map, to filter and to refuse, and one that is told by what it has refused. */
export const TCP_GATEWAYS: readonly TcpGateway[] = [
  ...(['none', ...DEPENDENCES] as const).flatMap((mapping) =>
    DEPENDENCES.flatMap((filtering) =>
      (['dropped', 'reset', 'icmp'] as const)
        // Who lets everybody in refuses nobody.
        .filter((unsolicited) => filtering !== EIM || unsolicited === 'dropped')
        .map((unsolicited) => ({ mapping, filtering, unsolicited })),
    ),
  ),
  { mapping: EIM, filtering: APDF, unsolicited: 'reset', tracks: true },
];

/** Symmetric, with the next port one above the last. */
export const COUNTING_GATEWAYS: readonly TcpGateway[] = (['dropped', 'reset'] as const).map(
  (unsolicited) => ({
    mapping: APDF,
    filtering: APDF,
    unsolicited,
    ports: { kind: 'sequential', first: 20_000, delta: 1 },
  }),
);

export type GatewayPair = readonly [TcpGateway, TcpGateway];

export function pairsOf(gateways: readonly TcpGateway[]): GatewayPair[] {
  return gateways.flatMap((a, index) => gateways.slice(index).map((b) => [a, b] as const));
}

export function nameGateway({ mapping, filtering, unsolicited, tracks = false, ports }: TcpGateway): string {
  const more = [tracks && ' tracks', ports?.kind === 'sequential' && ' counts'].filter(Boolean).join('');
  return `${mapping}/${filtering} ${unsolicited}${more}`;
}

/** As a report has it that is sure of everything. */
export function knownOf({ mapping, filtering, unsolicited }: TcpGateway): KnownTcpSide {
  if (unsolicited === 'answers') throw new Error('no such gateway is punched through here');
  const unsolicitedSyn = filtering === EIM ? 'accepted' : unsolicited;
  const overUdp = behaviourOf({ mapping: EIM, filtering: APDF });
  return { behaviour: { ...overUdp, tcp: { mapping, filtering, confidence: 1, unsolicitedSyn } } };
}

/** As the probe's own machines measure it: TCP by its inquiry, and of one that counts ports those over UDP. */
export function measureGateway(gateway: TcpGateway, conditions: TcpConditions): KnownTcpSide {
  const { mapping, filtering, ports } = gateway;
  const behaviour: PunchBehaviour = {
    ...behaviourOf({ mapping, filtering }),
    tcp: tcpBehaviourOf(inquireTcp(gateway, conditions).axis),
  };
  if (ports === undefined || mapping === 'none') return { behaviour };
  const scenario: Scenario = {
    name: nameGateway(gateway),
    family: 'ipv4',
    layers: [{ kind: 'nat', behaviour: { mapping, filtering, ports } }],
    truth: { type: natTypeOf(mapping, filtering), mapping, filtering },
  };
  const { seed, rttMs } = conditions;
  const world = buildWorld(scenario, { seed, rttMs });
  const axis = assessPorts(inquireIn(world, planPorts({ server: world.server.primary })).result!.evidence);
  return { behaviour: { ...behaviour, ports: portOddsOf(axis) }, ports: axis };
}
