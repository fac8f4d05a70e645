/** Rooms and the names in them: who may enter, who holds a name, who is who. Only hashes of secrets are kept. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type BrokerPeer, DEFAULT_ROOM, type Hello } from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { readName, readOwnName } from '../../shared/broker/read-name.ts';
import { Allowance } from './allowance.ts';
import type { BrokerLimits } from './limits.ts';
import type { NameClaim } from './bus/bus.ts';
import { keyOf, keyOfPeer } from './names.ts';
import { PeerSession } from './session.ts';

/** Random bytes, as many as asked for. */
export type RandomBytes = (count: number) => Uint8Array;

/**
 * For how many milliseconds a token lets that peer be in that room. Throws ERR_ROOM_TOKEN where it
 * doesn't, or there is none.
 */
export type CheckRoomToken = (token: string | undefined, room: string, name: string) => number;

export interface Room {
  readonly name: string;
  readonly keyHash: Buffer | undefined;
  readonly byName: Map<string, PeerSession>;
  readonly byNumber: Map<number, PeerSession>;
  /** Never given twice in a room: a number doesn't come to mean somebody else. */
  lastNumber: number;
}

export interface Entry {
  readonly session: PeerSession;
  readonly token: string;
  readonly resumed: boolean;
  /** Until when the peer may be there. */
  readonly admittedUntil: number;
}

type EntryOfRoom = Omit<Entry, 'admittedUntil'>;

/** An entry that waits for servers to agree on who has that name. */
export interface Wanted {
  readonly claim: NameClaim;
  readonly hello: Hello;
  /** Its own if the name is free. */
  readonly token: string;
  readonly admittedUntil: number;
}

const TOKEN_BYTES = 24;
const NONCE_BYTES = 16;

export class Rooms {
  private readonly limits: BrokerLimits;
  private readonly random: RandomBytes;
  private readonly checkToken: CheckRoomToken;
  private readonly rooms = new Map<string, Room>();

  constructor(limits: BrokerLimits, random: RandomBytes, checkToken: CheckRoomToken = () => Infinity) {
    this.limits = limits;
    this.random = random;
    this.checkToken = checkToken;
  }

  /** Throws ERR_PEER_NAME, ERR_ROOM_TOKEN, ERR_ROOM_KEY, ERR_NAME_TAKEN or ERR_BROKER_FULL; then nothing has changed. */
  enter(hello: Hello, now: number): Entry {
    const { name, roomName, admittedUntil } = this.admit(hello, now);
    return { ...this.enterRoom(roomName, name, hello, now), admittedUntil };
  }

  /** As enter, where names are shared: what isn't held here is to be claimed first. */
  want(hello: Hello, now: number): Entry | Wanted {
    const { name, roomName, admittedUntil } = this.admit(hello, now);
    const room = this.rooms.get(keyOf(roomName));
    if (room !== undefined) checkRoomKey(room, hello.roomKey);
    const holder = room?.byName.get(keyOf(name));
    if (holder !== undefined) return { ...resume(holder, hello.token), admittedUntil };
    this.checkSpace(room);
    const token = this.createToken();
    const claim = {
      room: roomName,
      name,
      type: hello.behaviours[0]!.type,
      roomKeyHash: hello.roomKey === undefined ? undefined : hash(hello.roomKey).toString('hex'),
      heldTokenHash: hello.token === undefined ? undefined : hash(hello.token).toString('hex'),
      tokenHash: hash(token).toString('hex'),
    };
    return { claim, hello, token, admittedUntil };
  }

  /** Once it is claimed under that number; `resumed` with the token that the peer had. */
  settle(
    { claim, hello, token: own, admittedUntil }: Wanted,
    number: number,
    resumed: boolean,
    now: number,
  ): Entry {
    const room = this.rooms.get(keyOf(claim.room)) ?? this.addRoom(claim.room, hello.roomKey);
    const token = resumed ? hello.token! : own;
    // Another connection of the same peer may have been quicker.
    const holder = room.byName.get(keyOf(claim.name));
    const session = holder ?? this.addSession(room, number, claim.name, token, hello, now);
    return { session, token, resumed, admittedUntil };
  }

  find(room: string, peer: string | number): PeerSession | undefined {
    const found = this.rooms.get(keyOf(room));
    return found && findPeer(found, peer);
  }

  /** Frees the name; a room that nobody is in any more is none. */
  leave({ identity: { room, name, number } }: PeerSession): void {
    room.byName.delete(keyOf(name));
    room.byNumber.delete(number);
    if (room.byName.size === 0) this.rooms.delete(keyOf(room.name));
  }

  /** Throws ERR_PEER_NAME or ERR_ROOM_TOKEN. */
  private admit(
    hello: Hello,
    now: number,
  ): { readonly name: string; readonly roomName: string; readonly admittedUntil: number } {
    const name = readOwnName(hello.name, 'name');
    const roomName = readName(hello.room ?? DEFAULT_ROOM, 'room');
    return { name, roomName, admittedUntil: now + this.checkToken(hello.roomToken, roomName, name) };
  }

  private enterRoom(roomName: string, name: string, hello: Hello, now: number): EntryOfRoom {
    const room = this.rooms.get(keyOf(roomName));
    if (room !== undefined) checkRoomKey(room, hello.roomKey);
    const holder = room?.byName.get(keyOf(name));
    if (holder !== undefined) return resume(holder, hello.token);
    this.checkSpace(room);
    const entered = room ?? this.addRoom(roomName, hello.roomKey);
    const token = this.createToken();
    const session = this.addSession(entered, entered.lastNumber + 1, name, token, hello, now);
    return { session, token, resumed: false };
  }

  /** Throws ERR_BROKER_FULL. */
  private checkSpace(room: Room | undefined): void {
    if (room === undefined && this.rooms.size >= this.limits.rooms)
      throw new NatprobeError('ERR_BROKER_FULL', 'room', `${this.limits.rooms} rooms`);
    if (room !== undefined && room.byName.size >= this.limits.peersPerRoom)
      throw new NatprobeError('ERR_BROKER_FULL', 'room', `${this.limits.peersPerRoom} peers in this room`);
  }

  private createToken(): string {
    return Buffer.from(this.random(TOKEN_BYTES)).toString('base64url');
  }

  private addRoom(name: string, key: string | undefined): Room {
    const keyHash = key === undefined ? undefined : hash(key);
    const room: Room = { name, keyHash, byName: new Map(), byNumber: new Map(), lastNumber: 0 };
    this.rooms.set(keyOf(name), room);
    return room;
  }

  private addSession(
    room: Room,
    number: number,
    name: string,
    token: string,
    hello: Hello,
    now: number,
  ): PeerSession {
    const nonce = Buffer.from(this.random(NONCE_BYTES)).toString('hex');
    room.lastNumber = Math.max(room.lastNumber, number);
    const introductions = new Allowance(this.limits.introductionsPerSecond, now);
    const identity = { room, number, name, tokenHash: hash(token), nonce, introductions };
    const session = new PeerSession(identity, hello);
    room.byName.set(keyOf(name), session);
    room.byNumber.set(number, session);
    return session;
  }
}

export function findPeer(room: Room, peer: string | number): PeerSession | undefined {
  return typeof peer === 'number' ? room.byNumber.get(peer) : room.byName.get(keyOfPeer(peer) as string);
}

/** Those that can be introduced, by number. */
export function listPeers(room: Room, now: number): BrokerPeer[] {
  return [...room.byNumber.values()]
    .filter((session) => session.connection !== undefined && session.isRegistered(now))
    .map(({ peer }) => peer);
}

function checkRoomKey({ keyHash }: Room, key: string | undefined): void {
  const isRight =
    keyHash === undefined ? key === undefined : key !== undefined && timingSafeEqual(hash(key), keyHash);
  if (!isRight) throw new NatprobeError('ERR_ROOM_KEY', 'room');
}

function resume(session: PeerSession, token: string | undefined): EntryOfRoom {
  if (token === undefined || !timingSafeEqual(hash(token), session.identity.tokenHash))
    throw new NatprobeError('ERR_NAME_TAKEN', 'name');
  return { session, token, resumed: true };
}

/** Tokens are random, so that a plain hash doesn't give them away. */
function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
