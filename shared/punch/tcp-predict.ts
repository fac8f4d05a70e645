/** Whether two sides will connect to each other over TCP, how, and why (MEASURING.md §3 and §4). */
import type { Reason } from '../nat/verdict.ts';
import type { PunchBehaviour } from './behaviour.ts';
import { isMoving } from './plain.ts';
import { chanceOfHit } from './port-odds.ts';
import {
  chooseStrategy,
  describeSide,
  outcomeOf,
  pairFamilies,
  type Prediction,
  PREDICTION_SCHEMA,
  RELAY,
  withoutCommonFamily,
} from './predict.ts';
import { shareAddress, tryHairpin, tryLan, worthTrying } from './strategies.ts';
import { type Budget, chanceOver, RELIABLE, type Strategy } from './strategy.ts';
import {
  type CertainTcpSide,
  likeliestTcpSide,
  meetsOverTcp,
  tcpAssumptionsAbout,
  type TcpSide,
  tcpSideOf,
} from './tcp-side.ts';

/** How long SYNs are sent: the second and third, after 1 s and 3 s (RFC 6298 §2), make up for lost ones. */
export const TCP_TIME_MS = 4000;
/** Connections that are tried from one port at a time; each takes a socket. */
export const TCP_GUESSES = 32;

/** Predicts a punch over TCP that `a` asks for. Of two families that both have, the better one is taken. */
export function predictTcp(a: PunchBehaviour, b: PunchBehaviour): Prediction {
  const predictions = pairFamilies(a, b).map(([one, other]) => predictTcpOver(one, other));
  if (predictions.length === 0) return withoutCommonFamily(a, b);
  return predictions.reduce((best, next) => (next.probability > best.probability ? next : best));
}

/** Over one family: that of both. */
export function predictTcpOver(a: PunchBehaviour, b: PunchBehaviour): Prediction {
  const [one, other] = [tcpSideOf('a', a), tcpSideOf('b', b)];
  const strategies = worthTrying(
    shareAddress(a, b)
      ? [tryLan(a, b), tryHairpin(a, b, chanceOver(one, other, chanceOfPlain))]
      : [
          tryOneSided(one, other),
          tryOneSided(other, one),
          ...tryBoth(one, other),
          ...tryPrediction(one, other),
        ],
  );
  const best = chooseStrategy(strategies);
  return {
    schema: PREDICTION_SCHEMA,
    a: describeSide(one.behaviour),
    b: describeSide(other.behaviour),
    outcome: best === undefined ? 'relay' : outcomeOf(best),
    probability: best?.probability ?? 0,
    strategy: best?.name ?? 'relay',
    plain: meetsOverTcp(likeliestTcpSide(one), likeliestTcpSide(other), 'plain'),
    strategies: [...strategies, RELAY],
    reasons: [...tcpAssumptionsAbout(one, a), ...tcpAssumptionsAbout(other, b)],
  };
}

const COST: Budget = { packets: 8, timeMs: TCP_TIME_MS };
/** Who is refused tries again, and later attempts swap who comes first: nearly all connect then. Not counted. */
const SWAPPED_CHANCE = 0.95;
/**
 * Each refuses what comes before it has sent: only SYNs that cross meet. All did in the simulator at a
 * round trip of 50 ms, none in the kernel's NATs at a tenth of a millisecond: not known here.
 */
const CROSSING_CHANCE = 0.5;

function tryOneSided(caller: TcpSide, called: TcpSide): Strategy {
  const name = caller.side === 'a' ? 'direct' : 'reversal';
  const [from, to] = [caller, called].map(({ side }) => side.toUpperCase());
  const text = `${to} lets in connections to the endpoint that the server saw: ${from} connects, and nothing has to be timed`;
  const probability = chanceOver(caller, called, (one, other) =>
    meetsOverTcp(one, other, 'aAlone') ? RELIABLE : 0,
  );
  return { name, probability, ...COST, reasons: [{ code: name, text }] };
}

/** At once, or where one is known to refuse what comes too early, that one first. */
function tryBoth(a: TcpSide, b: TcpSide): Strategy[] {
  const first = firstToConnect(a, b);
  if (first !== undefined) {
    const [name, peer] = first === a ? ['A', 'B'] : ['B', 'A'];
    const text = isMoving(likeliestTcpSide(first === a ? b : a))
      ? `${peer} calls from a port that isn’t known: ${name} connects first, which lets in what comes from there, and listens`
      : `${name} refuses what comes too early, so it connects first; the SYN of ${peer} then meets it`;
    const probability = chanceOver(a, b, (one, other) => {
      if (!meetsOverTcp(one, other, 'plain')) return 0;
      return one.refuses && other.refuses ? SWAPPED_CHANCE : RELIABLE;
    });
    return [{ name: 'sequential', probability, ...COST, reasons: [{ code: 'sequential', text }] }];
  }
  const reasons: Reason[] = [
    {
      code: 'plain',
      text: 'both connect at once, each from the port that the server saw to that of the other',
    },
  ];
  if ([a, b].every(isRefusing))
    reasons.push({
      code: 'plain-crossing',
      text: 'each refuses what comes too early: it takes SYNs that cross on the way',
    });
  return [{ name: 'plain', probability: chanceOver(a, b, chanceOfPlain), ...COST, reasons }];
}

/**
 * Who opens the way before the other calls, as far as that is known: who waits for a peer that calls
 * from an unknown port; who refuses early SYNs, if the other doesn't; and where both do, one that filters
 * by address, if the other resets: once it has called, that takes nothing back. An ICMP error leaves the call
 * open in its NAT, which then takes no answer of a listener for it.
 */
export function firstToConnect(a: TcpSide, b: TcpSide): TcpSide | undefined {
  const [one, other] = [likeliestTcpSide(a), likeliestTcpSide(b)];
  if (!meetsOverTcp(one, other, 'plain')) return undefined;
  if (isMoving(one) !== isMoving(other)) return isMoving(one) ? b : a;
  const refusing = [a, b].filter(isRefusing);
  if (refusing.length === 1) return refusing[0];
  return refusing.find((side) => {
    const peer = side === a ? b : a;
    return likeliestTcpSide(side).filtering === 'address-dependent' && peer.unsolicitedSyn === 'reset';
  });
}

export function isRefusing({ possibilities }: TcpSide): boolean {
  return possibilities.every(({ side }) => side.refuses);
}

function chanceOfPlain(a: CertainTcpSide, b: CertainTcpSide): number {
  if (!meetsOverTcp(a, b, 'plain')) return 0;
  if (a.refuses && b.refuses) return CROSSING_CHANCE;
  return a.refuses || b.refuses ? SWAPPED_CHANCE : RELIABLE;
}

/** What of its ports a side has shown over UDP; that TCP's are picked alike is an assumption. */
function tryPrediction(a: TcpSide, b: TcpSide): Strategy[] {
  const moving = [a, b].filter(({ behaviour }) => behaviour.ports?.measured === true);
  if (moving.length === 0) return [];
  const hit = ({ behaviour: { ports } }: TcpSide): number =>
    ports === undefined ? 0 : chanceOfHit(ports, 1, TCP_GUESSES);
  const probability = chanceOver(a, b, (one, other) => {
    const plain = chanceOfPlain(one, other);
    if (plain > 0) return plain;
    const byA = isMoving(other) && meetsOverTcp(one, other, 'bGuessed') ? hit(b) : 0;
    const byB = isMoving(one) && meetsOverTcp(one, other, 'aGuessed') ? hit(a) : 0;
    return RELIABLE * (1 - (1 - byA) * (1 - byB));
  });
  const names = moving.map(({ side }) => side.toUpperCase()).join(' and ');
  const text = `the next port of ${names} is predicted as for UDP: the ${TCP_GUESSES} likeliest are tried`;
  return [
    {
      name: 'port-prediction',
      probability,
      packets: COST.packets + TCP_GUESSES,
      timeMs: COST.timeMs,
      guessing: { sockets: 1, probes: TCP_GUESSES },
      reasons: [{ code: 'port-prediction', text }],
    },
  ];
}
