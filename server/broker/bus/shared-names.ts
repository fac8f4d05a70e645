/**
 * Names that servers share: peers that have said hello wait until it is agreed on who has their name,
 * the others are told of those who are here, and lists are of all.
 */
import type { BrokerPeer } from '../../../shared/broker/messages.ts';
import type { Connection } from '../connection.ts';
import { Deadlines } from '../deadlines.ts';
import { keyOf } from '../names.ts';
import type { Wanted } from '../rooms.ts';
import type { PeerSession } from '../session.ts';
import type { BusAction, BusInput, ClaimEnd } from './bus.ts';

/** Who asked for a list, under its own number. */
export interface ListRequest {
  readonly connection: Connection;
  readonly id: number;
}

/** A claim that is decided; of a connection that waits for it. */
export interface Decided {
  readonly connection: Connection;
  readonly wanted: Wanted;
  readonly end: ClaimEnd;
}

interface Entrance {
  readonly wanted: Wanted;
  /** Undefined once it waits no more. */
  connection: Connection | undefined;
}

export class SharedNames {
  private readonly act: (action: BusAction) => void;
  private readonly entrances = new Map<number, Entrance>();
  private readonly byConnection = new Map<Connection, Entrance>();
  private readonly due: Deadlines<Entrance>;
  private readonly lists = new Map<number, ListRequest>();
  private lastRequest = 0;

  constructor(claimMs: number, act: (action: BusAction) => void) {
    this.due = new Deadlines(claimMs);
    this.act = act;
  }

  claim(connection: Connection, wanted: Wanted, now: number): void {
    const request = ++this.lastRequest;
    const entrance = { wanted, connection };
    this.entrances.set(request, entrance);
    this.byConnection.set(connection, entrance);
    this.due.set(entrance, now);
    this.act({ kind: 'claim', request, claim: wanted.claim });
  }

  isWaiting(connection: Connection): boolean {
    return this.byConnection.has(connection);
  }

  /** What is decided for it comes too late. */
  drop(connection: Connection): void {
    const entrance = this.byConnection.get(connection);
    if (entrance === undefined) return;
    this.byConnection.delete(connection);
    this.due.delete(entrance);
    entrance.connection = undefined;
  }

  /** Undefined where nobody waits for it any more. */
  decide({ request, end }: BusInput & { kind: 'claimed' }): Decided | undefined {
    const entrance = this.entrances.get(request);
    this.entrances.delete(request);
    if (entrance === undefined) return undefined;
    const { connection, wanted } = entrance;
    if (connection !== undefined) {
      this.drop(connection);
      return { connection, wanted, end };
    }
    // A session that is to go on is kept for who has its token, as long as names are that nobody holds.
    if (end.kind === 'new')
      this.act({ kind: 'release', room: keyOf(wanted.claim.room), name: keyOf(wanted.claim.name) });
    return undefined;
  }

  list(connection: Connection, session: PeerSession, id: number): void {
    const request = ++this.lastRequest;
    this.lists.set(request, { connection, id });
    this.act({ kind: 'list', request, room: keyOf(session.identity.room.name) });
  }

  takeList(request: number): ListRequest | undefined {
    const list = this.lists.get(request);
    this.lists.delete(request);
    return list;
  }

  /** The others are told what they may know of it. */
  hold(session: PeerSession, now: number): void {
    const { room, name, number } = session.identity;
    const type: BrokerPeer['type'] = session.peer.type;
    const listedForMs = session.connection === undefined ? 0 : session.registeredForMs(now);
    this.act({
      kind: 'hold',
      held: { room: keyOf(room.name), name: keyOf(name), number, type, listedForMs },
    });
  }

  release({ identity: { room, name } }: PeerSession): void {
    this.act({ kind: 'release', room: keyOf(room.name), name: keyOf(name) });
  }

  /** Those that have waited too long. */
  takeDue(now: number): Connection[] {
    return this.due.takeDue(now).flatMap(({ connection }) => connection ?? []);
  }

  nextDue(): number | undefined {
    return this.due.next();
  }
}
