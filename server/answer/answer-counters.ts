import { SERVER_ROLES, SERVER_ROLE_NAMES, type ServerRole, type ServerRoleName } from '../../shared/role.ts';
import { ANSWER_KINDS, type AnswerKind } from './answer-rules.ts';

/** Why a datagram draws nothing. */
export const DROP_REASONS = [
  /** Another protocol's, damaged, or with a wrong FINGERPRINT. */
  'not-stun',
  /** Attributes that run past the end, in too few bytes to be worth an error. */
  'malformed',
  /** An indication or a response: answering those could loop. */
  'not-request',
  /** A method that is not Binding. */
  'unknown-method',
  /** From port 0, which cannot be answered. */
  'port-zero',
  /** The answer would go to an endpoint of this server. */
  'own-endpoint',
  /** Its source, or those around it, have drawn enough. */
  'rate-limit',
  /** The answer would be too many times as long as the request. */
  'amplification',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];

/** What came, answered or not, and what was to be sent for it: bytes of STUN, without headers of what carries it. */
export const TRAFFIC = ['messages', 'requestBytes', 'answerBytes'] as const;

/** Counts since the start. */
export interface AnswerCounts {
  /** By what was asked, and by the role that the request came in on. */
  readonly answers: Readonly<Record<AnswerKind, Readonly<Record<ServerRoleName, number>>>>;
  readonly drops: Readonly<Record<DropReason, number>>;
  readonly traffic: Readonly<Record<(typeof TRAFFIC)[number], number>>;
}

const KIND_INDEX = indexOf(ANSWER_KINDS);
const DROP_INDEX = indexOf(DROP_REASONS);
const TRAFFIC_INDEX = indexOf(TRAFFIC);

const ANSWERS_LENGTH = ANSWER_KINDS.length * SERVER_ROLES.length;

/** How many numbers AnswerCounters keeps. */
export const ANSWER_COUNTER_LENGTH = ANSWERS_LENGTH + DROP_REASONS.length + TRAFFIC.length;

/** Counting without allocation: typed arrays, since a large number in an object would be boxed. */
export class AnswerCounters {
  private readonly answered: Float64Array;
  private readonly dropped: Float64Array;
  private readonly traffic: Float64Array;

  /** Counts in `numbers`, ANSWER_COUNTER_LENGTH of them, which may be memory that threads share. */
  constructor(numbers: Float64Array = new Float64Array(ANSWER_COUNTER_LENGTH)) {
    const traffic = ANSWERS_LENGTH + DROP_REASONS.length;
    this.answered = numbers.subarray(0, ANSWERS_LENGTH);
    this.dropped = numbers.subarray(ANSWERS_LENGTH, traffic);
    this.traffic = numbers.subarray(traffic, ANSWER_COUNTER_LENGTH);
  }

  static sum(all: readonly AnswerCounters[]): AnswerCounters {
    const sum = new AnswerCounters();
    for (const { answered, dropped, traffic } of all) {
      for (const [i, count] of answered.entries()) sum.answered[i]! += count;
      for (const [i, count] of dropped.entries()) sum.dropped[i]! += count;
      for (const [i, count] of traffic.entries()) sum.traffic[i]! += count;
    }
    return sum;
  }

  /** What came, whatever becomes of it. */
  countMessage(bytes: number): void {
    this.traffic[TRAFFIC_INDEX.messages]! += 1;
    this.traffic[TRAFFIC_INDEX.requestBytes]! += bytes;
  }

  /** `bytes` of all datagrams together. */
  countAnswer(kind: AnswerKind, arrival: ServerRole, bytes: number): void {
    this.traffic[TRAFFIC_INDEX.answerBytes]! += bytes;
    this.answered[KIND_INDEX[kind] * SERVER_ROLES.length + arrival]! += 1;
  }

  countDrop(reason: DropReason): void {
    this.dropped[DROP_INDEX[reason]]! += 1;
  }

  /** How many came. */
  get messages(): number {
    return this.traffic[TRAFFIC_INDEX.messages]!;
  }

  snapshot(): AnswerCounts {
    return {
      answers: recordOf(ANSWER_KINDS, (_, kind) =>
        recordOf(SERVER_ROLE_NAMES, (_name, role) => this.answered[kind * SERVER_ROLES.length + role]!),
      ),
      drops: recordOf(DROP_REASONS, (_, reason) => this.dropped[reason]!),
      traffic: recordOf(TRAFFIC, (_, index) => this.traffic[index]!),
    };
  }
}

function indexOf<Name extends string>(names: readonly Name[]): Record<Name, number> {
  return recordOf(names, (_, index) => index);
}

function recordOf<Name extends string, Value>(
  names: readonly Name[],
  value: (name: Name, index: number) => Value,
): Record<Name, Value> {
  return Object.fromEntries(names.map((name, index) => [name, value(name, index)])) as Record<Name, Value>;
}
