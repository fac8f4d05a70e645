/** Peers that are asked for here and are at no connection of this server: sought at the others. Each search ends. */
import type { Transport } from '../../../shared/broker/messages.ts';
import { Deadlines } from '../deadlines.ts';
import type { BrokerTimes } from '../limits.ts';
import { keyOf } from '../names.ts';
import type { PeerSession } from '../session.ts';

/** A message over the bus may be lost with a server of the bus. */
const MOST_TRIES = 2;

export interface Search {
  readonly request: number;
  readonly asker: PeerSession;
  /** By the key of its name, or by number. */
  readonly peer: string | number;
  /** The asker's number for it. */
  readonly id: number;
  readonly attempt: number;
  readonly transport: Transport;
  /** Whether it only wants to know what a punch would promise. */
  readonly isForesight: boolean;
  tries: number;
  sentAt: number;
  /** The peer has asked for the asker as well, and its server leads. */
  isLedElsewhere: boolean;
}

export class Searches {
  private readonly searches = new Map<number, Search>();
  private readonly answerDue: Deadlines<Search>;
  private readonly endDue: Deadlines<Search>;
  private lastRequest = 0;

  constructor({ seekMs, settleMs }: BrokerTimes) {
    this.answerDue = new Deadlines(seekMs);
    this.endDue = new Deadlines(settleMs);
  }

  begin(
    wanted: Pick<Search, 'asker' | 'peer' | 'id' | 'attempt' | 'transport' | 'isForesight'>,
    now: number,
  ): Search {
    const request = ++this.lastRequest;
    const search = { ...wanted, request, tries: 1, sentAt: now, isLedElsewhere: false };
    this.searches.set(request, search);
    this.answerDue.set(search, now);
    this.endDue.set(search, now);
    return search;
  }

  /** Whether it is sent once more in a while. */
  hasAnotherTry({ tries }: Search): boolean {
    return tries < MOST_TRIES;
  }

  get(request: number): Search | undefined {
    return this.searches.get(request);
  }

  /** That of `asker` for that peer, over that transport. */
  find(
    asker: PeerSession,
    peer: { readonly number: number; readonly name: string },
    transport: Transport,
  ): Search | undefined {
    return [...this.searches.values()].find(
      (search) =>
        search.asker === asker &&
        !search.isForesight &&
        search.transport === transport &&
        search.peer === (typeof search.peer === 'number' ? peer.number : keyOf(peer.name)),
    );
  }

  /** It is answered by what the other server does, in time or not at all. */
  cede(search: Search): void {
    search.isLedElsewhere = true;
    this.answerDue.delete(search);
  }

  end(search: Search): void {
    this.searches.delete(search.request);
    this.answerDue.delete(search);
    this.endDue.delete(search);
  }

  /** What the asker gets under that number answers it. False if it has got an answer. */
  settle(asker: PeerSession, id: number): boolean {
    const awaiting = this.of(asker).filter((search) => search.id === id);
    for (const search of awaiting) this.end(search);
    return awaiting.length > 0;
  }

  endAllOf(asker: PeerSession): void {
    for (const search of this.of(asker)) this.end(search);
  }

  /** Those that are to be sent once more, and those that have come to nothing and are over. */
  handleTimeout(now: number): { readonly again: readonly Search[]; readonly over: readonly Search[] } {
    const due = this.answerDue.takeDue(now);
    const again = due.filter((search) => this.hasAnotherTry(search));
    for (const search of again) {
      search.tries++;
      search.sentAt = now;
      this.answerDue.set(search, now);
    }
    const over = new Set([...due.filter((search) => !again.includes(search)), ...this.endDue.takeDue(now)]);
    for (const search of over) this.end(search);
    return { again: again.filter((search) => !over.has(search)), over: [...over] };
  }

  nextDue(): (number | undefined)[] {
    return [this.answerDue.next(), this.endDue.next()];
  }

  private of(asker: PeerSession): Search[] {
    return [...this.searches.values()].filter((search) => search.asker === asker);
  }
}
