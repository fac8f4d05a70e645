/**
 * A reliable, encrypted stream both ways through a hole. UDX carries it, from the very socket that the hole
 * was punched from, or a hole's TCP connection does, and secret-stream encrypts it for the two who have the
 * hole's key. What is added here: an agreement on the program that speaks, a bound on what waits to be read, and
 * an end that both sides know of.
 */
import { Socket as TcpSocket } from 'node:net';
import type SecretStream from '@hyperswarm/secret-stream';
import type { UDXStream } from 'udx-native';
import { type Family, familyOf } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { plainLine } from '../../shared/words.ts';
import { streamEnds } from './keys.ts';
import { loadStreamLibraries } from './load.ts';
import { isOverUdp, openRawStream, startCalling, type StreamHole, watchConnection } from './raw-stream.ts';
import { decodeRecord, encodeRecord, type Hello, type StreamRecord } from './records.ts';

export type { StreamHole } from './raw-stream.ts';

export interface StreamOptions extends Hello {
  /** Ends the wait for the other side. */
  readonly signal?: AbortSignal | undefined;
  /** How long the other side may take to be there: 15 s unless said. */
  readonly timeoutMs?: number;
}

const PLACE = 'stream';
/** The other side's hole opens within a round trip of ours; then its program has to start. */
const TIMEOUT_MS = 15_000;
/** Data that the peer's program has not yet taken: at a round trip of 100 ms enough for 640 Mbit/s. */
const WINDOW_BYTES = 8 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** The peer may still wait for an acknowledgement when all has been said. */
const LINGER_MS = 3000;
/** The datagrams of UDX are sent unfragmented, and no larger than an Ethernet carries them. */
const PACKET_BYTES = 1500;
/** Of UDP over IPv4, where no packet has to hold it as it is. */
const LONGEST_DATAGRAM = 65_507;
/** UDP, UDX, a nonce and what authenticates. */
const DATAGRAM_OVERHEAD = 8 + 20 + 8 + 16;
/** Of a channel (RFC 8656 §12.4). */
const RELAY_OVERHEAD = 4;
const IP_HEADER: Readonly<Record<Family, number>> = { ipv4: 20, ipv6: 40 };

/**
 * Opens the stream; the other side has to do the same. Throws ERR_STREAM_SILENT where it doesn't in time,
 * ERR_STREAM_PROGRAM where it runs another program, ERR_STREAM_KEY, ERR_STREAM_LOST, ERR_ABORTED.
 */
export async function openSecureStream(hole: StreamHole, options: StreamOptions): Promise<SecureStream> {
  const { udx, SecretStream } = await loadStreamLibraries();
  const { own, peer } = streamEnds(hole.key, hole.role);
  const isInitiator = hole.role === 'controlling';
  const keyPair = SecretStream.keyPair(own.seed);
  const { publicKey } = SecretStream.keyPair(peer.seed);

  const secret = new SecretStream(isInitiator, null, {
    autoStart: false,
    pattern: 'IK',
    remotePublicKey: publicKey,
  });
  const stream = new SecureStream(secret, hole, publicKey);
  const handleLoss = (reason: string): void =>
    stream.destroy(new NatprobeError('ERR_STREAM_LOST', PLACE, reason));
  const startOver = (raw: UDXStream | TcpSocket): void => {
    if (!secret.destroying) secret.start(raw, { keyPair });
  };
  const { socket } = hole;
  if (socket instanceof TcpSocket) {
    watchConnection(hole, socket, handleLoss);
    secret.once('close', () => void socket.destroy());
    startOver(socket);
    socket.resume();
  } else if (isOverUdp(hole)) {
    const raw = openRawStream(udx, hole, { own, peer }, handleLoss);
    secret.once('close', () => raw.destroy());
    if (isInitiator) {
      raw.once('message', () => startOver(raw));
    } else {
      startOver(raw);
      const stopCalling = startCalling(raw);
      secret.once('connect', stopCalling).once('close', stopCalling);
    }
  }
  await stream.greet(options);
  return stream;
}

/** Made by `openSecureStream`. To be read by one reader, in a loop over its data. */
export class SecureStream implements AsyncIterable<Uint8Array> {
  readonly #secret: SecretStream;
  readonly #hole: StreamHole;
  readonly #received: Uint8Array[] = [];
  readonly #waiting = new Set<() => void>();
  #program: string | undefined;
  #peer: Hello | undefined;
  #failure: NatprobeError | undefined;
  #connected = false;
  #closed = false;
  /** Bytes of data, counted from the first. */
  #sent = 0;
  #takenByPeer = 0;
  #heard = 0;
  #taken = 0;
  #takenTold = 0;
  #full = false;
  /** What each side has said last. */
  #ended = false;
  #peerEnded = false;
  /** The peer has all of ours. */
  #delivered = false;
  #takeDatagram: ((bytes: Uint8Array) => void) | undefined;

  constructor(secret: SecretStream, hole: StreamHole, peerKey: Buffer) {
    this.#secret = secret;
    this.#hole = hole;
    secret
      .on('connect', () => {
        this.#connected = secret.remotePublicKey?.equals(peerKey) ?? false;
        if (this.#connected) this.#notify();
        else this.destroy(new NatprobeError('ERR_STREAM_KEY', PLACE));
      })
      .on('data', (message) => this.#receive(message))
      .on('drain', () => {
        this.#full = false;
        this.#notify();
      })
      .on('message', (bytes) => this.#takeDatagram?.(bytes))
      // What happens to the stream beneath is told before: this is what can't have come from the peer.
      .on('error', (error) =>
        this.destroy(new NatprobeError('ERR_STREAM_KEY', PLACE, error.message, { cause: error })),
      )
      .on('close', () => {
        this.#closed = true;
        this.destroy(new NatprobeError('ERR_STREAM_LOST', PLACE));
      });
  }

  /** Both sides have said all, and know that the other has it. */
  get isComplete(): boolean {
    return this.#peerEnded && this.#ended && this.#delivered;
  }

  /** The largest datagram that goes through; over UDP provided that the path takes packets of 1500 bytes. */
  get longestDatagram(): number {
    if (!isOverUdp(this.#hole)) return LONGEST_DATAGRAM;
    const { remote, report } = this.#hole;
    // How a relay is spoken to, only its own side knows.
    if (report.path === 'relay') return PACKET_BYTES - IP_HEADER.ipv6 - RELAY_OVERHEAD - DATAGRAM_OVERHEAD;
    return PACKET_BYTES - IP_HEADER[familyOf(remote.address)] - DATAGRAM_OVERHEAD;
  }

  /** Says which program speaks, and waits until the peer has said the same. */
  async greet({ program, signal, timeoutMs = TIMEOUT_MS }: StreamOptions): Promise<void> {
    const abort = (): void =>
      this.destroy(new NatprobeError('ERR_ABORTED', PLACE, undefined, { cause: signal?.reason }));
    if (signal?.aborted === true) abort();
    signal?.addEventListener('abort', abort, { once: true });
    const timer = setTimeout(() => this.destroy(new NatprobeError('ERR_STREAM_SILENT', PLACE)), timeoutMs);
    try {
      this.#program = program;
      await this.#until(() => this.#connected);
      this.#say({ kind: 'hello', program });
      await this.#until(() => this.#peer !== undefined);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
    if (this.#failure === undefined) return;
    // The peer is to see as well what is the matter.
    await this.#secret.flush();
    this.#secret.destroy();
    throw this.#failure;
  }

  /** Resolves when there is room for more. Rejects with what broke the stream. */
  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += CHUNK_BYTES) {
      const bytes = data.subarray(at, at + CHUNK_BYTES);
      this.#throwIfBroken();
      await this.#until(() => !this.#full && this.#sent - this.#takenByPeer < WINDOW_BYTES);
      this.#sent += bytes.length;
      this.#say({ kind: 'data', bytes });
    }
  }

  /** Says that no more comes from here, and resolves when the peer has all of it. */
  async end(): Promise<void> {
    if (!this.#ended) {
      this.#ended = true;
      this.#say({ kind: 'end' });
    }
    await this.#until(() => this.#delivered);
  }

  /** The peer's data until its end, each piece as it was written or a part of it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      await this.#until(() => this.#received.length > 0 || this.#peerEnded);
      const bytes = this.#received.shift();
      if (bytes === undefined) return;
      yield bytes;
      this.#taken += bytes.length;
      if (this.#taken - this.#takenTold < WINDOW_BYTES / 4) continue;
      this.#takenTold = this.#taken;
      this.#say({ kind: 'taken', total: this.#taken });
    }
  }

  /** Resolves when the peer says no more, read or not. Rejects with what broke the stream. */
  whenPeerEnds(): Promise<void> {
    return this.#until(() => this.#peerEnded);
  }

  /** Resolves when both sides have ended and nobody waits for anything any more; rejects with what broke the stream. */
  async closed(): Promise<void> {
    await this.#until(() => this.isComplete);
    const timer = setTimeout(() => this.#secret.destroy(), LINGER_MS);
    await this.#until(() => this.#closed);
    clearTimeout(timer);
  }

  /**
   * One datagram beside the stream, over TCP within it: encrypted, maybe lost, overtaken or doubled. False
   * where it is too long.
   */
  sendDatagram(bytes: Uint8Array): boolean {
    if (bytes.length > this.longestDatagram) return false;
    if (this.#closed) return true;
    if (isOverUdp(this.#hole)) this.#secret.trySend(bytes);
    // What has to wait is worth no more when it arrives: as on any slow way, it is lost.
    else if (!this.#full) this.#say({ kind: 'datagram', bytes });
    return true;
  }

  onDatagram(listener: (bytes: Uint8Array) => void): void {
    this.#takeDatagram = listener;
  }

  /** Ends it at once; whoever waits gets `reason`. */
  destroy(reason: NatprobeError): void {
    if (!this.isComplete) this.#failure ??= reason;
    this.#secret.destroy();
    this.#notify();
  }

  #receive(message: Buffer): void {
    const record = decodeRecord(message);
    switch (record?.kind) {
      case 'hello':
        this.#meet(record);
        break;
      case 'data':
        this.#received.push(record.bytes);
        this.#heard += record.bytes.length;
        break;
      case 'taken':
        this.#takenByPeer = Math.max(this.#takenByPeer, Math.min(record.total, this.#sent));
        this.#delivered ||= this.#ended && record.total === this.#sent;
        this.#finish();
        break;
      case 'end':
        this.#peerEnded = true;
        this.#say({ kind: 'taken', total: this.#heard });
        this.#finish();
        break;
      case 'datagram':
        this.#takeDatagram?.(record.bytes);
        break;
      case undefined:
        // Of a version to come.
        break;
    }
    this.#notify();
  }

  #meet(peer: Hello): void {
    this.#peer ??= peer;
    if (peer.program === this.#program) return;
    const programs = `here --${this.#program ?? 'none'}, there --${plainLine(peer.program, 32)}`;
    this.#failure ??= new NatprobeError('ERR_STREAM_PROGRAM', PLACE, programs);
  }

  #say(record: StreamRecord): void {
    if (this.#closed || this.#secret.destroying) return;
    const bytes = encodeRecord(record, (length) => this.#secret.alloc(length));
    if (!this.#secret.write(bytes)) this.#full = true;
  }

  /** The last word, which tells the peer that nothing of its was lost. */
  #finish(): void {
    if (this.#peerEnded && this.#delivered) this.#secret.end();
    this.#notify();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      this.#throwIfBroken();
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #throwIfBroken(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #notify(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}
