/** TCP as the inquiry's tests need it: handshakes and streams that lose, repeat and stay in order. */
import type { TimedEvent } from './event-queue.ts';
import type { Direction } from './link.ts';
import type { Network } from './network.ts';

/** RFC 6298 §2: a SYN is sent again after a second, and then after twice as long each time. */
const SYN_RETRANSMIT_MS = 1000;
/** Linux's TCP_RTO_MIN, on top of a round trip. */
const DATA_RETRANSMIT_MS = 200;
/** Linux's tcp_syn_retries (6), and the first. */
const MAX_TRANSMISSIONS = 7;

/** Sends a SYN and sends it again; `arrive` is called for each that gets there. Returns what stops it. */
export function sendSyn(network: Network, there: Direction, arrive: () => void): () => void {
  return transmit(network, there, SYN_RETRANSMIT_MS, arrive);
}

/** Sends a segment once, which may be lost. */
export function sendOnce(network: Network, there: Direction, arrive: () => void): void {
  const at = there.arrivalTime();
  if (at !== undefined) network.schedule(at, arrive);
}

/** Sends data until it has arrived; `arrive` is called once. */
export function sendSurely(network: Network, there: Direction, rttMs: number, arrive: () => void): void {
  let isThere = false;
  const stop = transmit(network, there, rttMs + DATA_RETRANSMIT_MS, () => {
    stop();
    if (isThere) return;
    isThere = true;
    arrive();
  });
}

/** One direction of a connection: whatever is lost on the way, all arrives, in order. */
export class OrderedStream {
  readonly #network: Network;
  readonly #there: Direction;
  readonly #rttMs: number;
  readonly #arrive: (bytes: Uint8Array) => void;
  readonly #early = new Map<number, Uint8Array>();
  #sent = 0;
  #next = 0;

  constructor(network: Network, there: Direction, rttMs: number, arrive: (bytes: Uint8Array) => void) {
    this.#network = network;
    this.#there = there;
    this.#rttMs = rttMs;
    this.#arrive = arrive;
  }

  write(bytes: Uint8Array): void {
    const index = this.#sent++;
    sendSurely(this.#network, this.#there, this.#rttMs, () => {
      this.#early.set(index, bytes);
      for (let next = this.#early.get(this.#next); next !== undefined; next = this.#early.get(this.#next)) {
        this.#early.delete(this.#next++);
        this.#arrive(next);
      }
    });
  }
}

function transmit(network: Network, there: Direction, retransmitMs: number, arrive: () => void): () => void {
  let timer: TimedEvent | undefined;
  const send = (transmission: number): void => {
    if (transmission > MAX_TRANSMISSIONS) return;
    timer = network.schedule(network.now + retransmitMs * 2 ** (transmission - 1), () =>
      send(transmission + 1),
    );
    sendOnce(network, there, arrive);
  };
  let isStopped = false;
  timer = network.schedule(network.now, () => {
    if (!isStopped) send(1);
  });
  return () => {
    isStopped = true;
    if (timer !== undefined) network.cancel(timer);
  };
}
