/** What a peer states of its own NAT when it joins, over each family: enough to predict a punch, and no address. */
import Type, { type Static } from 'typebox';
import { FILTERINGS, MAPPINGS, NAT_TYPES } from '../nat/behaviour.ts';
import type { WeightedLaw } from '../nat/port-law.ts';
import type { PortsAxis } from '../nat/ports.ts';
import { UNSOLICITED_SYNS } from '../nat/tcp.ts';
import { behaviourOf, type PunchBehaviour, tcpBehaviourOf } from '../punch/behaviour.ts';
import { portOddsOf } from '../punch/port-odds.ts';
import { type FamilyReport, isClassified, type Report } from '../report/report.ts';

const ListOf = <Item extends Type.TSchema>(item: Item, most: number) =>
  Type.Immutable(Type.Array(item, { maxItems: most }));
const PortNumber = Type.Integer({ minimum: 0, maximum: 65535 });
const Step = Type.Integer({ minimum: -65535, maximum: 65535 });
const Probability = Type.Number({ minimum: 0, maximum: 1 });
/** No law that was ever fitted comes near these. */
const SkipsSchema = Type.Object({
  shape: Type.Number({ minimum: 1e-6, maximum: 1e6 }),
  rate: Type.Number({ minimum: 1e-6, maximum: 1e9 }),
});

const PortLawSchema = Type.Union([
  Type.Object({ kind: Type.Literal('kept') }),
  Type.Object({ kind: Type.Literal('preserved') }),
  Type.Object({
    kind: Type.Literal('after-last'),
    delta: Step,
    last: PortNumber,
    agoMs: Type.Number({ minimum: 0, maximum: 1e9 }),
    skips: SkipsSchema,
  }),
  Type.Object({ kind: Type.Literal('after-own'), delta: Step, skips: SkipsSchema }),
  Type.Object({
    kind: Type.Literal('uniform'),
    first: PortNumber,
    last: PortNumber,
    sameParity: Type.Boolean(),
  }),
  Type.Object({
    kind: Type.Literal('spread'),
    lowest: PortNumber,
    highest: PortNumber,
    samples: Type.Integer({ minimum: 1, maximum: 1e6 }),
    sameParity: Type.Boolean(),
  }),
]);
/** A mixture has one law for each way in which ports may be picked. */
const MOST_LAWS = 16;
const MixtureSchema = ListOf(Type.Object({ weight: Probability, law: PortLawSchema }), MOST_LAWS);
const ModelSchema = Type.Object({ newSocket: MixtureSchema, newEndpoint: MixtureSchema });

const StatedPortsSchema = Type.Union([
  Type.Object({
    value: Type.Literal('preserved'),
    whenTaken: Type.Optional(Type.Enum(['sequential', 'random'])),
    model: ModelSchema,
  }),
  Type.Object({ value: Type.Literal('sequential'), delta: Step, model: ModelSchema }),
  Type.Object({
    value: Type.Literal('block'),
    block: Type.Object({ first: PortNumber, size: PortNumber }),
    model: ModelSchema,
  }),
  Type.Object({
    value: Type.Literal('random'),
    seenRange: Type.Object({ first: PortNumber, last: PortNumber }),
    model: ModelSchema,
  }),
  Type.Object({ value: Type.Literal('unknown'), model: ModelSchema }),
]);

export const BrokerBehaviourSchema = Type.Object({
  family: Type.Enum(['ipv4', 'ipv6']),
  type: Type.Enum([...NAT_TYPES]),
  mapping: Type.Enum([...MAPPINGS]),
  filtering: Type.Enum([...FILTERINGS]),
  confidence: Probability,
  unsolicited: Type.Enum(['dropped', 'tracked', 'unknown']),
  hairpin: Type.Enum(['none', 'translated', 'untranslated', 'unknown']),
  ports: Type.Optional(StatedPortsSchema),
  lowPorts: Type.Optional(Type.Boolean()),
  /** Where it was measured. */
  tcp: Type.Optional(
    Type.Object({
      mapping: Type.Enum([...MAPPINGS]),
      filtering: Type.Enum([...FILTERINGS]),
      confidence: Probability,
      unsolicitedSyn: Type.Enum([...UNSOLICITED_SYNS, 'unknown']),
    }),
  ),
});
export type BrokerBehaviour = Static<typeof BrokerBehaviourSchema>;
type StatedPorts = Static<typeof StatedPortsSchema>;

/** Of the families that a report tells of, the one that it is about first. */
export function statedBehaviours(report: Report): BrokerBehaviour[] {
  const { families, family } = report;
  const order = family === 'ipv4' ? (['ipv4', 'ipv6'] as const) : (['ipv6', 'ipv4'] as const);
  return order.flatMap((each) => {
    const part = families[each];
    return isClassified(part) ? [stateFamily(each, part)] : [];
  });
}

function stateFamily(
  family: BrokerBehaviour['family'],
  { verdict: { type, mapping, filtering, confidence }, axes = {} }: FamilyReport,
): BrokerBehaviour {
  const { ports, unsolicited, hairpin, tcp } = axes;
  return {
    family,
    type,
    mapping,
    filtering,
    confidence,
    unsolicited: unsolicited?.value ?? 'unknown',
    hairpin: hairpin?.value ?? 'unknown',
    ...(ports !== undefined && { ports: statePorts(ports) }),
    ...(tcp !== undefined && { tcp: tcpBehaviourOf(tcp) }),
  };
}

function statePorts({ value, whenTaken, delta, block, seenRange, ...axis }: PortsAxis): StatedPorts {
  const { newSocket, newEndpoint } = axis.model;
  const model = { newSocket: likeliestLaws(newSocket), newEndpoint: likeliestLaws(newEndpoint) };
  if (value === 'preserved') return { value, ...(whenTaken !== undefined && { whenTaken }), model };
  if (value === 'sequential' && delta !== undefined) return { value, delta, model };
  if (value === 'block' && block !== undefined) return { value, block, model };
  if (value === 'random' && seenRange !== undefined) return { value, seenRange, model };
  return { value: 'unknown', model };
}

/** As many as may be stated, in their order: where ports fit many laws, the last of them hardly matter. */
function likeliestLaws(laws: readonly WeightedLaw[]): readonly WeightedLaw[] {
  if (laws.length <= MOST_LAWS) return laws;
  const kept = new Set(laws.toSorted((a, b) => b.weight - a.weight).slice(0, MOST_LAWS));
  const total = [...kept].reduce((sum, { weight }) => sum + weight, 0);
  return laws.flatMap((each) => (kept.has(each) ? [{ ...each, weight: each.weight / total }] : []));
}

/** One side as `predict` takes it. It knows no endpoints: a peer is where servers have seen it, not where it says. */
export function behaviourOfPeer(stated: readonly BrokerBehaviour[]): PunchBehaviour {
  const [first, other] = stated.map(behaviourOverFamily);
  if (first === undefined) throw new RangeError('a peer that states no behaviour');
  return { ...first, ...(other !== undefined && { otherFamily: other }) };
}

function behaviourOverFamily(stated: BrokerBehaviour): PunchBehaviour {
  const { family, type, mapping, filtering, confidence, unsolicited, hairpin, lowPorts, tcp } = stated;
  const ports = soundPorts(stated);
  const isSteady = mapping === 'none' || mapping === 'endpoint-independent';
  return {
    ...behaviourOf({ type, mapping, filtering }),
    confidence,
    unsolicited,
    hairpin,
    ...(ports !== undefined && !isSteady && { ports: portOddsOf(ports) }),
    ...(lowPorts !== undefined && { lowPorts }),
    ...(tcp !== undefined && { tcp }),
    family,
  };
}

/** How ports are picked, if it can be reckoned with: weights that sum to 1, and ranges with something in them. */
export function soundPorts({ ports }: BrokerBehaviour): StatedPorts | undefined {
  if (ports === undefined) return undefined;
  const laws = [...ports.model.newEndpoint, ...ports.model.newSocket];
  const isSound = [ports.model.newEndpoint, ports.model.newSocket].every((mixture) => {
    const sum = mixture.reduce((total, { weight }) => total + weight, 0);
    return Math.abs(sum - 1) < 0.01;
  });
  return isSound && laws.every(({ law }) => hasPorts(law)) ? ports : undefined;
}

/** Whether its NAT gives each destination a new port that is a step from one before: where that is now tells where the next will be. */
export function hasCountedPorts(stated: BrokerBehaviour): boolean {
  const { mapping } = stated;
  if (mapping === 'none' || mapping === 'endpoint-independent') return false;
  return (
    soundPorts(stated)?.model.newEndpoint.some(
      ({ law }) => law.kind === 'after-last' || law.kind === 'after-own',
    ) ?? false
  );
}

function hasPorts(law: Static<typeof PortLawSchema>): boolean {
  if (law.kind === 'uniform') return law.first < law.last;
  // One sample alone has no spread.
  if (law.kind === 'spread') return law.samples > 1 && law.lowest <= law.highest;
  return true;
}
