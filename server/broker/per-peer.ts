import type { PeerSession } from './session.ts';

/** Things that belong to peers, and nothing for those that have none. */
export class PerPeer<Item> {
  private readonly sets = new Map<PeerSession, Set<Item>>();

  /** A copy, so that what is done to each may change them. */
  of(session: PeerSession): Item[] {
    return [...(this.sets.get(session) ?? [])];
  }

  count(session: PeerSession): number {
    return this.sets.get(session)?.size ?? 0;
  }

  add(session: PeerSession, item: Item): void {
    const set = this.sets.get(session);
    if (set === undefined) this.sets.set(session, new Set([item]));
    else set.add(item);
  }

  delete(session: PeerSession, item: Item): void {
    const set = this.sets.get(session);
    set?.delete(item);
    if (set?.size === 0) this.sets.delete(session);
  }
}
