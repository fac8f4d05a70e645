/** Whatever goes wrong, the client gets a problem document. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { NatprobeError } from '../../../shared/errors.ts';
import {
  type Problem,
  PROBLEM_CONTENT_TYPE,
  problem,
  type ProblemCode,
  ProblemError,
  problemOfError,
} from '../problem.ts';
import { renderProblemPage } from '../pages/problem-page.ts';
import { prefersPage, sendPage, webAssets } from '../send-page.ts';

/** Errors of the client's that Fastify finds itself. */
const FASTIFY_CODES: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'ERR_BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'ERR_MEDIA_TYPE',
};

/** A database that was restarted is back by then. */
const RETRY_AFTER_SECONDS = 5;

/** Answers errors and unknown paths; `onError` is told of errors that are not the client's. */
export function answerWithProblems(app: FastifyInstance, onError?: (error: Error) => void): void {
  const routes = rememberRoutes(app);
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0]!;
    const allowed = routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method);
    if (allowed.length === 0) return send(reply, problem('ERR_NOT_FOUND', `${request.method} ${path}`));
    void reply.header('allow', [...new Set(allowed)].join(', '));
    return send(reply, problem('ERR_METHOD', `${request.method} ${path}`));
  });
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const answer = problemOf(error);
    // An error of HTTP's own has done its work; the rest is the operator's to know.
    if (answer.status >= 500 && !(error instanceof ProblemError)) onError?.(error);
    if (answer.status === 503) void reply.header('retry-after', RETRY_AFTER_SECONDS);
    if (answer.code === 'ERR_TOKEN') void reply.header('www-authenticate', 'Bearer');
    if (error.statusCode === 413) closeAfter(request, reply);
    return send(reply, answer);
  });
}

/** For `frameworkErrors`: requests that don't reach a route, such as those with a path that is no text. */
export function answerFrameworkError(
  error: FastifyError,
  _request: FastifyRequest,
  reply: FastifyReply,
): void {
  void send(reply, problemOf(error));
}

/** For `clientErrorHandler`: bytes that are no HTTP, headers that are too long, a request that doesn't end. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (socket.writable) {
    const status = CLIENT_ERROR_STATUS[error.code ?? ''] ?? 400;
    const body = JSON.stringify(problem('ERR_REQUEST', STATUS_CODES[status], { status }));
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]!}\r\nConnection: close\r\n` +
        `Content-Type: ${PROBLEM_CONTENT_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }
  socket.destroySoon();
}

const CLIENT_ERROR_STATUS: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
};

function problemOf(error: FastifyError): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof NatprobeError) return problemOfError(error) ?? problem('ERR_INTERNAL');
  const code = FASTIFY_CODES[error.code];
  if (code !== undefined) return problem(code);
  const status = error.statusCode ?? 500;
  // What went wrong inside is nobody else's business.
  return status >= 500 ? problem('ERR_INTERNAL') : problem('ERR_REQUEST', error.message, { status });
}

async function send(reply: FastifyReply, answer: Problem): Promise<FastifyReply> {
  void reply.code(answer.status).header('cache-control', 'no-store');
  const { request } = reply;
  if (request.method === 'GET' && prefersPage(request)) {
    // Without its style a page can't be had: then the document has to do.
    const assets = await webAssets().catch(() => undefined);
    if (assets !== undefined) return sendPage(reply, renderProblemPage(answer, assets));
  }
  return reply.type(PROBLEM_CONTENT_TYPE).send(answer);
}

/** The rest of a body that is not wanted isn't read: the connection ends with the answer. */
function closeAfter(request: FastifyRequest, reply: FastifyReply): void {
  void reply.header('connection', 'close');
  request.raw.resume();
}

interface Route {
  readonly method: string;
  readonly pattern: RegExp;
}

/** The routes as they are added, to tell a wrong method from a wrong path. */
function rememberRoutes(app: FastifyInstance): readonly Route[] {
  const routes: Route[] = [];
  app.addHook('onRoute', ({ method, url }) => {
    // Of CORS, which answers OPTIONS anywhere.
    if (url === '*') return;
    const pattern = new RegExp(`^${url.replace(/:[a-z]+/g, '[^/]+').replace('*', '.*')}$`);
    for (const name of [method].flat()) routes.push({ method: name, pattern });
  });
  return routes;
}
