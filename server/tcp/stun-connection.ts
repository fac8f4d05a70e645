import type { Socket } from 'node:net';
import { StreamFramer } from '../../shared/stun/framing.ts';
import type { ConnectionLimits } from './connection-limits.ts';

/** Counts since the start. */
export interface TcpCounts {
  accepted: number;
  /** Refused, since there were too many. */
  refused: number;
  answers: number;
  /** Closed by the server: not STUN or too long, or too slow. */
  failed: number;
  timedOut: number;
  /** Errors of listening sockets, such as no file descriptors left. */
  errors: number;
}

/**
 * Answers the requests of one TCP connection, any number of them, pipelined or not: `answer` gives
 * what to send for one message, in memory of its own, nothing for no answer. The connection is closed
 * on bytes that are no STUN, and when a message, the next message, or the reading of answers takes
 * longer than the limits say; then by `reset`.
 */
export function answerConnection(
  socket: Socket,
  answer: (message: Uint8Array) => readonly Uint8Array[],
  limits: ConnectionLimits,
  counts: TcpCounts,
  reset: () => void,
): void {
  const framer = new StreamFramer(limits.messageBytes);
  // Bytes of a message that is not whole yet.
  let unfinishedBytes = 0;
  let deadline = startDeadline(limits.messageTimeoutMs);

  socket.on('data', (chunk: Buffer) => {
    const answers: Uint8Array[] = [];
    const hadUnfinished = unfinishedBytes > 0;
    let messages = 0;
    framer.push(chunk);
    unfinishedBytes += chunk.length;
    for (let message = framer.next(); message !== undefined; message = framer.next()) {
      messages++;
      unfinishedBytes -= message.length;
      const drawn = answer(message);
      if (drawn.length === 0) continue;
      answers.push(...drawn);
      counts.answers++;
    }
    const taken = answers.length === 0 || socket.write(Buffer.concat(answers));
    if (framer.failed !== undefined) {
      counts.failed++;
      // What was asked before is answered; what comes after is not read.
      socket.pause();
      socket.destroySoon();
      return;
    }
    // Until the client reads, it is not read from; the deadline goes on.
    if (!taken) socket.pause();
    if (unfinishedBytes === 0) renewDeadline(limits.idleTimeoutMs);
    else if (messages > 0 || !hadUnfinished) renewDeadline(limits.messageTimeoutMs);
  });
  socket.on('drain', () => socket.resume());
  // A reset by the client is its own affair.
  socket.on('error', () => undefined);
  socket.on('close', () => clearTimeout(deadline));

  function startDeadline(timeoutMs: number): NodeJS.Timeout {
    return setTimeout(() => {
      counts.timedOut++;
      reset();
    }, timeoutMs);
  }

  function renewDeadline(timeoutMs: number): void {
    clearTimeout(deadline);
    deadline = startDeadline(timeoutMs);
  }
}
