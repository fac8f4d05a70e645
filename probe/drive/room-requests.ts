/** What those who use a membership ask of the broker, and who waits for what comes of it. */
import type { NatprobeError } from '../../shared/errors.ts';
import type { MemberEvent, MemberInput, MemberRequest } from '../broker/io.ts';
import { leftError } from '../broker/requests.ts';
import { unlessAborted } from './aborted.ts';

export type Answer = Extract<MemberEvent, { kind: 'peers' | 'prediction' }>;

/** Who waits for the end of a request. */
export interface Waiting {
  onAnswer(answer: Answer): void;
  onRefused(error: NatprobeError): void;
}

export class RoomRequests {
  readonly #deliver: (input: Extract<MemberInput, { kind: 'request' | 'cancel' }>) => void;
  readonly #open = new Map<number, { readonly ask: MemberRequest; readonly waiting: Waiting }>();
  #last = 0;
  #isOver = false;

  constructor(deliver: (input: Extract<MemberInput, { kind: 'request' | 'cancel' }>) => void) {
    this.#deliver = deliver;
  }

  /** Rejects with what it is refused with, and with ERR_ABORTED. */
  ask(ask: MemberRequest, signal: AbortSignal | undefined): Promise<Answer> {
    return unlessAborted('the room', signal, (resolve, reject) => {
      const request = this.add(ask, { onAnswer: resolve, onRefused: reject });
      return () => this.cancel(request);
    });
  }

  /** The number of the request; its end is told to `waiting`, unless it is cancelled, and after this has returned. */
  add(ask: MemberRequest, waiting: Waiting): number {
    const request = ++this.#last;
    this.#open.set(request, { ask, waiting });
    if (this.#isOver) queueMicrotask(() => this.refuse(request, leftError()));
    else
      queueMicrotask(() => {
        if (this.#open.has(request)) this.#deliver({ kind: 'request', request, ask });
      });
    return request;
  }

  /** What was asked; undefined if nobody waits for it. */
  find(request: number): MemberRequest | undefined {
    return this.#open.get(request)?.ask;
  }

  cancel(request: number): void {
    if (this.#open.delete(request)) this.#deliver({ kind: 'cancel', request });
  }

  /** An introduction: its plan has come. */
  settle(request: number): void {
    this.#open.delete(request);
  }

  answer(answer: Answer): void {
    this.#take(answer.request)?.onAnswer(answer);
  }

  refuse(request: number, error: NatprobeError): void {
    this.#take(request)?.onRefused(error);
  }

  /** Refuses all, and what is asked from now on. */
  end(error: NatprobeError): void {
    this.#isOver = true;
    for (const request of [...this.#open.keys()]) this.refuse(request, error);
  }

  #take(request: number): Waiting | undefined {
    const open = this.#open.get(request);
    this.#open.delete(request);
    return open?.waiting;
  }
}
