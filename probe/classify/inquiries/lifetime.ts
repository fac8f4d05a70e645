/**
 * The plan of the lifetime inquiry: many sockets contact the server at once, each is then left alone
 * for an interval of its own, and a companion asks for a response to its mapped port (RFC 5780
 * §4.6). All intervals run in parallel, so that the run takes as long as the longest.
 */
import type { Endpoint } from '../../../shared/endpoint.ts';
import {
  BRIEF_SPAN_MS,
  type FlowKind,
  flowKindOf,
  judgeLifetime,
  type Lifetime,
  type LifetimeAxis,
  STREAM_SPAN_MS,
} from '../../../shared/nat/lifetime.ts';
import { findGone, observeTrials, type Trial } from '../../../shared/nat/lifetime-trials.ts';
import type { Observations } from '../../../shared/nat/observations.ts';
import { silenceNeeded } from '../../../shared/nat/silence.ts';
import type { InquiryPlan } from '../inquiry.ts';
import { lastSentMs, type Plan, type Request, seriesOf } from '../request.ts';

export interface LifetimeContext {
  /** The primary endpoint of the server. */
  readonly server: Endpoint;
  /** The longest interval. */
  readonly maxMs?: number;
  /** Between one interval and the next. */
  readonly resolutionMs?: number;
}

/** Long enough for Linux's stream timeouts of 120 s and (before version 5.1) 180 s, and the 2 minutes of RFC 4787 REQ-5. */
export const DEFAULT_LIFETIME_MAX_MS = 185_000;
export const DEFAULT_LIFETIME_RESOLUTION_MS = 5000;
/** Two sockets each, within the thousand that a process may have open. */
export const MAX_LIFETIME_INTERVALS = 240;

/** The socket that asks about the others. */
const COMPANION = 'lifetime';
/** Without an answer a first request is repeated at this interval, and the run given up after so many. */
const CONTACT_INTERVAL_MS = 250;
const CONTACT_LIMIT_MS = 5000;
/** Between the exchanges of a stream. */
const STREAM_STEP_MS = 1200;
const STREAM_LIMIT_MS = 15_000;
/** Between the questions of one interval: one short outage is not to take them all. */
const QUESTION_INTERVAL_MS = 100;
/** Silence is counted to more than is required: what the path loses later must not take a conclusion back. */
const ASKED_CONFIDENCE = 0.9999;
/** A round of questions that brings neither a response nor silence that counts is given up. */
const ROUND_LIMIT_MS = 10_000;
/** What a run may take beyond its longest interval: contact, the exchanges of streams, the last questions. */
const SLACK_MS = 10_000;
/** Packets that open and keep the flows of one interval. */
const CONTACTS_PER_INTERVAL = 4;
/** What the last round takes, about. */
const ROUND_TIME_MS = 1000;

/** Which sockets there are, and when each is asked about. */
interface Subject {
  readonly socket: string;
  readonly flow: FlowKind;
  readonly schedule:
    | { readonly kind: 'once'; readonly intervalMs: number }
    /** Again and again, so that packets keep coming in. */
    | { readonly kind: 'every'; readonly intervalMs: number };
}

/**
 * The intervals to try: in steps of the resolution from half of it on, so that lifetimes of whole
 * steps fall in between, and the longest. Throws RangeError if they are too many or none.
 */
export function lifetimeIntervalsMs(maxMs: number, resolutionMs: number): number[] {
  const count = Math.ceil(maxMs / resolutionMs);
  if (!(maxMs > 0 && resolutionMs > 0 && count <= MAX_LIFETIME_INTERVALS)) {
    throw new RangeError(`${maxMs} ms in steps of ${resolutionMs} ms: 1 to ${MAX_LIFETIME_INTERVALS} steps`);
  }
  const steps = Array.from({ length: count }, (_, index) => (index + 0.5) * resolutionMs);
  return [...steps.filter((ms) => ms < maxMs), maxMs];
}

/** The time budget that a run needs at most at that pace, for ProberOptions. */
export function lifetimeTimeoutMs(
  { maxMs = DEFAULT_LIFETIME_MAX_MS, resolutionMs = DEFAULT_LIFETIME_RESOLUTION_MS }: LifetimeContext,
  paceMs: number,
): number {
  return maxMs + SLACK_MS + CONTACTS_PER_INTERVAL * paceMs * Math.ceil(maxMs / resolutionMs);
}

/**
 * Its progress is a share of time: `elapsed * (1 - progress) / progress` is what is left at most.
 * Throws RangeError as lifetimeIntervalsMs does.
 */
export function planLifetime(context: LifetimeContext): InquiryPlan {
  const { server, maxMs = DEFAULT_LIFETIME_MAX_MS, resolutionMs = DEFAULT_LIFETIME_RESOLUTION_MS } = context;
  const subjects = planSubjects(lifetimeIntervalsMs(maxMs, resolutionMs), resolutionMs);
  return {
    sockets: [COMPANION],
    plan: (observations, failedSockets) =>
      planNext(
        observations,
        server,
        subjects.filter(({ socket }) => !failedSockets.has(socket)),
      ),
    progress: (observations) => progressOf(observations, server, subjects),
  };
}

function planSubjects(intervalsMs: readonly number[], resolutionMs: number): Subject[] {
  const once = (flow: FlowKind): Subject[] =>
    intervalsMs.map((intervalMs, index) => ({
      socket: `${COMPANION}-${flow}-${index + 1}`,
      flow,
      schedule: { kind: 'once', intervalMs },
    }));
  const every = (intervalMs: number, index: number): Subject => ({
    socket: `${COMPANION}-inbound-${index + 1}`,
    flow: 'brief',
    schedule: { kind: 'every', intervalMs },
  });
  return [
    // The control: a mapping that nobody left alone.
    { socket: `${COMPANION}-fresh`, flow: 'brief', schedule: { kind: 'once', intervalMs: 0 } },
    ...[resolutionMs / 4, resolutionMs].map(every),
    ...once('brief'),
    ...once('stream'),
  ];
}

function planNext(observations: Observations, server: Endpoint, subjects: readonly Subject[]): Plan {
  const { nowMs, run } = observations;
  const companion: Request = { socket: COMPANION, to: server };
  if (nowMs >= run.timeoutMs) return end();
  if (seriesOf(observations, companion)?.replies.some(({ kind }) => kind === 'response') !== true) {
    if (nowMs >= CONTACT_LIMIT_MS) return end();
    const dueMs = (lastSentMs(observations, companion) ?? -Infinity) + CONTACT_INTERVAL_MS;
    return {
      requests: nowMs >= dueMs ? [companion] : [],
      wantsTcp: false,
      wakeMs: nowMs >= dueMs ? nowMs + CONTACT_INTERVAL_MS : dueMs,
      finished: false,
    };
  }
  const observed = observeTrials(observations, server);
  const axis = judgeLifetime(observations, observed);
  if (
    observed.unsupported !== undefined ||
    axis.reasons.some(({ code }) => code === 'lifetime-nothing-heard')
  )
    return end();
  const trials = new Map(observed.trials.map((trial) => [trial.socket, trial]));
  const address = companionAddress(observations, companion);
  const steps = subjects.map((subject): SubjectStep => {
    const trial = trials.get(subject.socket);
    if (isSettled(subject, axis)) return { subject, trial, step: OVER };
    const step =
      trial !== undefined && isReady(subject, trial)
        ? stepOf(observations, subject, trial, address)
        : contactStep(observations, { socket: subject.socket, to: server }, subject, trial);
    return { subject, trial, step };
  });
  const questions: Request[] = [];
  const contacts: Request[] = [];
  let wakeMs = Infinity;
  for (const { subject, trial, step } of steps) {
    if (step.kind === 'wait') wakeMs = Math.min(wakeMs, step.untilMs);
    else if (step.kind === 'contact') contacts.push({ socket: subject.socket, to: server });
    else if (step.kind === 'ask')
      questions.push({ socket: COMPANION, to: server, responsePort: trial!.mapped.port });
  }
  // Beside each question a control, which also says what the companion's public address is now.
  const isControlLate = nowMs > (lastSentMs(observations, companion) ?? -Infinity) + run.paceMs;
  const [first, ...others] = questions;
  const asked = first === undefined ? [] : isControlLate ? [companion, first, ...others] : questions;
  return {
    requests: [...asked, ...contacts],
    wantsTcp: false,
    wakeMs: wakeMs === Infinity ? undefined : wakeMs,
    finished: isFinished(steps, axis),
  };
}

interface SubjectStep {
  readonly subject: Subject;
  readonly trial: Trial | undefined;
  readonly step: Step;
}

/** What is kept open by packets from outside tells nothing unless others are found to have been closed. */
function isFinished(steps: readonly SubjectStep[], axis: LifetimeAxis): boolean {
  const open = steps.filter(({ step }) => step.kind !== 'over');
  const isWaitedFor = open.some(({ subject }) => subject.schedule.kind === 'once');
  return !isWaitedFor && (open.length === 0 || axis.atMostMs === undefined);
}

function end(): Plan {
  return { requests: [], wantsTcp: false, wakeMs: undefined, finished: true };
}

type Step =
  | { readonly kind: 'contact' }
  | { readonly kind: 'ask' }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'over' };

const OVER: Step = { kind: 'over' };

/** Whether what the subject would show is known already. */
function isSettled({ flow, schedule }: Subject, axis: LifetimeAxis): boolean {
  const lifetime: Lifetime = flow === 'brief' ? axis : axis.stream;
  if (schedule.kind === 'every') return axis.refreshedByInbound !== 'unknown';
  return lifetime.value === 'finite' && schedule.intervalMs > (lifetime.atMostMs ?? lifetime.atLeastMs);
}

/** Whether its flow is what it is to be, so that its clock runs. */
function isReady({ flow }: Subject, trial: Trial): boolean {
  return trial.questions.length > 0 || flowKindOf(trial) === flow;
}

function contactStep(
  observations: Observations,
  contact: Request,
  { flow }: Subject,
  trial: Trial | undefined,
): Step {
  const { nowMs, lossAfterMs = CONTACT_INTERVAL_MS } = observations;
  const sends = seriesOf(observations, contact)?.sends ?? [];
  const first = sends[0];
  if (first === undefined) return { kind: 'contact' };
  const limitMs = first.atMs + (flow === 'brief' ? BRIEF_SPAN_MS : STREAM_LIMIT_MS);
  const isAnswered = trial !== undefined && trial.repliedMs >= trial.lastSentMs;
  const dueMs = sends.at(-1)!.atMs + (isAnswered ? STREAM_STEP_MS : lossAfterMs);
  if (Math.max(nowMs, dueMs) >= limitMs) return nowMs >= dueMs ? OVER : { kind: 'wait', untilMs: dueMs };
  return nowMs >= dueMs ? { kind: 'contact' } : { kind: 'wait', untilMs: dueMs };
}

function stepOf(
  observations: Observations,
  { schedule }: Subject,
  trial: Trial,
  address: string | undefined,
): Step {
  const { nowMs, path } = observations;
  // Asked for there, the response would go to a stranger.
  if (trial.mapped.address !== address || isGoneForSure(observations, trial)) return OVER;
  const { intervalMs } = schedule;
  const idleMs = nowMs - trial.lastSentMs;
  const round = schedule.kind === 'once' ? 1 : Math.max(1, Math.floor(idleMs / intervalMs));
  const beganMs = trial.lastSentMs + round * intervalMs;
  if (nowMs < beganMs) return { kind: 'wait', untilMs: beganMs };
  const next: Step = schedule.kind === 'once' ? OVER : { kind: 'wait', untilMs: beganMs + intervalMs };
  const asked = trial.questions.filter(({ atMs }) => atMs >= beganMs);
  if (asked.some(({ outcome }) => outcome.kind === 'heard')) return next;
  if (nowMs >= beganMs + ROUND_LIMIT_MS) return next;

  const lastHeard = trial.questions.findLastIndex(({ outcome }) => outcome.kind === 'heard');
  const outcomes = trial.questions.slice(lastHeard + 1).map(({ outcome }) => outcome);
  const silent = outcomes.filter(({ kind }) => kind === 'silent').length;
  const awaiting = outcomes.filter((outcome) => outcome.kind === 'awaiting');
  const waits = awaiting.flatMap(({ untilMs }) => untilMs ?? []);
  const askAtMs = (trial.questions.at(-1)?.atMs ?? -Infinity) + QUESTION_INTERVAL_MS;
  const isEnough = silent + awaiting.length >= silenceNeeded(path, ASKED_CONFIDENCE);
  if (!isEnough && nowMs >= askAtMs) return { kind: 'ask' };
  const untilMs = Math.min(...waits, isEnough ? Infinity : askAtMs, beganMs + ROUND_LIMIT_MS);
  return { kind: 'wait', untilMs: Math.max(untilMs, nowMs + 1) };
}

function isGoneForSure(observations: Observations, trial: Trial): boolean {
  return (findGone(observations, trial)?.confidence ?? 0) >= ASKED_CONFIDENCE;
}

function companionAddress(observations: Observations, companion: Request): string | undefined {
  const latest = seriesOf(observations, companion)?.replies.findLast(({ kind }) => kind === 'response');
  return latest?.kind === 'response' ? latest.mapped.address : undefined;
}

/** By time: the longest interval that is still to be waited for decides. */
function progressOf(observations: Observations, server: Endpoint, subjects: readonly Subject[]): number {
  const observed = observeTrials(observations, server);
  const axis = judgeLifetime(observations, observed);
  const longestMs = Math.max(
    0,
    ...subjects
      .filter((subject) => subject.schedule.kind === 'once' && !isSettled(subject, axis))
      .map(({ schedule }) => schedule.intervalMs),
  );
  const totalMs = longestMs + STREAM_SPAN_MS + ROUND_TIME_MS;
  return Math.min(1, observations.nowMs / totalMs);
}
