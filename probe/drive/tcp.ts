import { connect } from 'node:net';
import { familyOf, type Endpoint } from '../../shared/endpoint.ts';
import { StreamFramer } from '../../shared/stun/framing.ts';
import { systemErrorCode } from './udp.ts';

export type TcpFailure = 'refused' | 'unreachable' | 'closed';

export interface TcpHandlers {
  onConnected(): void;
  /** The first STUN response to the request. */
  onAnswered(message: Uint8Array): void;
  onFailed(reason: TcpFailure): void;
}

/** A STUN answer over TCP is a few hundred bytes; whoever sends more isn't answering. */
const MAX_ANSWER_BYTES = 2048;

/** A STUN header's magic cookie and transaction id: what a response repeats (RFC 8489 §5). */
const REPEATED_START = 4;
const REPEATED_END = 20;

/**
 * Connects to a literal address, writes one STUN request, waits for the response, closes.
 * Returns a function that gives up; nothing is reported after it.
 */
export function connectTcp(to: Endpoint, request: Uint8Array, handlers: TcpHandlers): () => void {
  const framer = new StreamFramer(MAX_ANSWER_BYTES);
  let isConnected = false;
  let over = false;
  const socket = connect({
    host: to.address,
    port: to.port,
    family: familyOf(to.address) === 'ipv4' ? 4 : 6,
    noDelay: true,
  });

  function finish(report?: () => void): void {
    if (over) return;
    over = true;
    socket.destroy();
    report?.();
  }

  socket.on('connect', () => {
    isConnected = true;
    socket.write(request);
    handlers.onConnected();
  });
  socket.on('data', (chunk) => {
    framer.push(chunk);
    for (let message = framer.next(); message !== undefined; message = framer.next()) {
      if (answers(message, request)) {
        const answer = message.slice();
        finish(() => handlers.onAnswered(answer));
        return;
      }
    }
    if (framer.failed !== undefined) finish(() => handlers.onFailed('closed'));
  });
  socket.on('error', (error) => finish(() => handlers.onFailed(failureOf(error, isConnected))));
  socket.on('close', () => finish(() => handlers.onFailed('closed')));

  return () => finish();
}

function answers(message: Uint8Array, request: Uint8Array): boolean {
  // The class bit 0x0100 tells responses from requests and indications (RFC 8489 §5).
  if ((message[0]! & 0x01) === 0) return false;
  const theirs = message.subarray(REPEATED_START, REPEATED_END);
  return Buffer.compare(theirs, request.subarray(REPEATED_START, REPEATED_END)) === 0;
}

function failureOf(error: Error, wasConnected: boolean): TcpFailure {
  if (wasConnected) return 'closed';
  const code = systemErrorCode(error);
  // A reset shows that the server's host is there.
  return code === 'ECONNREFUSED' || code === 'ECONNRESET' ? 'refused' : 'unreachable';
}
