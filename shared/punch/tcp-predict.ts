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
/**
 * Each refuses what comes before it has sent, and neither order helps: only SYNs that cross meet. Of 260 punches
 * each in the simulator, at a start skew of up to 10 ms, all did from a round trip of 10 ms on, 96 % at 5 ms,
 * 89 % at 2 ms, and 40 % at 0.2 ms. Two such NATs are seldom nearer than 5 ms.
 */
const CROSSING_CHANCE = 0.96;

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
    const probability = chanceOver(a, b, (one, other) => (meetsOverTcp(one, other, 'plain') ? RELIABLE : 0));
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
  // Where one does, who is refused tries again, and later attempts swap who comes first: all of 2,720 connected.
  return a.refuses && b.refuses ? CROSSING_CHANCE : RELIABLE;
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
