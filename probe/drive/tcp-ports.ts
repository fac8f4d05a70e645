/** The TCP ports that a peer is registered with at the broker: one a family, kept by a connection to the server. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { type Candidates, MAX_PRIVATE_CANDIDATES } from '../../shared/broker/messages.ts';
import { type Endpoint, type Family, formatEndpoint } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { GivenWitness } from '../../shared/report/witnesses.ts';
import { StreamFramer } from '../../shared/stun/framing.ts';
import { transactionIdOf } from '../../shared/stun/message.ts';
import { chooseFreshPort, PORT_TRIES } from '../classify/fresh-ports.ts';
import { encodeWitnessRequest, readWitness, TRANSACTION_ID_BYTES } from '../punch/witness-request.ts';
import { aborted } from './aborted.ts';
import { allWithGrace } from './grace.ts';
import { privateEndpoints } from './own-addresses.ts';
import type { Addresses } from './resolve.ts';
import { systemErrorCode, withoutZone } from './udp.ts';

export interface TcpPortsOptions {
  /** The STUN endpoint of the broker's natprobed, of each family that is to be registered. */
  readonly servers: Addresses;
  /** Of the broker's session, hexadecimal. */
  readonly nonce: string;
  /** For all families; else a fresh one for each. */
  readonly localPort?: number;
  /** For connections and witnesses. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A port that others may call, and that calls may be made from. */
export interface TcpPort {
  /** The address that the kernel sends from towards the server, never a wildcard. */
  readonly local: Endpoint;
  /** Ends the connection to the server, which keeps the port's mapping. */
  close(): void;
}

export interface TcpPorts {
  /** For a `candidates` that answers a `prepare` for TCP. */
  readonly candidates: Pick<Candidates, 'public' | 'private' | 'mapped'> & {
    readonly tcp: readonly GivenWitness[];
  };
  readonly ports: Readonly<Partial<Record<Family, TcpPort>>>;
  close(): void;
}

/** A SYN is sent again after a second (RFC 6298 §2): one may be lost. */
const TIMEOUT_MS = 3000;
/** Once one family has its witness, the other gets this much longer. */
const OTHER_FAMILY_GRACE_MS = 400;
/** A STUN answer over TCP is a few hundred bytes. */
const MAX_ANSWER_BYTES = 2048;
const TAKEN_CODES: ReadonlySet<string> = new Set(['EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES']);
const FAMILIES: readonly Family[] = ['ipv6', 'ipv4'];

/**
 * Connects to the server of each family, and has each port seen. A family without an answer is left out.
 * Rejects with ERR_UNREACHABLE if none is left, ERR_NO_WITNESS if the server doesn't witness over TCP,
 * ERR_LOCAL_PORT, ERR_ABORTED.
 */
export async function openTcpPorts(options: TcpPortsOptions): Promise<TcpPorts> {
  const end = new AbortController();
  const signal = AbortSignal.any([end.signal, ...(options.signal ? [options.signal] : [])]);
  const opening = FAMILIES.flatMap((family) => {
    const server = options.servers[family];
    return server === undefined ? [] : [openPort(family, server, { ...options, signal })];
  });
  const results = await allWithGrace(
    opening,
    ({ kind }) => kind === 'witnessed',
    () => OTHER_FAMILY_GRACE_MS,
  )
    .catch((error: unknown) => {
      for (const each of opening) each.then(closeOpening, () => undefined);
      throw error;
    })
    // Closes one that is late.
    .finally(() => end.abort());
  const opened = results.filter((result) => result?.kind === 'witnessed');
  if (opened.length > 0) return portsOf(opened);
  const place = FAMILIES.flatMap((family) => options.servers[family] ?? [])
    .map(formatEndpoint)
    .join(', ');
  if (results.some((result) => result?.kind === 'unwitnessed'))
    throw new NatprobeError('ERR_NO_WITNESS', place, 'over TCP');
  throw new NatprobeError('ERR_UNREACHABLE', place, 'no answer over TCP');
}

interface OpenedPort {
  readonly kind: 'witnessed';
  readonly family: Family;
  readonly local: Endpoint;
  readonly witness: GivenWitness;
  readonly socket: Socket;
}
type Opening = OpenedPort | { readonly kind: 'unwitnessed' | 'silent' };

function closeOpening(opening: Opening): void {
  if (opening.kind === 'witnessed') opening.socket.destroy();
}

function portsOf(opened: readonly OpenedPort[]): TcpPorts {
  const ports = opened.map(({ family, local, socket }) => [
    family,
    { local, close: () => void socket.destroy() },
  ]);
  return {
    candidates: {
      public: [],
      private: opened
        .flatMap(({ family, local }) => privateEndpoints(family, local))
        .slice(0, MAX_PRIVATE_CANDIDATES),
      mapped: [],
      tcp: opened.map(({ witness }) => witness),
    },
    ports: Object.fromEntries(ports) as TcpPorts['ports'],
    close: () => {
      for (const { socket } of opened) socket.destroy();
    },
  };
}

/** Rejects with ERR_LOCAL_PORT or ERR_ABORTED. */
async function openPort(
  family: Family,
  server: Endpoint,
  { localPort, ...options }: TcpPortsOptions & { readonly signal: AbortSignal },
): Promise<Opening> {
  for (let tries = 1; ; tries++) {
    // The system's own choice may be shared with a connection that was there before; a bound port is not.
    const port = localPort ?? chooseFreshPort('mapping', randomBytes);
    const result = await connectFrom(port, family, server, options);
    if (result.kind !== 'taken') return result;
    if (localPort !== undefined || tries === PORT_TRIES)
      throw new NatprobeError('ERR_LOCAL_PORT', `local TCP port ${port}`, result.code);
  }
}

type Attempt = Opening | { readonly kind: 'taken'; readonly code: string };

function connectFrom(
  localPort: number,
  family: Family,
  server: Endpoint,
  {
    nonce,
    timeoutMs = TIMEOUT_MS,
    signal,
  }: Pick<TcpPortsOptions, 'nonce' | 'timeoutMs'> & { readonly signal: AbortSignal },
): Promise<Attempt> {
  return new Promise((resolve, reject) => {
    const transactionId = transactionIdOf(randomBytes(TRANSACTION_ID_BYTES));
    const framer = new StreamFramer(MAX_ANSWER_BYTES);
    const socket = connect({
      host: server.address,
      port: server.port,
      localPort,
      family: family === 'ipv4' ? 4 : 6,
      noDelay: true,
    });
    const timer = setTimeout(() => end({ kind: 'silent' }), timeoutMs);
    signal.addEventListener('abort', handleAbort, { once: true });
    if (signal.aborted) handleAbort();
    socket.on('connect', () =>
      socket.write(encodeWitnessRequest(server, Buffer.from(nonce, 'hex'), transactionId)),
    );
    socket.on('data', (chunk) => {
      framer.push(chunk);
      for (let bytes = framer.next(); bytes !== undefined; bytes = framer.next()) {
        const event = readWitness(bytes, server, transactionId, performance.now());
        if (event?.kind === 'unwitnessed') end(event);
        else if (event !== undefined) {
          const local = { address: withoutZone(socket.localAddress!), port: socket.localPort! };
          end({ ...event, family, local, socket });
        }
      }
    });
    socket.on('error', (error) => {
      const code = systemErrorCode(error);
      // A server that refuses is like one that is silent: it takes no STUN over TCP.
      end(TAKEN_CODES.has(code) ? { kind: 'taken', code } : { kind: 'silent' });
    });
    socket.on('close', () => end({ kind: 'silent' }));

    function handleAbort(): void {
      end(undefined);
    }

    function end(result: Attempt | undefined): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', handleAbort);
      if (result?.kind !== 'witnessed') socket.destroy();
      if (result !== undefined) resolve(result);
      else reject(aborted('registration', signal));
    }
  });
}
