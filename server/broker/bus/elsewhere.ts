/** Peers that are at other servers, as far as introductions that are led here take them. */
import { Allowance } from '../allowance.ts';
import { Deadlines } from '../deadlines.ts';
import { keyOf } from '../names.ts';
import type { Room } from '../rooms.ts';
import { PeerSession, type SessionCandidates, type WitnessedEndpoint } from '../session.ts';
import type { CandidatesHere, PeerHere } from './messages.ts';

export class PeersElsewhere {
  private readonly peers = new Map<string, PeerSession>();
  private readonly due: Deadlines<PeerSession>;

  /** `keepMs`: longer than anything lasts that one is wanted for. */
  constructor(keepMs: number) {
    this.due = new Deadlines(keepMs);
  }

  /** As its server describes it now; `busMs` is a round trip to that server. */
  take(room: Room, server: string, here: PeerHere, busMs: number, now: number): PeerSession {
    const key = entryOf(keyOf(room.name), here.number);
    let session = this.peers.get(key);
    // What it has under way at a server that it has left is over with it.
    if (session === undefined || session.server !== server) {
      session = createSession(room, here, now);
      this.peers.set(key, session);
    }
    session.attachAt(server, here.client, here.traits);
    session.candidates = candidatesFrom(here.candidates, now);
    if (here.rttMs !== undefined) session.addRoundTrip(here.rttMs + busMs);
    this.due.set(session, now);
    return session;
  }

  find(server: string, room: string, number: number): PeerSession | undefined {
    const session = this.peers.get(entryOf(room, number));
    return session?.server === server ? session : undefined;
  }

  at(server: string): PeerSession[] {
    return [...this.peers.values()].filter((session) => session.server === server);
  }

  handleTimeout(now: number): void {
    for (const session of this.due.takeDue(now)) {
      const { room, number } = session.identity;
      const key = entryOf(keyOf(room.name), number);
      if (this.peers.get(key) === session) this.peers.delete(key);
    }
  }

  nextDue(): number | undefined {
    return this.due.next();
  }
}

/** A peer that is here, for another server. */
export function describePeer(session: PeerSession, now: number): PeerHere {
  const { number, name } = session.identity;
  const { client, rttMs } = session;
  const { consent, publicKey, behaviours, natLayers, lifetimeMs } = session.traits;
  return {
    number,
    name,
    client,
    ...(rttMs !== undefined && { rttMs }),
    traits: {
      consent,
      publicKey,
      behaviours,
      ...(natLayers !== undefined && { natLayers }),
      ...(lifetimeMs !== undefined && { lifetimeMs }),
    },
    candidates: describeCandidates(session.candidates, now),
  };
}

/** Times are told as they are from now: clocks of servers differ. */
export function describeCandidates(
  { witnessed: { udp, tcp }, mapped, private: locals }: SessionCandidates,
  now: number,
): CandidatesHere {
  const describe = (endpoints: readonly WitnessedEndpoint[]) =>
    endpoints
      .filter(({ goodUntil }) => now < goodUntil)
      .map(({ endpoint, seenAt, goodUntil }) => {
        return { endpoint, seenAgoMs: Math.max(0, now - seenAt), leftMs: goodUntil - now };
      });
  return { udp: describe(udp), tcp: describe(tcp), mapped, private: locals };
}

export function candidatesFrom(
  { udp, tcp, mapped, private: locals }: CandidatesHere,
  now: number,
): SessionCandidates {
  const read = (endpoints: CandidatesHere['udp']) =>
    endpoints.map(({ endpoint, seenAgoMs, leftMs }) => {
      return { endpoint, seenAt: now - seenAgoMs, goodUntil: now + leftMs };
    });
  return { witnessed: { udp: read(udp), tcp: read(tcp) }, mapped, private: locals };
}

function createSession(room: Room, { number, name, traits }: PeerHere, now: number): PeerSession {
  // It asks at its own server, where its secrets stay.
  const introductions = new Allowance(0, now);
  return new PeerSession(
    { room, number, name, tokenHash: Buffer.alloc(0), nonce: '', introductions },
    traits,
  );
}

function entryOf(room: string, number: number): string {
  return `${room}\n${number}`;
}
