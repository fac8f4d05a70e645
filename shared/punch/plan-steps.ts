/** The steps of both sides over one address family, from what is predicted of them. */
import type { Endpoint } from '../endpoint.ts';
import type { PunchBehaviour } from './behaviour.ts';
import { isBetterDrawn, meetingOf } from './guessing.ts';
import { type Meeting, MEETING_SKIPS, ROUNDS_OF_BOTH } from './meeting.ts';
import { isMoving, opens, punchesPlainly, type Side } from './plain.ts';
import type { PunchStep } from './plan.ts';
import { LOW_PORTS } from './port-odds.ts';
import type { CertainSide } from './possibilities.ts';
import { likeliestSide, type Prediction } from './predict.ts';
import {
  aheadOf,
  freshPortsOf,
  listPorts,
  type LocalPorts,
  portsOf,
  publicOf,
  rangesOfGuesses,
  type SideToPlan,
} from './side-to-plan.ts';
import { shareAddress } from './strategies.ts';
import { GUESS_PACE_MS, LOW_TTL_MS, MOST_ATTEMPTS, type Strategy, type StrategyName } from './strategy.ts';

export interface StepsOfBoth {
  readonly a: readonly PunchStep[];
  readonly b: readonly PunchStep[];
}

/** `atMs` is when the first begins. No steps where one side has no UDP. */
export function planSteps(
  a: SideToPlan,
  b: SideToPlan,
  prediction: Prediction,
  attempt: number,
  atMs: number,
): StepsOfBoth {
  const [one, other] = [likeliestSide(a.behaviour), likeliestSide(b.behaviour)];
  if (one === undefined || other === undefined) return { a: [], b: [] };
  const haveLowPorts = [a, b].some(({ behaviour }) => behaviour.lowPorts === true);
  const planner = new Planner(prediction, attempt, atMs, haveLowPorts);
  return {
    a: planner.plan({ name: 'a', side: a, certain: one }, { name: 'b', side: b, certain: other }),
    b: planner.plan({ name: 'b', side: b, certain: other }, { name: 'a', side: a, certain: one }),
  };
}

interface Certain {
  readonly name: Side;
  readonly side: SideToPlan;
  readonly certain: CertainSide;
}

/** How long both go on where sending to each other should do: several losses in a row, and a peer far away. */
const PLAIN_MS = 1500;
/** After the last guess: for what it opens to be heard and answered. */
const AFTER_GUESSES_MS = 600;
/** That NATs turn packets is slower than a way of one's own: the LAN is tried first. */
const HAIRPIN_AFTER_MS = 100;
/** How often a predicted port is tried. */
const GUESS_ROUNDS = 4;
/** How often low-TTL packets go on for twice as long as before: still shorter than what comes after them. */
const LONGEST_LOW_TTL = 2;

class Planner {
  readonly #prediction: Prediction;
  readonly #attempt: number;
  readonly #atMs: number;
  readonly #haveLowPorts: boolean;

  constructor(prediction: Prediction, attempt: number, atMs: number, haveLowPorts: boolean) {
    this.#prediction = prediction;
    this.#attempt = attempt;
    this.#atMs = atMs;
    this.#haveLowPorts = haveLowPorts;
  }

  plan(own: Certain, peer: Certain): PunchStep[] {
    const near = this.#checkPrivate(peer.side);
    if (shareAddress(own.side.behaviour, peer.side.behaviour))
      return [...near, ...this.#hairpin(own.side, peer.side)];
    const to = publicOf(peer.side);
    if (to.length === 0) return near;
    if (haveBothToGuess(own.certain, peer.certain)) return [...near, ...this.#meet(own, peer, to)];
    return [
      ...near,
      ...this.#checkPublic(own, peer, to),
      ...this.#guess(own, peer, to[0]!),
      ...this.#draw(own, peer, to[0]!),
    ];
  }

  #checkPrivate({ candidates }: SideToPlan): PunchStep[] {
    const to = candidates.filter(({ kind }) => kind === 'private').map(({ endpoint }) => endpoint);
    return to.length === 0 ? [] : [this.#step('lan', 0, PLAIN_MS, { kind: 'check', to })];
  }

  #hairpin(own: SideToPlan, peer: SideToPlan): PunchStep[] {
    if ([own, peer].some(({ behaviour }) => behaviour.hairpin === 'none')) return [];
    return [this.#step('hairpin', HAIRPIN_AFTER_MS, PLAIN_MS, { kind: 'check', to: publicOf(peer) })];
  }

  /**
   * Where the peer's router remembers what it didn't ask for, packets with a low TTL come first; and
   * they alone, until it is heard, from a port that it has yet to guess.
   */
  #checkPublic(own: Certain, peer: Certain, to: readonly Endpoint[]): PunchStep[] {
    const opening = this.#openingTowards(own, peer);
    if (opening === undefined) {
      const name = this.#openingTowards(peer, own) === undefined ? this.#nameOfSending() : 'low-ttl';
      return [this.#step(name, 0, this.#lastsMs(), { kind: 'check', to })];
    }
    const full = this.#step('low-ttl', this.#lowTtlMs(), this.#lastsMs(), { kind: 'check', to });
    if (opening.kind === 'late') return [full];
    const { ttl } = opening;
    const isGuessed = isMoving(own.certain) && !punchesPlainly(own.certain, peer.certain);
    if (opening.isAlone || isGuessed)
      return [this.#step('low-ttl', 0, this.#lastsMs(), { kind: 'check', to, ttl })];
    return [this.#step('low-ttl', 0, this.#lowTtlMs(), { kind: 'check', to, ttl }), full];
  }

  /** The predicted ports of a peer that has another one for us; or those of new sockets of ours, if they are kept. */
  #guess(own: Certain, peer: Certain, to: Endpoint): PunchStep[] {
    const guessing = this.#strategy('port-prediction')?.guessing;
    if (guessing === undefined) return [];
    const name = 'port-prediction';
    const steps: PunchStep[] = [];
    const fresh = isGuessedBy(peer.certain, own.certain)
      ? freshPortsOf(own.side, guessing.sockets)
      : undefined;
    if (fresh !== undefined)
      steps.push(this.#step(name, 0, this.#lastsMs(), this.#spread(own, peer, to, guessing.sockets, fresh)));
    if (!isGuessedBy(own.certain, peer.certain)) return steps;
    const ports =
      listPorts(freshPortsOf(peer.side, guessing.sockets)) ?? portsOf(peer.side, guessing.probes) ?? [];
    if (ports.length > 0) {
      const action = { kind: 'guess', address: to.address, ports, rounds: GUESS_ROUNDS } as const;
      steps.push(this.#step(name, 0, this.#lastsMs(), action));
    }
    return steps;
  }

  /** By birthday: the one opens many sockets, the other tries many ports. */
  #draw(own: Certain, peer: Certain, to: Endpoint): PunchStep[] {
    const guessing = this.#strategy('birthday')?.guessing;
    if (guessing === undefined) return [];
    const { sockets, probes } = guessing;
    const atMs = this.#drawAtMs();
    const isDrawn = isDrawnBy(own, peer);
    if (isDrawnBy(peer, own) && !isDrawn) {
      const { behaviour } = own.side;
      const localPorts = behaviour.lowPorts === true ? LOW_PORTS : undefined;
      return [
        this.#step('birthday', atMs, this.#lastsMs(), this.#spread(own, peer, to, sockets, localPorts)),
      ];
    }
    if (!isDrawn) return [];
    const ranges = rangesOfGuesses(peer.side, probes, this.#attempt);
    const action = { kind: 'spray', address: to.address, ranges, probes } as const;
    // Openings that die on the way are answered to, not heard: all have to be there first.
    const openingMs =
      this.#ttlTowards(peer, own) === undefined ? 0 : sockets * GUESS_PACE_MS + this.#lowTtlMs();
    return [this.#step('birthday', atMs + openingMs, this.#lastsMs(), action)];
  }

  #spread(
    own: Certain,
    peer: Certain,
    to: Endpoint,
    sockets: number,
    localPorts: LocalPorts | undefined,
  ): PunchStep['action'] {
    const ttl = this.#ttlTowards(own, peer);
    return {
      kind: 'spread',
      to,
      sockets,
      ...(localPorts !== undefined && { localPorts }),
      ...(ttl !== undefined && { ttl }),
    };
  }

  /** Where each has a new port for each that it sends to: the first packet has to be the one that counts. */
  #meet(own: Certain, peer: Certain, to: readonly Endpoint[]): PunchStep[] {
    // A side that keeps its port towards one address leaves nothing out by sending to each.
    const areNew = [own, peer].every(({ certain }) => certain.mapping === 'address-and-port-dependent');
    const isListed = this.#strategy('port-prediction') !== undefined;
    const [a, b] = own.name === 'a' ? [own, peer] : [peer, own];
    const meeting = isListed
      ? meetingOf({ a: a.side.behaviour, b: b.side.behaviour }, { a: a.certain, b: b.certain })
      : ({ kind: 'each-other', packets: 1 } as const);
    const action = this.#meetingAction(own, peer, to[0]!, meeting, areNew);
    if (action === undefined) return [this.#step('plain', 0, PLAIN_MS, { kind: 'check', to })];
    const untilMs = ROUNDS_OF_BOTH * meeting.packets * GUESS_PACE_MS + AFTER_GUESSES_MS;
    return [this.#step('port-prediction', 0, Math.max(PLAIN_MS, untilMs), action)];
  }

  #meetingAction(
    own: Certain,
    peer: Certain,
    { address }: Endpoint,
    meeting: Meeting,
    areNew: boolean,
  ): PunchStep['action'] | undefined {
    const { packets } = meeting;
    const spread = { kind: 'spread', sockets: packets, rounds: ROUNDS_OF_BOTH } as const;
    const guess = { kind: 'guess', address, rounds: ROUNDS_OF_BOTH } as const;
    const localPorts = freshPortsOf(own.side, packets);
    const told = freshPortsOf(peer.side, packets);
    switch (meeting.kind) {
      case 'told':
        return (
          localPorts && told && { ...spread, to: { address, port: told.first }, localPorts, isPaired: true }
        );
      case 'one-port': {
        if (own.name !== meeting.opener) {
          const { tries } = meeting;
          const ports = listPorts(told) ?? aheadOf(peer.side, tries, 1) ?? portsOf(peer.side, tries);
          return ports && { ...guess, ports: ports.slice(0, tries) };
        }
        const port = this.#portToMeetAt(peer.side, packets);
        return port === undefined
          ? undefined
          : { ...spread, to: { address, port }, ...(localPorts !== undefined && { localPorts }) };
      }
      case 'each-other': {
        const areCounted = [own, peer].every(({ side }) => aheadOf(side, 1, 1) !== undefined);
        const step = areNew && own.name === 'a' ? 2 : 1;
        const ahead = areCounted
          ? aheadOf(peer.side, (2 * MEETING_SKIPS) / step, step)
          : aheadOf(peer.side, packets, 1);
        const ports = ahead ?? portsOf(peer.side, packets);
        return ports === undefined || ports.length === 0 ? undefined : { ...guess, ports };
      }
    }
  }

  /**
   * One that it comes to by counting; or any but the first and the one that it was seen on: those that
   * its own measuring took are at the edges of what is known.
   */
  #portToMeetAt(side: SideToPlan, packets: number): number | undefined {
    const ahead = aheadOf(side, MEETING_SKIPS + 1, 1);
    if (ahead !== undefined) return ahead.at(-1);
    const seen = side.behaviour.mapped?.port;
    const ports = portsOf(side, packets)?.filter((port) => port !== seen) ?? [];
    return ports[Math.floor((ports.length * this.#attempt) / (MOST_ATTEMPTS + 1))];
  }

  /**
   * What comes before full packets to a peer whose router may remember what it didn't ask for;
   * undefined for nothing. A TTL has to be right to one (MEASURING.md §7). Where a side doesn't know its
   * NATs it is better that the other alone has a low one, or none: the router that remembers sends first.
   */
  #openingTowards(own: Certain, peer: Certain): Opening | undefined {
    const before = this.#openedBefore(peer);
    if (before === undefined) return undefined;
    const isMutual = this.#openedBefore(own) !== undefined;
    if (hasOwnTtl(own)) {
      const isAlone = isMutual && !hasOwnTtl(peer);
      // By guessing it is likelier that no port was hit; one TTL too high, and a hit spoils itself.
      const more = isMoving(own.certain) ? Math.floor(before / 2) : before;
      return { kind: 'low', ttl: (own.side.natLayers ?? 1) + 1 + more, isAlone };
    }
    const isTurn = own.name === (this.#attempt % 2 === 1 ? 'a' : 'b');
    if (!isMutual || hasOwnTtl(peer) || !isTurn) return { kind: 'late' };
    return { kind: 'low', ttl: 2 + Math.floor((this.#attempt - 1) / 2), isAlone: true };
  }

  /** In how many attempts low-TTL packets have been sent to it: each takes one more. Undefined where none are. */
  #openedBefore({ certain, side: { behaviour } }: Certain): number | undefined {
    const { unsolicited } = behaviour;
    const mayTrack = certain.mapping === 'endpoint-independent' && unsolicited !== 'dropped';
    if (!mayTrack) return undefined;
    const before = unsolicited === 'tracked' ? this.#attempt - 1 : this.#attempt - 2;
    return before < 0 ? undefined : before;
  }

  #ttlTowards(own: Certain, peer: Certain): number | undefined {
    const opening = this.#openingTowards(own, peer);
    return opening?.kind === 'low' ? opening.ttl : undefined;
  }

  /** Longer each time: the two may have started further apart than was reckoned with. */
  #lowTtlMs(): number {
    return LOW_TTL_MS * 2 ** Math.min(LONGEST_LOW_TTL, this.#attempt - 1);
  }

  #drawAtMs(): number {
    const predicted = this.#strategy('port-prediction');
    return predicted === undefined
      ? 0
      : (predicted.guessing?.probes ?? 0) * GUESS_PACE_MS + AFTER_GUESSES_MS / 2;
  }

  /** All steps of one pair end together: what is opened late is heard until then. */
  #lastsMs(): number {
    const strategies = this.#prediction.strategies.filter(({ guessing }) => guessing !== undefined);
    const guessesMs = strategies.map(
      ({ guessing }) =>
        Math.max(guessing!.sockets + guessing!.probes, GUESS_ROUNDS) * GUESS_PACE_MS +
        this.#drawAtMs() +
        AFTER_GUESSES_MS +
        this.#lowTtlMs() -
        LOW_TTL_MS,
    );
    return Math.max(PLAIN_MS, ...guessesMs);
  }

  #nameOfSending(): StrategyName {
    const sending = SENDING.find((name) => this.#strategy(name) !== undefined);
    return sending ?? (this.#prediction.strategy === 'relay' ? 'plain' : this.#prediction.strategy);
  }

  /** Main sockets are on no low port: what is predicted of those is for the ones that are opened for it. */
  #strategy(name: StrategyName): Strategy | undefined {
    if (name === 'port-prediction' && this.#haveLowPorts) return undefined;
    return this.#prediction.strategies.find((strategy) => strategy.name === name);
  }

  #step(strategy: StrategyName, atMs: number, untilMs: number, action: PunchStep['action']): PunchStep {
    return { strategy, atMs: this.#atMs + atMs, untilMs: this.#atMs + untilMs, action };
  }
}

/** `late`: only full packets, and not before the peer's. `isAlone`: low ones until the peer is heard. */
type Opening =
  { readonly kind: 'late' } | { readonly kind: 'low'; readonly ttl: number; readonly isAlone: boolean };

/** Whether it knows how many NATs its packets have to leave; one that is guessed by the peer can't but open so. */
function hasOwnTtl({ side, certain }: Certain): boolean {
  return side.natLayers !== undefined || isMoving(certain);
}

/** Those that send to what the server saw. */
const SENDING: readonly StrategyName[] = ['direct', 'reversal', 'plain', 'low-ttl'];

/** Whether `peer` has a port that `own` must guess, and may. */
function isGuessedBy(own: CertainSide, peer: CertainSide): boolean {
  return isMoving(peer) && !punchesPlainly(own, peer) && opens(peer, own, 'aGuessed');
}

/** As isGuessedBy, by birthday: where each could be drawn by the other, one is. */
function isDrawnBy(own: Certain, peer: Certain): boolean {
  if (!isGuessedBy(own.certain, peer.certain)) return false;
  if (!isGuessedBy(peer.certain, own.certain)) return true;
  const isA = isBetterDrawn(
    ...((own.name === 'a' ? [own, peer] : [peer, own]).map(({ side }) => side.behaviour) as [
      PunchBehaviour,
      PunchBehaviour,
    ]),
  );
  return peer.name === (isA ? 'a' : 'b');
}

function haveBothToGuess(own: CertainSide, peer: CertainSide): boolean {
  return (
    isMoving(own) &&
    isMoving(peer) &&
    !punchesPlainly(own, peer) &&
    !opens(own, peer, 'aGuessed') &&
    !opens(own, peer, 'bGuessed')
  );
}
