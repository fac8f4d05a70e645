/** Who may read all reports: holders of the token, and this machine itself where no proxy can stand in front. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { isLoopback } from '../../local-addresses.ts';
import { ProblemError } from '../problem.ts';

/** An onRequest hook. Throws ERR_TOKEN. */
export type ReaderCheck = (request: FastifyRequest) => Promise<void>;

export interface ReaderOptions {
  readonly tokens: readonly string[];
  /** Set where a proxy answers for this server: then what comes from loopback may come from anywhere. */
  readonly publicUrl?: string;
  readonly isTrustedProxy?: (address: string) => boolean;
}

export function createReaderCheck({ tokens, publicUrl, isTrustedProxy }: ReaderOptions): ReaderCheck {
  const wanted = tokens.map(digest);
  const holdsToken = ({ headers }: FastifyRequest): boolean => {
    const [, token] = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '') ?? [];
    if (token === undefined) return false;
    const given = digest(token);
    // All of them are compared, whichever it is.
    return wanted.filter((item) => timingSafeEqual(item, given)).length > 0;
  };
  const isOwn = (request: FastifyRequest): boolean =>
    publicUrl === undefined && isTrustedProxy?.(remoteOf(request)) !== true && isFromThisMachine(request);
  return (request) => {
    const mayRead = holdsToken(request) || isOwn(request);
    return mayRead ? Promise.resolve() : Promise.reject(new ProblemError('ERR_TOKEN'));
  };
}

/** Of equal length whatever the text, so that comparing takes the same time. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

const PROXY_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];

/**
 * Over loopback, without a trace of a proxy, and not for a page of somebody else's: that has an origin,
 * or asks for its own name, which was made to resolve to 127.0.0.1.
 */
function isFromThisMachine(request: FastifyRequest): boolean {
  const { headers, hostname } = request;
  if (!isLoopback(remoteOf(request))) return false;
  if (headers.origin !== undefined || PROXY_HEADERS.some((name) => headers[name] !== undefined)) return false;
  return isLoopback(hostname.replace(/^\[|\]$/g, ''));
}

function remoteOf({ raw }: FastifyRequest): string {
  return (raw.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
}
