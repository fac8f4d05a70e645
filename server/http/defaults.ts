/** What --help says and settings.ts reads; by itself, so that --help loads nothing more. */

/**
 * Requests a minute from one client: those that have the server judge or measure, tens of milliseconds of a core
 * each, and the rest.
 */
export const DEFAULT_POST_RATE = 60;
export const DEFAULT_READ_RATE = 600;

/** What the log keeps of client addresses: all, /24 and /48, or nothing. */
export const LOGGED_ADDRESSES = ['full', 'prefix', 'none'] as const;
export type LoggedAddresses = (typeof LOGGED_ADDRESSES)[number];
export const DEFAULT_LOGGED_ADDRESSES: LoggedAddresses = 'prefix';
