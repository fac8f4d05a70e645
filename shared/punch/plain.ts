/**
 * A punch, worked out by simulating both NATs (MEASURING.md §3). In a plain one both send to what the
 * server saw of the other, and to whatever they hear, until both have heard each other or nothing new
 * is heard.
 */
import type { Filtering, Mapping } from '../nat/behaviour.ts';

/** A mapping and a filtering that are both known (RFC 4787 §4.1 and §5). */
export interface Behaviour {
  readonly mapping: Exclude<Mapping, 'dependent' | 'unknown'>;
  readonly filtering: Exclude<Filtering, 'unknown'>;
}

export type Side = 'a' | 'b';

/**
 * One packet. `source` and `target` number the public endpoints of a side in the order in which its
 * NAT made them: 0 is what the server saw.
 */
export interface PunchPacket {
  /** From 1; all that is sent in one round crosses. */
  readonly round: number;
  readonly sender: Side;
  readonly source: number;
  readonly target: number;
  /** Whether the receiver's NAT lets it in. */
  readonly heard: boolean;
}

export interface PunchSimulation {
  /** Whether both ended up hearing each other. */
  readonly works: boolean;
  readonly packets: readonly PunchPacket[];
}

/** The endpoints of the other that each side sends to at first; it replies to whatever it hears anyway. */
export type FirstTargets = Readonly<Record<Side, readonly number[]>>;

/** How a punch may begin. Endpoint 1 is the first that the server hasn't seen: it has to be guessed. */
export const STARTS = {
  plain: { a: [0], b: [0] },
  /** Nothing has to be timed. */
  aAlone: { a: [0], b: [] },
  bAlone: { a: [], b: [0] },
  aGuessed: { a: [0], b: [0, 1] },
  bGuessed: { a: [0, 1], b: [0] },
  /** Each sends just there: one packet more, and the endpoint would be another. */
  bothGuessed: { a: [1], b: [1] },
} as const satisfies Record<string, FirstTargets>;
export type Start = keyof typeof STARTS;

/** Whether simple simultaneous sending, without any port prediction, ends with both hearing each other. */
export function punchesPlainly(a: Behaviour, b: Behaviour): boolean {
  return opens(a, b, 'plain');
}

/** Whether a punch that begins so ends with both hearing each other. */
export function opens(a: Behaviour, b: Behaviour, start: Start): boolean {
  const index = (placeOf(a) * CELLS + placeOf(b)) * START_NAMES.length + START_NAMES.indexOf(start);
  return (KNOWN[index] ??= simulatePunch(a, b, STARTS[start]).works);
}

/** What has been simulated: predictions ask for the same few hundred cases again and again, a report's thousands of times. */
const KNOWN: (boolean | undefined)[] = [];

const START_NAMES = Object.keys(STARTS) as readonly Start[];
const MAPPING_PLACE: Readonly<Record<Behaviour['mapping'], number>> = {
  none: 0,
  'endpoint-independent': 1,
  'address-dependent': 2,
  'address-and-port-dependent': 3,
};
const FILTERING_PLACE: Readonly<Record<Behaviour['filtering'], number>> = {
  'endpoint-independent': 0,
  'address-dependent': 1,
  'address-and-port-dependent': 2,
};
const CELLS = 12;

function placeOf({ mapping, filtering }: Behaviour): number {
  return 3 * MAPPING_PLACE[mapping] + FILTERING_PLACE[filtering];
}

/** Whether peers see it under another endpoint than the server does. */
export function isMoving({ mapping }: Behaviour): boolean {
  return mapping === 'address-dependent' || mapping === 'address-and-port-dependent';
}

export function simulatePunch(
  a: Behaviour,
  b: Behaviour,
  start: FirstTargets = STARTS.plain,
): PunchSimulation {
  const sides: Readonly<Record<Side, SimulatedSide>> = {
    a: new SimulatedSide(a, start.a),
    b: new SimulatedSide(b, start.b),
  };
  for (const { nat } of Object.values(sides)) nat.send(SERVER);
  const packets: PunchPacket[] = [];
  for (let round = 1; ; round++) {
    // All is sent before anything arrives.
    const flights = SIDES.flatMap((sender) =>
      [...sides[sender].targets].map((target) => ({
        sender,
        target,
        source: sides[sender].nat.send({ address: other(sender), port: target }),
      })),
    );
    let isNew = false;
    for (const { sender, source, target } of flights) {
      const receiver = sides[other(sender)];
      const heard = receiver.nat.letsIn(target, { address: sender, port: source });
      packets.push({ round, sender, source, target, heard });
      if (!heard) continue;
      isNew ||= !receiver.heard || !receiver.targets.has(source);
      receiver.heard = true;
      receiver.targets.add(source);
    }
    const works = sides.a.heard && sides.b.heard;
    if (works || !isNew) return { works, packets };
  }
}

/** A public endpoint in the simulation: each side has one address. */
interface Place {
  readonly address: Side | 'server';
  readonly port: number;
}

const SIDES: readonly Side[] = ['a', 'b'];
const SERVER: Place = { address: 'server', port: 0 };

function other(side: Side): Side {
  return side === 'a' ? 'b' : 'a';
}

class SimulatedSide {
  readonly nat: SimulatedNat;
  /** Endpoints of the other side that this one sends to. */
  readonly targets: Set<number>;
  heard = false;

  constructor(behaviour: Behaviour, targets: readonly number[]) {
    this.nat = new SimulatedNat(behaviour);
    this.targets = new Set(targets);
  }
}

/** A NAT, or a firewall, with one socket behind it. */
class SimulatedNat {
  readonly #behaviour: Behaviour;
  /** The mappings by what of the destination they depend on. */
  readonly #mappings = new Map<string, number>();
  /** For each mapping what it has sent to, as far as the filter looks at it. */
  readonly #contacted: Set<string>[] = [];

  constructor(behaviour: Behaviour) {
    this.#behaviour = behaviour;
  }

  /** The public port that a packet to `to` leaves from. */
  send(to: Place): number {
    const { mapping, filtering } = this.#behaviour;
    const key = scopeOf(mapping === 'none' ? 'endpoint-independent' : mapping, to);
    const port = this.#mappings.get(key) ?? this.#contacted.push(new Set()) - 1;
    this.#mappings.set(key, port);
    this.#contacted[port]!.add(scopeOf(filtering, to));
    return port;
  }

  letsIn(port: number, from: Place): boolean {
    const { filtering } = this.#behaviour;
    return this.#contacted[port]?.has(scopeOf(filtering, from)) === true;
  }
}

/** What of a remote endpoint something depends on. */
function scopeOf(dependence: Behaviour['filtering'], { address, port }: Place): string {
  switch (dependence) {
    case 'endpoint-independent':
      return '';
    case 'address-dependent':
      return address;
    case 'address-and-port-dependent':
      return `${address}:${port}`;
  }
}
