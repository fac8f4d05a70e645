/**
 * The bus between the brokers of several servers: what a broker asks of the others, and of the names
 * that they share, and what comes of it. server/nats has it over NATS; test/support in one process.
 */
import type { BrokerPeer } from '../../../shared/broker/messages.ts';
import type { Post, Seek, SeekAnswer } from './messages.ts';

/** A name that is wanted. Hashes are hexadecimal. */
export interface NameClaim {
  readonly room: string;
  readonly name: string;
  /** Of the room's key, if there is one. */
  readonly roomKeyHash: string | undefined;
  /** Of the token that the peer has for a session that is to go on. */
  readonly heldTokenHash: string | undefined;
  /** Of the token that it is given where the name is free. */
  readonly tokenHash: string;
  readonly type: BrokerPeer['type'];
}

export type ClaimEnd =
  /** Under a number that nobody in that room has had. */
  | { readonly kind: 'new'; readonly number: number }
  /** The session was at this server, or at another one, or at one that is no more. */
  | { readonly kind: 'resumed'; readonly number: number }
  | { readonly kind: 'refused'; readonly code: 'ERR_ROOM_KEY' | 'ERR_NAME_TAKEN' }
  /** Nobody can tell just now. */
  | { readonly kind: 'undecided' };

/** What the others see of a name that this server holds. */
export interface HeldName {
  readonly room: string;
  readonly name: string;
  readonly number: number;
  readonly type: BrokerPeer['type'];
  /** For how long it can be introduced, as things are. */
  readonly listedForMs: number;
}

/** Rooms and names are meant by their keys (names.ts), but in claims. */
export type BusAction =
  | { readonly kind: 'claim'; readonly request: number; readonly claim: NameClaim }
  /** After a claim, and at each change: from then on it is held until it is released, or usurped. */
  | { readonly kind: 'hold'; readonly held: HeldName }
  | { readonly kind: 'release'; readonly room: string; readonly name: string }
  | { readonly kind: 'list'; readonly request: number; readonly room: string }
  | {
      readonly kind: 'seek';
      readonly request: number;
      readonly room: string;
      readonly peer: string | number;
      readonly seek: Seek;
    }
  | { readonly kind: 'answer'; readonly reply: number; readonly answer: SeekAnswer }
  | { readonly kind: 'post'; readonly to: string; readonly post: Post }
  /** Draws `unreachable` if that server isn't. */
  | { readonly kind: 'check'; readonly server: string };

export type BusInput =
  | { readonly kind: 'claimed'; readonly request: number; readonly end: ClaimEnd }
  /** Undefined where it can't be had just now. */
  | { readonly kind: 'listed'; readonly request: number; readonly peers: readonly BrokerPeer[] | undefined }
  | { readonly kind: 'sought'; readonly request: number; readonly answer: SeekAnswer }
  /** No server has that peer; `isKept`: its name is held all the same. */
  | { readonly kind: 'not-found'; readonly request: number; readonly isKept: boolean }
  | {
      readonly kind: 'seek';
      readonly reply: number;
      readonly room: string;
      readonly peer: string | number;
      readonly seek: Seek;
    }
  | { readonly kind: 'post'; readonly post: Exclude<Post, { kind: 'moved' }> }
  /** The session goes on at another server. */
  | { readonly kind: 'usurped'; readonly room: string; readonly name: string }
  | { readonly kind: 'unreachable'; readonly server: string };

/** What carries out a broker's actions, and hands it what comes. */
export interface Bus {
  /** What this server is called among the others. */
  readonly server: string;
  /** Before anything else. */
  open(deliver: (input: BusInput) => void): void;
  perform(action: BusAction): void;
  close(): Promise<void>;
}
