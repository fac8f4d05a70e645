/**
 * Names of peers, unique over all servers: claimed by creating a key in JetStream, kept by writing it
 * again before it expires, and taken over by who has the token, with the revision that was read.
 */
import { timingSafeEqual } from 'node:crypto';
import type { KV } from '@nats-io/kv';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { BrokerPeer } from '../../shared/broker/messages.ts';
import { NAT_TYPES } from '../../shared/nat/behaviour.ts';
import type { ClaimEnd, HeldName, NameClaim } from '../broker/bus/bus.ts';
import { keyOf } from '../broker/names.ts';
import { isConflict, type NamesBucket } from './bucket.ts';
import { nameKey, namesIn, roomKey } from './subjects.ts';

export interface SharedNamesOptions {
  /** This server. */
  readonly server: string;
  readonly bucket: NamesBucket;
  /** A name that this server held has gone on at another one. */
  readonly onUsurped: (room: string, name: string) => void;
  /** A name that another server held is here now. */
  readonly onTaken: (from: string, room: string, name: string, revision: number) => void;
}

/** A name is claimed for so long before it is given up, less than a peer waits (server/broker/limits.ts). */
const CLAIM_MS = 7000;
const CLAIM_RETRY_MS = 200;
/** A third of how long they last. */
const REWRITE_MS = 15_000;
const TICK_MS = 1000;
/** What is claimed and then not held: whoever wanted it is gone. */
const UNHELD_MS = 10_000;
const AT_ONCE = 32;
/** Lists of one room are the same for so long. */
const LIST_MS = 500;
const LIST_TIMEOUT_MS = 2000;

const RoomSchema = Type.Object({ keyHash: Type.Optional(Type.String()) });
const NameSchema = Type.Object({
  name: Type.String(),
  server: Type.String(),
  tokenHash: Type.String(),
  /** The revision that it was made with, if absent: it has not been written since. */
  number: Type.Optional(Type.Integer({ minimum: 1 })),
  type: Type.Enum([...NAT_TYPES]),
  /** Until when it can be introduced (milliseconds since 1970). */
  listedUntil: Type.Number(),
});
type NameEntry = Static<typeof NameSchema>;
const IS_ROOM = Compile(RoomSchema);
const IS_NAME = Compile(NameSchema);

interface OwnName {
  readonly room: string;
  readonly key: string;
  entry: NameEntry & { readonly number: number };
  revision: number;
  /** Whether a peer has it; it was claimed at `writtenAt` if not. */
  isHeld: boolean;
  isReleased: boolean;
  isWriting: boolean;
  /** What is there isn't what should be. */
  isDirty: boolean;
  writtenAt: number;
}

interface OwnRoom {
  readonly keyHash: string | undefined;
  writtenAt: number;
}

interface Read {
  readonly revision: number;
  readonly value: unknown;
}

export class SharedNames {
  private readonly options: SharedNamesOptions;
  private readonly names = new Map<string, OwnName>();
  private readonly rooms = new Map<string, OwnRoom>();
  private readonly lists = new Map<string, Promise<readonly BrokerPeer[] | undefined>>();
  private readonly waiting: (() => void)[] = [];
  private underWay = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(options: SharedNamesOptions) {
    this.options = options;
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.timer.unref();
  }

  async claim(claim: NameClaim): Promise<ClaimEnd> {
    const until = performance.now() + CLAIM_MS;
    while (performance.now() < until) {
      try {
        const end = await this.inTurn(() => this.tryClaim(claim, until));
        if (end !== undefined) return end;
      } catch {
        // There is no leader just now, or no NATS.
        await new Promise((next) => setTimeout(next, CLAIM_RETRY_MS));
      }
    }
    return { kind: 'undecided' };
  }

  hold({ room, name, type, listedForMs }: HeldName): void {
    const own = this.names.get(nameKey(room, name));
    if (own === undefined) return;
    const listedUntil = listedForMs === 0 ? 0 : Math.round(Date.now() + listedForMs);
    own.isHeld = true;
    own.isDirty ||= own.entry.type !== type || own.entry.listedUntil !== listedUntil;
    own.entry = { ...own.entry, type, listedUntil };
    if (own.isDirty) this.write(own);
  }

  release(room: string, name: string): void {
    const own = this.names.get(nameKey(room, name));
    if (own === undefined) return;
    this.forget(own);
    own.isReleased = true;
    // What can't be freed now is free once it has expired.
    if (!own.isWriting) void this.free(own);
  }

  /** Undefined where it can't be had just now. */
  list(room: string): Promise<readonly BrokerPeer[] | undefined> {
    const known = this.lists.get(room);
    if (known !== undefined) return known;
    const listing = this.readList(room);
    this.lists.set(room, listing);
    setTimeout(() => this.lists.delete(room), LIST_MS).unref();
    return listing;
  }

  /** Whether somebody's name it is, there or not. */
  async isKept(room: string, name: string): Promise<boolean> {
    try {
      return (await this.read(nameKey(room, name))) !== undefined;
    } catch {
      return true;
    }
  }

  /** It is another server's since that revision. False if it isn't held here, or has come back. */
  drop(room: string, name: string, revision: number): boolean {
    const own = this.names.get(nameKey(room, name));
    if (own === undefined || own.revision > revision) return false;
    this.forget(own);
    return true;
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** Undefined where it is to be tried again at once. */
  private async tryClaim(claim: NameClaim, until: number): Promise<ClaimEnd | undefined> {
    if (performance.now() >= until) return undefined;
    const room = keyOf(claim.room);
    const key = nameKey(room, keyOf(claim.name));
    const own = this.names.get(key);
    if (own?.isHeld === true) {
      return isToken(own.entry, claim)
        ? { kind: 'resumed', number: own.entry.number }
        : { kind: 'refused', code: 'ERR_NAME_TAKEN' };
    }
    const there = await this.enterRoom(room, claim.roomKeyHash);
    if (there !== true) return there === false ? { kind: 'refused', code: 'ERR_ROOM_KEY' } : undefined;
    const { name, tokenHash, type } = claim;
    const { server } = this.options;
    const fresh = { name, server, tokenHash, type, listedUntil: 0 };
    const created = await this.unlessConflict((bucket) => bucket.create(key, JSON.stringify(fresh)));
    if (created !== undefined) return this.take('new', room, key, created, fresh, numberOf(created));
    const found = await this.read(key);
    if (found === undefined || !IS_NAME.Check(found.value)) return undefined;
    const { value: entry, revision } = found;
    const number = entry.number ?? numberOf(revision);
    // What was written and not heard of is this claim's own.
    if (entry.server === server && entry.tokenHash === tokenHash)
      return this.take('new', room, key, revision, fresh, number);
    if (!isToken(entry, claim)) return { kind: 'refused', code: 'ERR_NAME_TAKEN' };
    const taken = { ...entry, server, type, number, listedUntil: 0 };
    const updated = await this.unlessConflict((bucket) =>
      bucket.update(key, JSON.stringify(taken), revision),
    );
    if (updated === undefined) return undefined;
    if (entry.server !== server) this.options.onTaken(entry.server, room, keyOf(claim.name), updated);
    return this.take('resumed', room, key, updated, taken, number);
  }

  private take(
    kind: 'new' | 'resumed',
    room: string,
    key: string,
    revision: number,
    entry: NameEntry,
    number: number,
  ): ClaimEnd {
    this.names.set(key, {
      room,
      key,
      entry: { ...entry, number },
      revision,
      isHeld: false,
      isReleased: false,
      isWriting: false,
      isDirty: false,
      writtenAt: performance.now(),
    });
    return { kind, number };
  }

  /** Whether that is its key; who comes first gives it one. Undefined where it is to be tried again. */
  private async enterRoom(room: string, keyHash: string | undefined): Promise<boolean | undefined> {
    let own = this.rooms.get(room);
    if (own === undefined) {
      const key = roomKey(room);
      const found = await this.read(key);
      if (found === undefined) {
        const value = JSON.stringify({ ...(keyHash !== undefined && { keyHash }) });
        const created = await this.unlessConflict((bucket) => bucket.create(key, value));
        if (created === undefined) return undefined;
        own = { keyHash, writtenAt: performance.now() };
      } else {
        if (!IS_ROOM.Check(found.value)) return undefined;
        own = { keyHash: found.value.keyHash, writtenAt: performance.now() - REWRITE_MS };
      }
      this.rooms.set(room, own);
    }
    return isSame(own.keyHash, keyHash);
  }

  private tick(): void {
    const now = performance.now();
    const inUse = new Set<string>();
    for (const own of [...this.names.values()]) {
      if (!own.isHeld && now - own.writtenAt > UNHELD_MS) {
        this.names.delete(own.key);
        continue;
      }
      inUse.add(own.room);
      if (own.isHeld && (own.isDirty || now - own.writtenAt >= REWRITE_MS)) this.write(own);
    }
    for (const [room, own] of this.rooms) {
      if (!inUse.has(room)) this.rooms.delete(room);
      else if (now - own.writtenAt >= REWRITE_MS) {
        own.writtenAt = now;
        const value = JSON.stringify({ ...(own.keyHash !== undefined && { keyHash: own.keyHash }) });
        void this.inTurn(() => this.options.bucket.with((bucket) => bucket.put(roomKey(room), value))).catch(
          () => (own.writtenAt = now - REWRITE_MS + TICK_MS),
        );
      }
    }
  }

  /** What it fails to write is written at the next tick. */
  private write(own: OwnName): void {
    if (own.isWriting) {
      own.isDirty = true;
      return;
    }
    own.isWriting = true;
    own.isDirty = true;
    void this.inTurn(() => this.writeOnce(own))
      .catch(() => undefined)
      .then(() => {
        own.isWriting = false;
        if (own.isReleased) void this.free(own);
      });
  }

  private async writeOnce(own: OwnName): Promise<void> {
    const { key, entry } = own;
    if (own.isReleased) return;
    const value = JSON.stringify(entry);
    const written = await this.unlessConflict((bucket) => bucket.update(key, value, own.revision));
    if (written === undefined) {
      await this.reconcile(own);
      return;
    }
    own.revision = written;
    own.writtenAt = performance.now();
    own.isDirty = own.entry !== entry;
  }

  /** Somebody else has written there, or it has expired, or what was written here was not heard of. */
  private async reconcile(own: OwnName): Promise<void> {
    const found = await this.read(own.key);
    if (this.names.get(own.key) !== own) return;
    if (found === undefined) {
      const value = JSON.stringify(own.entry);
      const created = await this.unlessConflict((bucket) => bucket.create(own.key, value));
      if (created !== undefined) own.revision = created;
      return;
    }
    if (IS_NAME.Check(found.value) && found.value.server === this.options.server) {
      own.revision = found.revision;
      return;
    }
    this.forget(own);
    this.options.onUsurped(own.room, keyOf(own.entry.name));
  }

  private forget(own: OwnName): void {
    if (this.names.get(own.key) === own) this.names.delete(own.key);
  }

  private async free({ key, revision }: OwnName): Promise<void> {
    await this.unlessConflict((bucket) => bucket.delete(key, { previousSeq: revision })).catch(
      () => undefined,
    );
  }

  private async readList(room: string): Promise<readonly BrokerPeer[] | undefined> {
    try {
      return await this.options.bucket.with((bucket) => withTimeout(listNames(bucket, room)));
    } catch {
      return undefined;
    }
  }

  private async read(key: string): Promise<Read | undefined> {
    const entry = await this.options.bucket.with((bucket) => bucket.get(key));
    return entry?.operation === 'PUT' ? { revision: entry.revision, value: entry.json() } : undefined;
  }

  /** Undefined if somebody else was quicker. */
  private async unlessConflict<T>(task: (bucket: KV) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.options.bucket.with(task);
    } catch (error) {
      if (isConflict(error)) return undefined;
      throw error;
    }
  }

  /** So many at once: JetStream takes no more where all come back at the same time. */
  private async inTurn<T>(task: () => Promise<T>): Promise<T> {
    if (this.underWay >= AT_ONCE) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.underWay++;
    try {
      return await task();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.underWay--;
      else next();
    }
  }
}

async function listNames(bucket: KV, room: string): Promise<readonly BrokerPeer[]> {
  const peers: BrokerPeer[] = [];
  const now = Date.now();
  for await (const found of await bucket.history({ key: namesIn(room) })) {
    if (found.operation !== 'PUT') continue;
    const value: unknown = found.json();
    if (!IS_NAME.Check(value) || value.listedUntil <= now) continue;
    const { name, type, number = numberOf(found.revision) } = value;
    peers.push({ number, name, type });
  }
  return peers.sort((a, b) => a.number - b.number);
}

/** Rejects where there is no answer in time. */
async function withTimeout<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), LIST_TIMEOUT_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A revision is given once; a peer's number has 32 bits. */
function numberOf(revision: number): number {
  return ((revision - 1) % 0xffffffff) + 1;
}

function isToken({ tokenHash }: NameEntry, { heldTokenHash }: NameClaim): boolean {
  return heldTokenHash !== undefined && isSame(tokenHash, heldTokenHash);
}

function isSame(one: string | undefined, other: string | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));
}
