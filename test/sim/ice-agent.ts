/**
 * A browser's ICE agent as far as the server's measuring meets it: it checks what it is offered, from
 * one socket a connection, and answers authenticated checks from wherever they come (RFC 8445 §7.3).
 */
import { type Endpoint, formatEndpoint, sameEndpoint } from '../../shared/endpoint.ts';
import { candidatePriority, decodeCandidate } from '../../shared/ice/candidate.ts';
import {
  decodeCheck,
  decodeCheckAnswer,
  encodeCheck,
  encodeCheckResponse,
  isAuthentic,
} from '../../shared/ice/check.ts';
import { CREDENTIAL_BYTES, type IceCredentials, iceCredentials } from '../../shared/ice/credentials.ts';
import type { IceOffer } from '../../shared/ice/sdp.ts';
import type { IceBrowserStats } from '../../shared/nat/ice-evidence.ts';
import { decodeMessage, transactionIdOf, type TransactionId } from '../../shared/stun/message.ts';
import type { Host, UdpSocket } from './host.ts';
import type { Random } from './random.ts';

/** How checks are paced: Chromium's round over all pairs, Firefox's retransmissions that double. */
export type Pacing = 'round' | 'doubling';

/** Chromium: kWeakPingInterval and, for a pair that works, kWeakOrStabilizingWritableConnectionPingInterval. */
const ROUND_MS = 48;
const WORKING_MS = 900;
/** nICEr: one new check each 20 ms, and a first retransmission after 100 ms. */
const FIRST_PACE_MS = 20;
const FIRST_RETRY_MS = 100;
/** Of two sockets of one machine; any will do that keeps them apart. */
const LOCAL_PREFERENCE = 65_000;

interface Pair {
  readonly remote: Endpoint;
  lastSentAt: number;
  sends: number;
  works: boolean;
}

export class IceAgent {
  readonly credentials: IceCredentials;
  readonly offer: IceOffer;
  readonly #host: Host;
  readonly #random: Random;
  readonly #pacing: Pacing;
  readonly #socket: UdpSocket;
  readonly #pairs: Pair[] = [];
  readonly #pending = new Map<TransactionId, Pair>();
  #remote: IceCredentials | undefined;
  #localType: IceBrowserStats['localType'];
  #checksSent = 0;
  #closed = false;

  constructor(host: Host, address: string, random: Random, pacing: Pacing) {
    this.#host = host;
    this.#random = random;
    this.#pacing = pacing;
    this.credentials = iceCredentials(random.bytes(CREDENTIAL_BYTES));
    this.offer = { credentials: this.credentials, mid: '0', bundled: true, candidates: [] };
    this.#socket = host.openSocket(
      { address, port: 0 },
      { onDatagram: (bytes, from) => this.#receive(bytes, from) },
    )!;
  }

  /** Starts checking the candidates of an answer. */
  accept(sdp: string): void {
    const attribute = (name: string): string =>
      new RegExp(`^a=${name}:(.*)$`, 'm').exec(sdp)![1]!.replace('\r', '');
    this.#remote = { ufrag: attribute('ice-ufrag'), password: attribute('ice-pwd') };
    for (const [, line] of sdp.matchAll(/^a=(candidate:.*)\r$/gm)) {
      const { address, port } = decodeCandidate(line!)!;
      this.#addPair({ address, port });
    }
    if (this.#pacing === 'round') this.#goRound();
    else
      for (const [index, pair] of this.#pairs.entries())
        this.#later(index * FIRST_PACE_MS, () => this.#retry(pair, FIRST_RETRY_MS));
  }

  /** What getStats() says. */
  stats(): IceBrowserStats {
    return {
      localCandidates: 1,
      pairs: this.#pairs.filter(({ sends }) => sends > 0).length,
      ...(this.#pacing === 'round' && { checksSent: this.#checksSent }),
      ...(this.#localType && { localType: this.#localType }),
    };
  }

  close(): void {
    this.#closed = true;
    this.#socket.close();
  }

  #addPair(remote: Endpoint): Pair {
    const pair: Pair = { remote, lastSentAt: -Infinity, sends: 0, works: false };
    this.#pairs.push(pair);
    return pair;
  }

  /** The pair that waits the longest, every 48 ms; one that works is left alone for a while. */
  #goRound(): void {
    const { now } = this.#host.network;
    const waiting = this.#pairs
      .filter(({ works, lastSentAt }) => !works || now >= lastSentAt + WORKING_MS)
      .sort((a, b) => a.lastSentAt - b.lastSentAt);
    if (waiting[0] !== undefined) this.#check(waiting[0]);
    this.#later(ROUND_MS, () => this.#goRound());
  }

  #retry(pair: Pair, afterMs: number): void {
    if (pair.works) return;
    this.#check(pair);
    if (pair.sends < 7) this.#later(afterMs, () => this.#retry(pair, 2 * afterMs));
  }

  #later(ms: number, run: () => void): void {
    this.#host.network.schedule(this.#host.network.now + ms, () => {
      if (!this.#closed) run();
    });
  }

  #check(pair: Pair): void {
    const remote = this.#remote!;
    const transactionId = transactionIdOf(this.#random.bytes(12));
    this.#pending.set(transactionId, pair);
    pair.lastSentAt = this.#host.network.now;
    pair.sends++;
    this.#checksSent++;
    const bytes = encodeCheck(
      {
        transactionId,
        receiverUfrag: remote.ufrag,
        senderUfrag: this.credentials.ufrag,
        priority: candidatePriority('prflx', LOCAL_PREFERENCE),
        role: { kind: 'controlling', tieBreaker: 1n },
        nominates: false,
      },
      remote.password,
    );
    this.#socket.send(pair.remote, bytes);
  }

  #receive(bytes: Uint8Array, from: Endpoint): void {
    const decoded = decodeMessage(bytes);
    if (decoded.kind !== 'message' || this.#closed) return;
    const check = decodeCheck(decoded.message);
    if (check !== undefined) {
      if (check.receiverUfrag !== this.credentials.ufrag) return;
      if (!isAuthentic(decoded.message, this.credentials.password)) return;
      const response = encodeCheckResponse(check.transactionId, from, this.credentials.password);
      this.#socket.send(from, response);
      if (!this.#pairs.some(({ remote }) => sameEndpoint(remote, from))) this.#addPair(from);
      return;
    }
    const answer = decodeCheckAnswer(decoded.message);
    const pair = answer && this.#pending.get(answer.transactionId);
    if (answer?.kind !== 'success' || pair === undefined) return;
    if (!isAuthentic(decoded.message, this.#remote!.password)) return;
    pair.works = true;
    const isLocal = formatEndpoint(answer.mapped) === formatEndpoint(this.#socket.local);
    this.#localType ??= isLocal ? 'host' : 'prflx';
  }
}
