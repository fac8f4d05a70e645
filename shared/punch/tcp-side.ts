/** What a side of a punch may be over TCP: weighted certainties, from what was measured or from what it is over UDP. */
import { natTypeOf } from '../nat/behaviour.ts';
import type { Reason } from '../nat/verdict.ts';
import { behaviourOf, type PunchBehaviour, type TcpBehaviour } from './behaviour.ts';
import { type Behaviour, type Side, simulatePunch, type Start, STARTS } from './plain.ts';
import { possibilitiesOf } from './possibilities.ts';

/** A side about which everything that matters to TCP is known. */
export interface CertainTcpSide extends Behaviour {
  /** Whether a SYN that comes too early is refused, which ends the attempt of who sent it (RFC 5382 REQ-4). */
  readonly refuses: boolean;
}

export interface TcpPossibility {
  readonly weight: number;
  readonly side: CertainTcpSide;
}

export interface TcpSide {
  /** Reasons call it A or B. */
  readonly side: Side;
  /** As it is over TCP. */
  readonly behaviour: PunchBehaviour;
  readonly unsolicitedSyn: TcpBehaviour['unsolicitedSyn'];
  readonly possibilities: readonly TcpPossibility[];
}

/** Of NATs that weren't asked: an assumption, nobody counted them. */
export const REFUSES_WEIGHT = 0.3;

/** A side over TCP; where that wasn't measured its NAT is taken to treat TCP as it does UDP. */
export function tcpSideOf(side: Side, behaviour: PunchBehaviour): TcpSide {
  const { tcp, ports, ...rest } = behaviour;
  const known = tcp ?? assumedTcp(behaviour);
  const { mapping, filtering, confidence, unsolicitedSyn } = known;
  const isMoving = mapping !== 'none' && mapping !== 'endpoint-independent';
  const overTcp: PunchBehaviour = {
    ...rest,
    ...behaviourOf({ mapping, filtering }),
    confidence,
    hairpin: behaviour.hairpin,
    ...(ports !== undefined && isMoving && { ports }),
  };
  return { side, behaviour: overTcp, unsolicitedSyn, possibilities: possibilities(known) };
}

/** The likeliest of what it may be. */
export function likeliestTcpSide({ possibilities: all }: TcpSide): CertainTcpSide {
  return all.reduce((best, next) => (next.weight > best.weight ? next : best)).side;
}

/**
 * Whether a punch that begins so ends in a connection. One SYN that is let in is enough, other than
 * with UDP: what answers it belongs to its session, and goes back the way that it came.
 */
export function meetsOverTcp(a: Behaviour, b: Behaviour, start: Start): boolean {
  return simulatePunch(a, b, STARTS[start]).packets.some(({ heard }) => heard);
}

/** What was assumed about a side, in sentences. */
export function tcpAssumptionsAbout(
  { side, behaviour, unsolicitedSyn }: TcpSide,
  given: PunchBehaviour,
): Reason[] {
  const name = side.toUpperCase();
  if (given.tcp === undefined) {
    const as = given.type === 'udp-blocked' ? 'unknown, as it has no UDP to tell by' : 'as with UDP';
    return [
      { code: 'assumed-tcp', text: `how the NAT of ${name} treats TCP was not measured: taken to be ${as}` },
    ];
  }
  if (unsolicitedSyn !== 'unknown' || behaviour.filtering === 'endpoint-independent') return [];
  return [
    {
      code: 'assumed-syn',
      text: `what the NAT of ${name} does with a SYN that comes too early is not known`,
    },
  ];
}

function assumedTcp({ type, mapping, filtering, confidence }: PunchBehaviour): TcpBehaviour {
  return type === 'udp-blocked'
    ? { mapping: 'unknown', filtering: 'unknown', confidence: 0, unsolicitedSyn: 'unknown' }
    : { mapping, filtering, confidence, unsolicitedSyn: 'unknown' };
}

function possibilities({ mapping, filtering, confidence, unsolicitedSyn }: TcpBehaviour): TcpPossibility[] {
  const type = natTypeOf(mapping, filtering);
  const refusing = { accepted: 0, dropped: 0, reset: 1, icmp: 1, unknown: REFUSES_WEIGHT }[unsolicitedSyn];
  return possibilitiesOf({ type, mapping, filtering, confidence, unsolicited: 'dropped' }).flatMap(
    ({ weight, side }) => {
      // Who lets everybody in refuses nobody.
      const share = side.filtering === 'endpoint-independent' ? 0 : refusing;
      return [
        { weight: weight * share, side: { mapping: side.mapping, filtering: side.filtering, refuses: true } },
        {
          weight: weight * (1 - share),
          side: { mapping: side.mapping, filtering: side.filtering, refuses: false },
        },
      ].filter((possibility) => possibility.weight > 0);
    },
  );
}
