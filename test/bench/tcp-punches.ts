/** Punches over TCP for the bench: pairs of gateways, what is wanted of each, and how they go in the simulator. */
import type { Behaviour } from '../../shared/punch/plain.ts';
import { meetsOverTcp } from '../../shared/punch/tcp-side.ts';
import {
  COUNTING_GATEWAYS,
  type GatewayPair,
  measureGateway,
  nameGateway,
  pairsOf,
  TCP_GATEWAYS,
} from '../sim/tcp-gateways.ts';
import type { TcpGateway } from '../sim/tcp-hosts.ts';
import { punchOverTcp, type TcpPunchRun } from '../sim/tcp-punch.ts';
import { type PunchOutcome, PUNCHES_A_WORLD } from './punch-worker.ts';

export interface TcpPunchCase {
  readonly name: string;
  readonly group: TcpCaseGroup;
  readonly pair: GatewayPair;
}

/** `TCP crossing`: each refuses what comes too early; `TCP counted`: the ports of one side have to be guessed. */
export type TcpCaseGroup = 'TCP' | 'TCP crossing' | 'TCP counted' | 'other';

export function tcpPunchCases(): TcpPunchCase[] {
  return pairsOf([...TCP_GATEWAYS, ...COUNTING_GATEWAYS]).map((pair) => ({
    name: pair.map(nameGateway).join(' × '),
    group: groupOf(pair),
    pair,
  }));
}

export interface TcpConditions {
  readonly rttMs: number;
  /** Of each packet, each way. */
  readonly loss: number;
  readonly firstSeed: number;
  readonly runs: number;
}

export function punchTcpCase(
  { pair: [a, b] }: TcpPunchCase,
  { rttMs, loss, firstSeed, runs }: TcpConditions,
): PunchOutcome[] {
  const outcomes: PunchOutcome[] = [];
  for (let world = firstSeed; outcomes.length < runs; world++) {
    const measured = { seed: world, rttMs, loss };
    // Of two that are alike each has its own report.
    const knownOf = { a: measureGateway(a, measured), b: measureGateway(b, { ...measured, seed: -world }) };
    for (let punch = 0; punch < PUNCHES_A_WORLD && outcomes.length < runs; punch++) {
      const seed = world * PUNCHES_A_WORLD + punch;
      outcomes.push(outcomeOf(punchOverTcp({ seed, rttMs, loss, skewMs: SKEW_MS, a, b, knownOf })));
    }
  }
  return outcomes;
}

const SKEW_MS = 10;

function groupOf([a, b]: GatewayPair): TcpCaseGroup {
  const refuses = ({ filtering, unsolicited }: TcpGateway): boolean =>
    filtering !== 'endpoint-independent' && unsolicited !== 'dropped';
  if (meetsOverTcp(a, b, 'plain')) return refuses(a) && refuses(b) ? 'TCP crossing' : 'TCP';
  const isGuessed = (guessed: Behaviour, other: Behaviour): boolean =>
    COUNTING_GATEWAYS.includes(guessed as TcpGateway) && meetsOverTcp(guessed, other, 'aGuessed');
  return isGuessed(a, b) || isGuessed(b, a) ? 'TCP counted' : 'other';
}

function outcomeOf({ opened, carries, events, tookMs, predicted }: TcpPunchRun): PunchOutcome {
  const isOpen = opened !== undefined && carries;
  const [end, otherEnd] = [events.a.at(-1), events.b.at(-1)];
  return {
    predicted,
    isOpen,
    attempt: isOpen ? Math.max(opened.a.attempt, opened.b.attempt) : undefined,
    tookMs,
    packets: (end?.packets ?? 0) + (otherEnd?.packets ?? 0),
    by: isOpen ? opened.a.strategy : end?.kind === 'failed' ? end.reason.code : 'no end',
  };
}
