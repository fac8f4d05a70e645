/** One Binding request that a plan wants sent, before it is bytes. */
import { type Endpoint, formatEndpoint, sameEndpoint } from '../../shared/endpoint.ts';
import type { BindingEvidence, Change } from '../../shared/nat/evidence.ts';
import type { Observations } from '../../shared/nat/observations.ts';

/** Fields as in BindingEvidence. A request that moves its response asks for a receipt as well. */
export interface Request {
  readonly socket: string;
  readonly to: Endpoint;
  readonly change?: Change;
  readonly responsePort?: number;
  readonly paddingBytes?: number;
}

export function asksForReceipt({ change, responsePort }: Pick<Request, 'change' | 'responsePort'>): boolean {
  return change !== undefined || responsePort !== undefined;
}

/** What a plan answers with, given what has been seen so far. */
export interface Plan {
  /** In order of worth. */
  readonly requests: readonly Request[];
  /** UDP has been silent for so long that TCP is to be asked. */
  readonly wantsTcp: boolean;
  /** When waiting alone would change the plan, in milliseconds since the run began. */
  readonly wakeMs: number | undefined;
  readonly finished: boolean;
}

/** One key for each series of like requests. */
export function requestKey({ socket, to, change, responsePort, paddingBytes }: Request): string {
  const flags = change === undefined ? '' : `${change.address ? 'A' : ''}${change.port ? 'P' : ''}`;
  return `${socket} ${formatEndpoint(to)} ${flags} ${responsePort ?? ''} ${paddingBytes ?? ''}`;
}

/** What has been seen of requests like this one. */
export function seriesOf(observations: Observations, request: Request): BindingEvidence | undefined {
  const { socket, to, change, responsePort, paddingBytes } = request;
  return observations.series.find(
    (item) =>
      item.socket === socket &&
      item.change?.address === change?.address &&
      item.change?.port === change?.port &&
      item.responsePort === responsePort &&
      item.paddingBytes === paddingBytes &&
      sameEndpoint(item.to, to),
  );
}

export function isAnswered(observations: Observations, request: Request): boolean {
  const replies = seriesOf(observations, request)?.replies ?? [];
  return replies.some((reply) => reply.kind === 'response' && sameEndpoint(reply.from, request.to));
}

export function lastSentMs(observations: Observations, request: Request): number | undefined {
  return seriesOf(observations, request)?.sends.at(-1)?.atMs;
}

export function countSent(observations: Observations, request: Request): number {
  return seriesOf(observations, request)?.sends.length ?? 0;
}

/** When it was first sent. */
export function firstSentMs(observations: Observations, request: Request): number | undefined {
  return seriesOf(observations, request)?.sends[0]?.atMs;
}

/** Whether the answer to its first try is late by now. */
export function isOverdue(observations: Observations, request: Request): boolean {
  const { nowMs, lossAfterMs = Infinity } = observations;
  return nowMs >= (firstSentMs(observations, request) ?? Infinity) + lossAfterMs;
}

/** When an unanswered request is worth repeating: once its first try is late, then every `intervalMs`. */
export function dueMs(observations: Observations, request: Request, intervalMs: number): number {
  const sends = seriesOf(observations, request)?.sends ?? [];
  if (sends.length === 0) return 0;
  const { lossAfterMs = Infinity } = observations;
  return Math.max(sends[0]!.atMs + lossAfterMs, sends.at(-1)!.atMs + intervalMs);
}
