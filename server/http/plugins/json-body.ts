/** The one kind of body that is taken: JSON in UTF-8, with a limit on its nesting. */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { ProblemError } from '../problem.ts';

/** A report has nine levels; whoever walks through a body may recurse this deep. */
export const MAX_JSON_DEPTH = 32;

export function takeJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  // Refuses the keys `__proto__` and `constructor.prototype`.
  const parse = app.getDefaultJsonParser('error', 'error');
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity') {
      done(new ProblemError('ERR_MEDIA_TYPE', `it is encoded as ${encoding}`));
      return;
    }
    const fault = faultOf(body);
    if (fault !== undefined) {
      done(new ProblemError('ERR_JSON', fault));
      return;
    }
    void parse(request, body.toString('utf8'), (error, value: unknown) => {
      done(error === null ? null : new ProblemError('ERR_JSON', error.message), value);
    });
  });
}

function faultOf(body: Buffer): string | undefined {
  if (!isUtf8(body)) return 'it is not in UTF-8';
  return isDeeperThan(body, MAX_JSON_DEPTH) ? `it is nested deeper than ${MAX_JSON_DEPTH} levels` : undefined;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = [0x5b, 0x7b] as const;
const CLOSING = [0x5d, 0x7d] as const;

/** Whether arrays and objects are nested deeper, by brackets outside strings; whether it is JSON is for the parser to say. */
export function isDeeperThan(json: Uint8Array, levels: number): boolean {
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]!;
    if (byte === QUOTE) {
      for (i++; i < json.length && json[i] !== QUOTE; i++) if (json[i] === BACKSLASH) i++;
    } else if (byte === OPENING[0] || byte === OPENING[1]) {
      depth++;
      if (depth > levels) return true;
    } else if (byte === CLOSING[0] || byte === CLOSING[1]) depth--;
  }
  return false;
}
