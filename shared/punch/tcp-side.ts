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

/** That a NAT treats TCP as it does UDP: an assumption, nobody counted those that do. */
const ALIKE_WEIGHT = 0.75;

/** A side over TCP; what of that wasn't measured is taken to be as its NAT treats UDP. */
export function tcpSideOf(side: Side, behaviour: PunchBehaviour): TcpSide {
  const { ports, ...rest } = behaviour;
  const known = knownOverTcp(behaviour);
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
  if (!isMeasured(given.tcp ?? NOTHING_KNOWN)) {
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

/** In full. */
function isMeasured({ mapping, filtering }: TcpBehaviour): boolean {
  return mapping !== 'unknown' && filtering !== 'unknown';
}

function knownOverTcp(behaviour: PunchBehaviour): TcpBehaviour {
  const { type, tcp = NOTHING_KNOWN } = behaviour;
  if (isMeasured(tcp) || type === 'udp-blocked') return tcp;
  return {
    mapping: tcp.mapping === 'unknown' ? behaviour.mapping : tcp.mapping,
    filtering: tcp.filtering === 'unknown' ? behaviour.filtering : tcp.filtering,
    confidence: behaviour.confidence * ALIKE_WEIGHT,
    unsolicitedSyn: tcp.unsolicitedSyn,
  };
}

const NOTHING_KNOWN: TcpBehaviour = {
  mapping: 'unknown',
  filtering: 'unknown',
  confidence: 0,
  unsolicitedSyn: 'unknown',
};

/** Their weights sum to 1: who has a port to be called at has TCP. */
function possibilities({ mapping, filtering, confidence, unsolicitedSyn }: TcpBehaviour): TcpPossibility[] {
  const type = natTypeOf(mapping, filtering);
  const refusing = { accepted: 0, dropped: 0, reset: 1, icmp: 1, unknown: REFUSES_WEIGHT }[unsolicitedSyn];
  const all = possibilitiesOf({ type, mapping, filtering, confidence, unsolicited: 'dropped' });
  const sum = all.reduce((total, { weight }) => total + weight, 0);
  return all.flatMap(({ weight, side }) => {
    // Who lets everybody in refuses nobody.
    const share = side.filtering === 'endpoint-independent' ? 0 : refusing;
    const part = weight / sum;
    return [
      { weight: part * share, side: { mapping: side.mapping, filtering: side.filtering, refuses: true } },
      {
        weight: part * (1 - share),
        side: { mapping: side.mapping, filtering: side.filtering, refuses: false },
      },
    ].filter((possibility) => possibility.weight > 0);
  });
}
