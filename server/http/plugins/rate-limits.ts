/** How often a client may ask, and its network. */
import type { FastifyInstance } from 'fastify';
import { isLoopback } from '../../local-addresses.ts';
import { clientAddress, networkOf, type PrefixLengths } from '../client-address.ts';
import { ProblemError } from '../problem.ts';
import { RateLimiter } from '../rate-limiter.ts';
import type { RateLimits } from '../settings.ts';

/** Clients, and networks, that are remembered for each kind of request: some megabytes in all. */
const MAX_REMEMBERED = 20_000;

/** What one customer gets (RFC 6177 §2), and what many of one operator's share. */
const CLIENT: PrefixLengths = { ipv4: 32, ipv6: 56 };
const NETWORK: PrefixLengths = { ipv4: 24, ipv6: 48 };
/** So that one client doesn't use up its network's. */
const NETWORK_FACTOR = 8;

/** Whose limit was met. */
export type LimitScope = 'client' | 'network';

export interface RateLimitOptions {
  readonly limits: RateLimits;
  readonly countLimited: (scope: LimitScope) => void;
}

/** To be called before the routes are added; loopback is not limited. They then throw ERR_TOO_MANY_REQUESTS. */
export function limitRates(app: FastifyInstance, { limits, countLimited }: RateLimitOptions): void {
  const posts = createLimiters(limits.post);
  const reads = createLimiters(limits.read);
  app.addHook('onRequest', (request, reply, done) => {
    const address = clientAddress(request);
    if (isLoopback(address)) {
      done();
      return;
    }
    const now = performance.now();
    for (const { scope, lengths, limiter } of request.method === 'POST' ? posts : reads) {
      const waitMs = limiter.take(networkOf(address, lengths), now);
      if (waitMs === 0) continue;
      countLimited(scope);
      void reply.header('retry-after', Math.ceil(waitMs / 1000));
      done(new ProblemError('ERR_TOO_MANY_REQUESTS'));
      return;
    }
    done();
  });
}

interface ScopedLimiter {
  readonly scope: LimitScope;
  readonly lengths: PrefixLengths;
  readonly limiter: RateLimiter;
}

function createLimiters(perMinute: number): ScopedLimiter[] {
  return [
    { scope: 'client', lengths: CLIENT, limiter: new RateLimiter(perMinute, MAX_REMEMBERED) },
    {
      scope: 'network',
      lengths: NETWORK,
      limiter: new RateLimiter(perMinute * NETWORK_FACTOR, MAX_REMEMBERED),
    },
  ];
}
