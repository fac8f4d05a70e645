/**
 * Asks each endpoint of a running server, over UDP, TCP and TLS, from throwaway sockets on its primary
 * address: does it answer, and do answers to CHANGE-REQUEST come from where they should?
 */
import { randomBytes } from 'node:crypto';
import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket as StreamSocket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../shared/endpoint.ts';
import { NatprobeError } from '../shared/errors.ts';
import { SERVER_ROLES } from '../shared/role.ts';
import { CHANGE_REQUEST } from '../shared/stun/attributes/behaviour.ts';
import { SOFTWARE } from '../shared/stun/attributes/text.ts';
import { StreamFramer } from '../shared/stun/framing.ts';
import { type TransactionId, decodeMessage, encodeMessage, transactionIdOf } from '../shared/stun/message.ts';
import type { FamilyConfig } from './config.ts';

/** A loaded machine answers itself in well under this. */
const TIMEOUT_MS = 2000;
const RESEND_MS = 200;
/** As long as any answer to it: this server may send nobody more than that. */
const FILLER = SOFTWARE.of('natprobed, testing itself'.padEnd(100, '.'));
const MAX_ANSWER_BYTES = 1024;

/** One question: a request to `to`, whose answer must come from `from`. */
interface UdpCheck {
  readonly to: Endpoint;
  readonly from: Endpoint;
  readonly request: Uint8Array;
  readonly transactionId: TransactionId;
  answered: boolean;
  /** Where an answer came from that should have come from elsewhere. */
  wrongSource?: Endpoint;
}

/** Rejects with ERR_SELF_TEST, which names the first endpoint that fails, if any does. */
export async function testFamily(config: FamilyConfig): Promise<void> {
  await testUdp(config);
  await testStreams(config, 'TCP', ({ address, port }) => connect(port, address));
}

/** The same for endpoints over TLS, whoever their certificate is for. */
export function testTlsFamily(config: FamilyConfig): Promise<void> {
  return testStreams(config, 'TLS', ({ address, port }) =>
    connectTls({ host: address, port, rejectUnauthorized: false }),
  );
}

type Connect = (endpoint: Endpoint) => StreamSocket;

async function testStreams({ bound }: FamilyConfig, transport: string, open: Connect): Promise<void> {
  const endpoints = bound.filter((endpoint) => endpoint !== undefined);
  await Promise.all(endpoints.map((endpoint) => testStream(endpoint, transport, open)));
}

async function testUdp({ family, bound }: FamilyConfig): Promise<void> {
  const direct = SERVER_ROLES.flatMap((role) => {
    const endpoint = bound[role];
    return endpoint === undefined ? [] : [createCheck(endpoint, endpoint, 0)];
  });
  const [, portChanged, addressChanged, bothChanged] = bound;
  const changed =
    addressChanged === undefined || bothChanged === undefined
      ? []
      : [portChanged, addressChanged, bothChanged].map((from, index) =>
          createCheck(bound[0], from, index + 1),
        );
  const socket = createSocket(family === 'ipv4' ? 'udp4' : 'udp6');
  try {
    socket.bind(0, bound[0].address);
    await once(socket, 'listening');
    // First whether each answers at all, since the second question needs that.
    for (const checks of [direct, changed]) {
      await runChecks(socket, checks);
      for (const check of checks) reportUdp(check);
    }
  } finally {
    socket.close();
  }
}

/** `changedBits` as in a role: 1 for another port, 2 for another address. */
function createCheck(to: Endpoint, from: Endpoint, changedBits: number): UdpCheck {
  const transactionId = transactionIdOf(randomBytes(12));
  const change = { address: (changedBits & 2) !== 0, port: (changedBits & 1) !== 0 };
  const request = encodeMessage({
    class: 'request',
    transactionId,
    attributes: changedBits === 0 ? [FILLER] : [CHANGE_REQUEST.of(change), FILLER],
  });
  return { to, from, request, transactionId, answered: false };
}

/** Asks until all have been answered, or the time is up. */
async function runChecks(socket: Socket, checks: readonly UdpCheck[]): Promise<void> {
  if (checks.length === 0) return;
  const done = new AbortController();
  const onMessage = (bytes: Buffer, { address, port }: Endpoint): void => {
    const decoded = decodeMessage(bytes);
    if (decoded.kind !== 'message' || decoded.message.class !== 'success') return;
    const check = checks.find(({ transactionId }) => transactionId === decoded.message.transactionId);
    if (check === undefined) return;
    if (sameEndpoint(check.from, { address, port })) check.answered = true;
    else check.wrongSource = { address, port };
    if (checks.every(({ answered, wrongSource }) => answered || wrongSource !== undefined)) done.abort();
  };
  const ask = (): void => {
    for (const { answered, request, to } of checks) {
      // A send that the system refuses shows as no answer.
      if (!answered) socket.send(request, to.port, to.address, () => undefined);
    }
  };
  socket.on('message', onMessage);
  const resend = setInterval(ask, RESEND_MS);
  ask();
  try {
    await waitFor(done.signal, TIMEOUT_MS);
  } finally {
    clearInterval(resend);
    socket.off('message', onMessage);
  }
}

function reportUdp({ to, from, answered, wrongSource }: UdpCheck): void {
  if (answered) return;
  const how = sameEndpoint(to, from) ? '' : ` (through ${formatEndpoint(to)} with CHANGE-REQUEST)`;
  const what = wrongSource === undefined ? 'no answer' : `answered from ${formatEndpoint(wrongSource)}`;
  throw new NatprobeError('ERR_SELF_TEST', `UDP ${formatEndpoint(from)}${how}`, what);
}

async function testStream(endpoint: Endpoint, transport: string, open: Connect): Promise<void> {
  const transactionId = transactionIdOf(randomBytes(12));
  const framer = new StreamFramer(MAX_ANSWER_BYTES);
  const done = new AbortController();
  const socket = open(endpoint);
  let outcome = 'no answer';
  socket.on('connect', () =>
    socket.write(encodeMessage({ class: 'request', transactionId, attributes: [] })),
  );
  socket.on('error', (error) => {
    outcome = error.message;
    done.abort();
  });
  socket.on('data', (chunk) => {
    framer.push(chunk);
    const bytes = framer.next();
    if (bytes === undefined) return;
    const decoded = decodeMessage(bytes);
    const right = decoded.kind === 'message' && decoded.message.transactionId === transactionId;
    outcome = right ? 'answered' : 'another answer than asked for';
    done.abort();
  });
  await waitFor(done.signal, TIMEOUT_MS);
  socket.destroy();
  if (outcome !== 'answered') {
    throw new NatprobeError('ERR_SELF_TEST', `${transport} ${formatEndpoint(endpoint)}`, outcome);
  }
}

/** Resolves when `signal` is aborted, or after `timeoutMs`. */
function waitFor(signal: AbortSignal, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, timeoutMs);
    const finish = (): void => {
      clearTimeout(timer);
      resolve();
    };
    if (signal.aborted) finish();
    else signal.addEventListener('abort', finish, { once: true });
  });
}
