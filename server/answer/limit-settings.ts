/** What natprobed is told about how much it answers: flags in, limits out. Pure. */
import { NatprobeError } from '../../shared/errors.ts';
import type { AnswerLimits } from './answer-guard.ts';
import { DEFAULT_ANSWER_RATE } from './limit-defaults.ts';
import type { SourceRates } from './source-limiter.ts';

/** As typed. */
export interface LimitFlags {
  readonly answerRate?: string;
  readonly amplification?: string;
  /** False for no limits, of HTTP neither. */
  readonly rateLimit?: string | false;
}

/** A probe in an outage sends some hundreds of packets within two seconds. */
const BURST_SECONDS = 4;
/** Of one address's, for the 256 of its network. */
const NETWORK_FACTOR = 4;
const HIGHEST_ANSWER_RATE = 100_000_000;
/** No request draws more of itself: what is above forbids nothing. */
const HIGHEST_AMPLIFICATION = 100;

/** Throws ERR_NUMBER or ERR_FLAGS. */
export function readAnswerLimits({ answerRate, amplification, rateLimit }: LimitFlags): AnswerLimits {
  if (rateLimit === false && answerRate !== undefined)
    throw new NatprobeError('ERR_FLAGS', '--answer-rate', 'not with --no-rate-limit');
  return {
    ...(rateLimit !== false && {
      rates: ratesOf(answerRate === undefined ? DEFAULT_ANSWER_RATE : readAnswerRate(answerRate)),
    }),
    ...(amplification !== undefined && { amplification: readAmplification(amplification) }),
  };
}

function ratesOf(perSecond: number): SourceRates {
  const one = { perSecond, burst: BURST_SECONDS * perSecond };
  const network = { perSecond: NETWORK_FACTOR * one.perSecond, burst: NETWORK_FACTOR * one.burst };
  return { ipv4Address: one, ipv4Network: network, ipv6Customer: one };
}

function readAnswerRate(text: string): number {
  const rate = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (rate >= 1 && rate <= HIGHEST_ANSWER_RATE) return rate;
  const detail = `got ${JSON.stringify(text)}; it takes answers a second, from 1 to ${HIGHEST_ANSWER_RATE}`;
  throw new NatprobeError('ERR_NUMBER', '--answer-rate', detail);
}

function readAmplification(text: string): number {
  const factor = /^\d{1,3}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (factor >= 1 && factor <= HIGHEST_AMPLIFICATION) return factor;
  const detail = `got ${JSON.stringify(text)}; it takes a factor, from 1 to ${HIGHEST_AMPLIFICATION}`;
  throw new NatprobeError('ERR_NUMBER', '--amplification', detail);
}
