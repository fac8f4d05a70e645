/** What was asked of the broker and isn't answered yet. Each request ends: in an answer, in a refusal, or in time. */
import type { ClientMessage } from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { MemberOutlet, MemberRequest } from './io.ts';

/** For an answer that the broker has at hand. */
const ANSWER_MS = 10_000;
/** Both sides may be asked for fresh candidates first. */
const INTRODUCTION_MS = 30_000;
/** Once it is said that the peer is being asked: it has half a minute (server/broker/limits.ts). */
const CONSENT_MS = 60_000;
/** However often the connection is lost in between. */
const LONGEST_MS = 120_000;

interface Pending {
  readonly request: number;
  readonly ask: MemberRequest;
  readonly endAt: number;
  dueAt: number;
  isSent: boolean;
  /** The broker's number for it, where that is known. */
  introduction?: number;
}

export class Requests {
  readonly #outlet: MemberOutlet;
  readonly #pending = new Map<number, Pending>();

  constructor(outlet: MemberOutlet) {
    this.#outlet = outlet;
  }

  add(request: number, ask: MemberRequest, now: number): void {
    const dueAt = now + (ask.about === 'introduction' ? INTRODUCTION_MS : ANSWER_MS);
    this.#pending.set(request, { request, ask, endAt: now + LONGEST_MS, dueAt, isSent: false });
  }

  /** Says what hasn't been said on this connection; nobody is introduced who isn't registered. */
  flush(isRegistered: boolean): void {
    for (const pending of this.#pending.values()) {
      if (pending.isSent || (pending.ask.about === 'introduction' && !isRegistered)) continue;
      pending.isSent = true;
      this.#outlet.say(messageOf(pending));
    }
  }

  /** The peer is being asked: that takes as long as it takes people. */
  wait(request: number, introduction: number, now: number): void {
    const pending = this.#pending.get(request);
    if (pending === undefined) return;
    pending.introduction = introduction;
    pending.dueAt = Math.min(pending.endAt, now + CONSENT_MS);
    this.#outlet.tell({ kind: 'waiting', request });
  }

  /** As take; returns the introduction that the broker is at, if there is one. */
  cancel(request: number): number | undefined {
    const introduction = this.#pending.get(request)?.introduction;
    this.take(request);
    return introduction;
  }

  /** Whether somebody still waits for it; from now on nobody does. */
  take(request: number): boolean {
    return this.#pending.delete(request);
  }

  refuse(request: number, error: NatprobeError): void {
    if (this.take(request)) this.#outlet.tell({ kind: 'refused', request, error });
  }

  refuseAll(error: NatprobeError): void {
    for (const request of [...this.#pending.keys()]) this.refuse(request, error);
  }

  /** Whatever was on its way is asked again on the next connection. */
  lose(now: number): void {
    for (const pending of this.#pending.values()) {
      pending.isSent = false;
      delete pending.introduction;
      if (pending.ask.about === 'introduction')
        pending.dueAt = Math.min(pending.endAt, Math.max(pending.dueAt, now + INTRODUCTION_MS));
    }
  }

  handleTimeout(now: number): void {
    for (const { request, dueAt, ask } of [...this.#pending.values()])
      if (now >= dueAt) this.refuse(request, new NatprobeError('ERR_BROKER_LATE', ask.about));
  }

  nextDue(): number | undefined {
    const due = [...this.#pending.values()].map(({ dueAt }) => dueAt);
    return due.length === 0 ? undefined : Math.min(...due);
  }
}

/** Once the room has been left there is nobody to ask. */
export function leftError(): NatprobeError {
  return new NatprobeError('ERR_ABORTED', 'the room', 'it has been left');
}

function messageOf({ request: id, ask }: Pending): ClientMessage {
  switch (ask.about) {
    case 'peers':
      return { kind: 'peers', id };
    case 'foresee':
      return { kind: 'foresee', id, peer: ask.peer, transport: ask.transport };
    case 'introduction': {
      const { peer, attempt, transport } = ask;
      return { kind: 'introduce', id, peer, attempt, transport };
    }
  }
}
