/**
 * Port allocation (RFC 4787 §4.2): how the NAT picks the public port of a new mapping, and from that
 * where the next one will be. Judged from sockets of the `ports` inquiry, each of which has sent to
 * one or several endpoints of the server, with other traffic in between.
 */
import { sameEndpoint } from '../endpoint.ts';
import { type Axis, unknownAxis } from './axis.ts';
import type { Evidence } from './evidence.ts';
import { type Observations, observe } from './observations.ts';
import { likeliestPorts, massesOf, type PortRange, type Situation, type WeightedLaw } from './port-law.ts';
import { comparePortModels, type Hypothesis, type JudgedModel, type PortsValue } from './port-models.ts';
import type { Allocation } from './port-predictors.ts';
import { sightingsOf, type TimedSighting } from './sightings.ts';
import type { Reason } from './verdict.ts';

export type { PortRange } from './port-law.ts';
export type { PortsValue } from './port-models.ts';

export interface PortsAxis extends Axis<PortsValue> {
  /** Sockets that were seen, and the mappings that were made for them. */
  readonly samples: { readonly sockets: number; readonly mappings: number };
  /** Whether a socket keeps its mapping towards another address, as far as seen. */
  readonly keepsMapping: YesNo;
  /** What became of a preserving NAT's further mappings of one socket, whose local port was taken. */
  readonly whenTaken?: 'sequential' | 'random';
  /** From one new mapping to the next, if nobody else makes one in between. */
  readonly delta?: number;
  /** New mappings a second that others made meanwhile, as the counter shows. */
  readonly otherMappingsPerSecond?: number;
  readonly block?: { readonly first: number; readonly size: number };
  /** The lowest and the highest port seen, where ports are drawn. */
  readonly seenRange?: { readonly first: number; readonly last: number };
  /** RFC 4787 §4.2.2: even local ports get even public ones, and odd odd. */
  readonly parityPreserved: YesNo;
  /** RFC 4787 §4.2.3: neighbouring local ports get neighbouring public ones. */
  readonly contiguous: YesNo;
  /** What the next mapping is expected to be; read by predictNextPort. */
  readonly model: PortModel;
}

export type YesNo = 'yes' | 'no' | 'unknown';

/** Mixtures of laws; their weights sum to 1. */
export interface PortModel {
  /** For the first mapping of a new socket. */
  readonly newSocket: readonly WeightedLaw[];
  /** For a socket that has a mapping, towards an address that it has not sent to. */
  readonly newEndpoint: readonly WeightedLaw[];
}

/** Which mapping is asked about: a new socket's, or one of a socket that has some, towards a new address. */
export type NextMapping = (
  { readonly kind: 'new-socket' } | { readonly kind: 'new-endpoint'; readonly ownPort: number }
) &
  Omit<Situation, 'ownPort'>;

export interface PortPrediction {
  readonly ports: readonly PortRange[];
  /** How many ports that is. */
  readonly count: number;
  /** That the mapping will have one of them; at least PREDICTED_SHARE. */
  readonly probability: number;
}

/** What a predicted set has to hold at least. */
export const PREDICTED_SHARE = 0.9;

/** The smallest set of ports that has the next mapping's with at least PREDICTED_SHARE. */
export function predictNextPort({ model }: Pick<PortsAxis, 'model'>, next: NextMapping): PortPrediction {
  const laws = next.kind === 'new-socket' ? model.newSocket : model.newEndpoint;
  return likeliestPorts(massesOf(laws, next), PREDICTED_SHARE);
}

/** Below this the value is `unknown`; the model is what it is. */
const REQUIRED = 0.9;

/** Judges the evidence of a `ports` inquiry. Throws TypeError if it lacks its `run`. */
export function assessPorts(evidence: readonly Evidence[]): PortsAxis {
  const observations = observe(evidence);
  const sightings = sightingsOf(observations, 'ports');
  const { placed, unplaced, revisits } = allocationsOf(sightings);
  const models = comparePortModels(placed, unplaced, observations.nowMs);
  const keeps = judgeKeeping(revisits);
  const base = {
    samples: {
      sockets: new Set(sightings.map(({ socket }) => socket)).size,
      mappings: placed.length + unplaced.length,
    },
    keepsMapping: keeps > 0.95 ? 'yes' : keeps < 0.05 ? 'no' : 'unknown',
    parityPreserved: judgeParity(placed),
    contiguous: judgeContiguity(sightings),
    model: modelOf(models, keeps),
  } as const;
  const best = bestHypothesis(models);
  if (placed.length < FEWEST || best.probability < REQUIRED) {
    const why = placed.length < FEWEST ? unknownForLack(observations) : UNDECIDED;
    return { ...unknownAxis(why.code, why.text), ...base };
  }
  const details = detailsOf(best.hypothesis, placed);
  const axis = { value: best.hypothesis.value, confidence: best.probability, ...base, ...details };
  return { ...axis, reasons: reasonsFor(axis) };
}

/** Whether the ports so far go up or go down in small steps: then watching them for longer tells more. */
export function mayBeCounted(observations: Observations): boolean {
  const { placed } = allocationsOf(sightingsOf(observations, 'ports'));
  const steps = placed.slice(1).map(({ port }, index) => port - placed[index]!.port);
  const small = (sign: number): number =>
    steps.filter((step) => step * sign > 0 && step * sign < SMALL_STEP).length;
  return Math.max(small(1), small(-1)) >= 0.7 * steps.length;
}

/** Others make fewer mappings than this between two of ours. */
const SMALL_STEP = 2048;

/** Fewer mappings than this tell nothing. */
const FEWEST = 3;
const UNDECIDED: Reason = {
  code: 'ports-undecided',
  text: 'the public ports seen fit several ways of picking them',
};

function unknownForLack(observations: Observations): Reason {
  return observations.roundTrips.size === 0
    ? { code: 'ports-silent', text: 'no server answered the port tests' }
    : { code: 'ports-few', text: 'too few port tests were answered to tell' };
}

interface Allocations {
  /** In the order in which the NAT made them. */
  readonly placed: readonly Allocation[];
  /** Those whose request was repeated, so that any of its sends may have made them. */
  readonly unplaced: readonly Allocation[];
  /** For each sighting of a socket that had a mapping: whether it kept that, and whether it knew the address. */
  readonly revisits: readonly Revisit[];
}

interface Revisit {
  readonly kept: boolean;
  readonly knownAddress: boolean;
}

/** Tells new mappings from those that a socket had already. */
function allocationsOf(sightings: readonly TimedSighting[]): Allocations {
  const placed: Allocation[] = [];
  const unplaced: Allocation[] = [];
  const revisits: Revisit[] = [];
  const bySocket = new Map<string, { seen: Set<string>; contacted: Set<string>; lastPort: number }>();
  for (const { socket, local, to, mapped, sentMs, atOnce } of sightings) {
    const key = `${mapped.address} ${mapped.port}`;
    const own = bySocket.get(socket);
    if (own !== undefined)
      revisits.push({ kept: own.seen.has(key), knownAddress: own.contacted.has(to.address) });
    own?.contacted.add(to.address);
    if (own?.seen.has(key) === true) continue;
    const allocation: Allocation = {
      localPort: local.port,
      address: mapped.address,
      port: mapped.port,
      atMs: sentMs,
      ...(own === undefined ? {} : { ownPort: own.lastPort }),
    };
    (atOnce ? placed : unplaced).push(allocation);
    if (own === undefined)
      bySocket.set(socket, { seen: new Set([key]), contacted: new Set([to.address]), lastPort: mapped.port });
    else {
      own.seen.add(key);
      own.lastPort = mapped.port;
    }
  }
  return { placed, unplaced, revisits };
}

/** A mapping that ought to be kept is replaced this rarely, and one that ought not comes back. */
const MISTAKE = 0.02;

/** How likely a socket keeps its mapping towards a new address: the three mappings of RFC 4787 §4.1, compared. */
function judgeKeeping(revisits: readonly Revisit[]): number {
  const chances = [
    (): boolean => true,
    ({ knownAddress }: Revisit): boolean => knownAddress,
    (): boolean => false,
  ].map((keeps) =>
    revisits.reduce(
      (chance, revisit) => chance * (keeps(revisit) === revisit.kept ? 1 - MISTAKE : MISTAKE),
      1,
    ),
  );
  const total = chances.reduce((sum, chance) => sum + chance, 0);
  return (chances[0]! / total) * (1 - MISTAKE);
}

function modelOf(models: readonly JudgedModel[], keeps: number): PortModel {
  const newEndpoint = merged(
    models.map(({ probability, newMapping }) => ({ probability, laws: newMapping })),
  );
  return {
    newSocket: merged(models.map(({ probability, newSocket }) => ({ probability, laws: newSocket }))),
    newEndpoint: [
      { weight: keeps, law: { kind: 'kept' } },
      ...newEndpoint.map(({ weight, law }) => ({ weight: weight * (1 - keeps), law })),
    ],
  };
}

/** Laws of less weight are left out. */
const LEAST_LAW = 1e-4;

function merged(parts: readonly { probability: number; laws: readonly WeightedLaw[] }[]): WeightedLaw[] {
  const weights = new Map<string, WeightedLaw>();
  for (const { probability, laws } of parts) {
    for (const { weight, law } of laws) {
      const key = JSON.stringify(law);
      weights.set(key, { weight: (weights.get(key)?.weight ?? 0) + probability * weight, law });
    }
  }
  const kept = [...weights.values()].filter(({ weight }) => weight >= LEAST_LAW);
  const total = kept.reduce((sum, { weight }) => sum + weight, 0);
  return kept.map(({ weight, law }) => ({ weight: weight / total, law })).sort((a, b) => b.weight - a.weight);
}

/**
 * The value with the most probability, and the best of its hypotheses. Blocks of one size that are
 * counted from different origins may be the same block, for which both speak.
 */
function bestHypothesis(models: readonly JudgedModel[]): { probability: number; hypothesis: Hypothesis } {
  const [ofValue, probability] = likeliest(models, ({ value }) => value);
  const [alike] = likeliest(ofValue, ({ block }) =>
    block === undefined ? '' : `${block.first} ${block.size}`,
  );
  return { probability, hypothesis: alike[0]! };
}

/** Of the models in groups, the group with the most probability, and how much that is. */
function likeliest(
  models: readonly JudgedModel[],
  groupOf: (model: JudgedModel) => string,
): [readonly JudgedModel[], number] {
  return [...Map.groupBy(models, groupOf).values()]
    .map((group): [JudgedModel[], number] => [
      group,
      group.reduce((sum, { probability }) => sum + probability, 0),
    ])
    .reduce((a, b) => (b[1] > a[1] ? b : a));
}

function detailsOf(
  { value, whenTaken, delta, block, skips }: Hypothesis,
  placed: readonly Allocation[],
): Pick<PortsAxis, 'whenTaken' | 'delta' | 'otherMappingsPerSecond' | 'block' | 'seenRange'> {
  const ports = placed.map(({ port }) => port);
  return {
    ...(whenTaken === undefined || !placed.some(({ ownPort }) => ownPort !== undefined) ? {} : { whenTaken }),
    ...(delta === undefined ? {} : { delta }),
    ...(skips === undefined ? {} : { otherMappingsPerSecond: (1000 * skips.shape) / skips.rate }),
    ...(block === undefined ? {} : { block }),
    ...(value === 'random' || value === 'block'
      ? { seenRange: { first: Math.min(...ports), last: Math.max(...ports) } }
      : {}),
  };
}

/** So many matches in a row are no chance: one in 128. */
const FEWEST_FOR_PARITY = 7;

function judgeParity(placed: readonly Allocation[]): YesNo {
  const same = placed.filter(({ localPort, port }) => (localPort ^ port) % 2 === 0).length;
  if (placed.length < FEWEST_FOR_PARITY) return 'unknown';
  if (same === placed.length) return 'yes';
  return same < placed.length - 1 ? 'no' : 'unknown';
}

/** From pairs of sockets on neighbouring local ports, both towards the same endpoint. */
function judgeContiguity(sightings: readonly TimedSighting[]): YesNo {
  let pairs = 0;
  let contiguous = 0;
  for (const low of sightings) {
    const high = sightings.find(
      ({ local, to }) =>
        local.address === low.local.address && local.port === low.local.port + 1 && sameEndpoint(to, low.to),
    );
    if (high === undefined) continue;
    pairs++;
    contiguous += high.mapped.port === low.mapped.port + 1 ? 1 : 0;
  }
  if (pairs < FEWEST) return 'unknown';
  return contiguous === pairs ? 'yes' : contiguous <= pairs / 2 ? 'no' : 'unknown';
}

function reasonsFor(axis: Omit<PortsAxis, 'reasons'>): Reason[] {
  const { sockets, mappings } = axis.samples;
  const reasons: Reason[] = [
    { code: `ports-${axis.value}`, text: describePorts(axis) },
    {
      code: 'ports-samples',
      text: `${count(mappings, 'mapping')} of ${count(sockets, 'local port')} were compared`,
    },
  ];
  if (axis.value === 'sequential' && axis.otherMappingsPerSecond! >= 1)
    reasons.push({
      code: 'ports-traffic',
      text: `others made about ${Math.round(axis.otherMappingsPerSecond!)} mappings a second meanwhile`,
    });
  if (axis.parityPreserved === 'yes' && axis.value !== 'preserved')
    reasons.push({ code: 'ports-parity', text: 'even local ports get even public ones, and odd ones odd' });
  return reasons;
}

/** What the axis says, in a sentence for people. */
export function describePorts(
  axis: Pick<PortsAxis, 'value' | 'delta' | 'block' | 'seenRange' | 'whenTaken'>,
): string {
  switch (axis.value) {
    case 'preserved':
      return `the public port is the local one${
        axis.whenTaken === undefined
          ? ''
          : `; where that is taken, ${axis.whenTaken === 'sequential' ? 'the next free one' : 'a random one'}`
      }`;
    case 'sequential': {
      const by = Math.abs(axis.delta!);
      const direction = axis.delta! > 0 ? 'above' : 'below';
      return `each new mapping gets the port ${by === 1 ? 'next' : by} ${direction} the last one`;
    }
    case 'block':
      return `ports are drawn from a block of ${axis.block!.size}, from ${axis.block!.first} to ${axis.block!.first + axis.block!.size - 1}`;
    case 'random':
      return `each new mapping gets a random port; seen were ${axis.seenRange!.first} to ${axis.seenRange!.last}`;
    case 'unknown':
      return 'how public ports are picked is not known';
  }
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
