/** Who may read all reports: holders of the token, and this machine itself where no proxy can stand in front. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { isLoopback } from '../../local-addresses.ts';
import { ProblemError } from '../problem.ts';

/** An onRequest hook. Throws ERR_TOKEN. */
export type ReaderCheck = (request: FastifyRequest) => Promise<void>;

export interface ReaderOptions {
  readonly readToken?: string;
  /** Set where a proxy answers for this server: then what comes from loopback may come from anywhere. */
  readonly publicUrl?: string;
}

export function createReaderCheck({ readToken, publicUrl }: ReaderOptions): ReaderCheck {
  const wanted = readToken === undefined ? undefined : digest(`Bearer ${readToken}`);
  return (request) => {
    const given = request.headers.authorization;
    const holdsToken = wanted !== undefined && given !== undefined && timingSafeEqual(digest(given), wanted);
    const mayRead = holdsToken || (publicUrl === undefined && isFromThisMachine(request));
    return mayRead ? Promise.resolve() : Promise.reject(new ProblemError('ERR_TOKEN'));
  };
}

/** Of equal length whatever the text, so that comparing takes the same time. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];

/**
 * Over loopback, without a trace of a proxy, and asked for by a loopback name: a page of somebody
 * else's, whose name was made to resolve to 127.0.0.1, asks for its own.
 */
function isFromThisMachine({ raw, headers, hostname }: FastifyRequest): boolean {
  const { remoteAddress = '' } = raw.socket;
  if (!isLoopback(remoteAddress.replace(/^::ffff:/, ''))) return false;
  if (PROXY_HEADERS.some((name) => headers[name] !== undefined)) return false;
  return isLoopback(hostname.replace(/^\[|\]$/g, ''));
}
