/** Asks a STUN or TURN server as its clients do, request by request, over one socket or connection. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect as connectTcp, type Socket as StreamSocket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Endpoint, familyOf } from '../../shared/endpoint.ts';
import { StreamFramer } from '../../shared/stun/framing.ts';
import {
  decodeMessage,
  encodeMessage,
  type MessageToEncode,
  type StunMessage,
  transactionIdOf,
} from '../../shared/stun/message.ts';

export const STUN_TRANSPORTS = ['udp', 'tcp', 'tls'] as const;
export type StunTransport = (typeof STUN_TRANSPORTS)[number];

export interface StunClient {
  /** The answer; undefined if none came in time, and over UDP the request was sent again meanwhile. */
  ask(request: Omit<MessageToEncode, 'transactionId'>): Promise<StunMessage | undefined>;
  close(): void;
}

/** For each request. */
const TIMEOUT_MS = 1500;
const RESEND_MS = 300;
const MAX_ANSWER_BYTES = 4096;

/** Opens nothing that fails here: what can't be reached doesn't answer. Certificates are not looked at. */
export function openStunClient(to: Endpoint, transport: StunTransport): StunClient {
  return transport === 'udp' ? overUdp(to) : overStream(to, transport);
}

/** The answer to one request. */
export async function askStun(
  to: Endpoint,
  transport: StunTransport,
  request: Omit<MessageToEncode, 'transactionId'>,
): Promise<StunMessage | undefined> {
  const client = openStunClient(to, transport);
  try {
    return await client.ask(request);
  } finally {
    client.close();
  }
}

function overUdp(to: Endpoint): StunClient {
  const socket = createSocket(familyOf(to.address) === 'ipv4' ? 'udp4' : 'udp6');
  const pending = new Pending();
  socket.on('error', () => pending.fail());
  socket.on('message', (bytes) => pending.take(bytes));
  const connected = new Promise<void>((resolve) => {
    socket.connect(to.port, to.address, (error?: Error) =>
      error === undefined ? resolve() : pending.fail(),
    );
  });
  return {
    async ask(request) {
      const bytes = encodeMessage({ ...request, transactionId: transactionIdOf(randomBytes(12)) });
      const answer = pending.await(bytes);
      const send = (): void => {
        void connected.then(() => !pending.isOver && socket.send(bytes, () => undefined));
      };
      send();
      const resend = setInterval(send, RESEND_MS);
      return answer.finally(() => clearInterval(resend));
    },
    close() {
      pending.fail();
      socket.close();
    },
  };
}

function overStream(to: Endpoint, transport: 'tcp' | 'tls'): StunClient {
  const { address: host, port } = to;
  const socket: StreamSocket =
    transport === 'tcp' ? connectTcp(port, host) : connectTls({ host, port, rejectUnauthorized: false });
  const framer = new StreamFramer(MAX_ANSWER_BYTES);
  const pending = new Pending();
  socket.on('error', () => pending.fail());
  socket.on('close', () => pending.fail());
  socket.on('data', (chunk) => {
    framer.push(chunk);
    for (let bytes = framer.next(); bytes !== undefined; bytes = framer.next()) pending.take(bytes);
    if (framer.failed !== undefined) pending.fail();
  });
  return {
    ask(request) {
      const bytes = encodeMessage({ ...request, transactionId: transactionIdOf(randomBytes(12)) });
      const answer = pending.await(bytes);
      // Kept by the socket until it is connected.
      socket.write(bytes);
      return answer;
    },
    close: () => socket.destroy(),
  };
}

/** The one request under way. */
class Pending {
  /** Nothing can be heard any more. */
  isOver = false;
  private settle: ((answer: StunMessage | undefined) => void) | undefined;
  private transactionId: string | undefined;

  await(request: Uint8Array): Promise<StunMessage | undefined> {
    const decoded = decodeMessage(request);
    this.transactionId = decoded.kind === 'message' ? decoded.message.transactionId : undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.settle?.(undefined), TIMEOUT_MS);
      this.settle = (answer) => {
        clearTimeout(timer);
        this.settle = undefined;
        resolve(answer);
      };
      if (this.isOver) this.settle(undefined);
    });
  }

  take(bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes);
    if (decoded.kind !== 'message' || decoded.message.transactionId !== this.transactionId) return;
    if (decoded.message.class === 'success' || decoded.message.class === 'error')
      this.settle?.(decoded.message);
  }

  fail(): void {
    this.isOver = true;
    this.settle?.(undefined);
  }
}
