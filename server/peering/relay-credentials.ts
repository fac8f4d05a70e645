/** Names the relays to peers, with credentials that hold for a while where the relays want some. */
import { createHmac } from 'node:crypto';
import type { Relay } from '../../shared/broker/messages.ts';

/** As long as a hole that takes a relay may well be used; what the relay forwards is its own to limit. */
export const RELAY_LIFETIME_MS = 24 * 3600 * 1000;

/**
 * `user` is who the relay's log may name. With a secret the credentials are those of the TURN REST
 * scheme, which coturn's `use-auth-secret` takes: the user name is the time at which they end, and the
 * password its HMAC-SHA1.
 */
export function nameRelay(
  urls: readonly string[],
  secret: string | undefined,
  user: string,
  nowMs: number,
): Relay {
  if (secret === undefined) return { urls };
  const username = `${Math.floor((nowMs + RELAY_LIFETIME_MS) / 1000)}:${user}`;
  const credential = createHmac('sha1', secret).update(username).digest('base64');
  return { urls, username, credential, lifetimeMs: RELAY_LIFETIME_MS };
}
