/**
 * Two hosts with one address each as one server with two: finds the other host of the pair's name, knows
 * within LOST_AFTER_MS when it is gone, has it send what is to come from its address, and sends what it
 * asks for. Both are alike; each has the other for its other address. Pure.
 *
 * A host counts as there while it echoes hellos of this one that are young. So neither clocks are
 * compared nor does a recording of what it once said bring it back.
 */
import { canonicalAddress, type Endpoint, type Family, familyOf } from '../../shared/endpoint.ts';
import type { Machine } from '../../shared/machine.ts';
import type { PartnerEndpoints, PartnerPort, RelayedAnswer } from '../answer/relayed-answer.ts';
import { type Hello, type Outcome, PAIR_PROTOCOL, type PairMessage, type Relay } from './messages.ts';
import { type PendingRelay, PendingRelays } from './pending-relays.ts';

/** Between two hellos. */
export const BEAT_MS = 500;
/** Two hellos or their echoes may be lost; the third has to come back in a quarter of a second. */
export const LOST_AFTER_MS = 1750;
/** Other hosts of the name that are remembered. More than one is a mistake already. */
const MOST_HOSTS = 8;

export type PairInput =
  /** One whose signature is good. */
  | { readonly kind: 'message'; readonly message: PairMessage }
  /** An answer for the partner to send. */
  | { readonly kind: 'relay'; readonly answer: RelayedAnswer }
  /** What has become of a `send`. */
  | { readonly kind: 'done'; readonly to: string; readonly number: number; readonly outcome: Outcome }
  /** This host stops. */
  | { readonly kind: 'stop' };

export type PairAction =
  | { readonly kind: 'publish'; readonly message: PairMessage }
  /** For the partner: report `done` with `to` and `number`. */
  | {
      readonly kind: 'send';
      readonly to: string;
      readonly number: number;
      readonly family: Family;
      readonly port: PartnerPort;
      readonly target: Endpoint;
      readonly bytes: Uint8Array;
    }
  /** The partner has sent the response, so much after it was asked to: the receipt is to leave now. */
  | { readonly kind: 'sent'; readonly answer: RelayedAnswer; readonly delayMs: number }
  /** As far as is known nobody has sent the response. */
  | { readonly kind: 'refuse'; readonly answer: RelayedAnswer };

export type PairEvent =
  | { readonly kind: 'found'; readonly partner: PartnerEndpoints }
  /** It answers no more, said that it stops, or hears this host no more. */
  | { readonly kind: 'lost'; readonly why: 'silent' | 'stopped' | 'deaf' }
  /** A host of that name which cannot be the partner. */
  | { readonly kind: 'misfit'; readonly why: Misfit };

/** `third`: the pair is complete without it. */
export type Misfit = 'protocol' | 'same-address' | 'other-ports' | 'no-common-family' | 'third';

/** Since the start. */
export interface PairCounts {
  /** What the partner was asked to send, by what is known of it. */
  readonly asked: Record<Outcome | 'unacknowledged' | 'refused', number>;
  /** What it has asked for. */
  readonly served: Record<Outcome, number>;
}

interface OtherHost {
  hello: Hello;
  /** What both serve, as it is advertised there. */
  readonly endpoints: PartnerEndpoints;
  /** When the youngest hello was sent that it has echoed; -Infinity before. */
  echoedAt: number;
  /** By when it was heard itself. */
  heardAt: number;
  /** Of its `relay`s, the last that was heeded. */
  lastNumber: number;
}

export class Pair implements Machine<PairInput, PairAction, PairEvent> {
  readonly counts: PairCounts = {
    asked: { sent: 0, failed: 0, limited: 0, unacknowledged: 0, refused: 0 },
    served: { sent: 0, failed: 0, limited: 0 },
  };
  /** From a hello to its echo, of the partner's last one. */
  roundTripMs: number | undefined;

  private readonly id: string;
  private readonly endpoints: PartnerEndpoints;
  private readonly hosts = new Map<string, OtherHost>();
  /** When hellos were sent whose echo would show a host alive. */
  private readonly beats = new Map<number, number>();
  private readonly pending = new PendingRelays();
  private readonly actions: PairAction[] = [];
  private readonly events: PairEvent[] = [];
  private readonly misfits = new Set<string>();
  private beat = 0;
  private nextBeatAt: number;
  /** Whom this host takes for its partner; it is one once it says the same of this one. */
  private chosen: string | undefined;
  private isPaired = false;

  /** `id` is 128 random bits in hexadecimal, `endpoints` what this host advertises. */
  constructor(id: string, endpoints: PartnerEndpoints, now: number) {
    this.id = id;
    this.endpoints = endpoints;
    this.nextBeatAt = now;
  }

  /** What the partner serves, while there is one. */
  get partner(): PartnerEndpoints | undefined {
    return this.isPaired ? this.hosts.get(this.chosen!)!.endpoints : undefined;
  }

  handleInput(input: PairInput, now: number): void {
    switch (input.kind) {
      case 'message':
        this.handleMessage(input.message, now);
        return;
      case 'relay':
        this.relay(input.answer, now);
        return;
      case 'done':
        this.counts.served[input.outcome]++;
        this.publish({
          kind: 'done',
          from: this.id,
          to: input.to,
          number: input.number,
          outcome: input.outcome,
        });
        return;
      case 'stop':
        this.nextBeatAt = Infinity;
        this.publish({ kind: 'bye', from: this.id });
    }
  }

  handleTimeout(now: number): void {
    this.giveUp(this.pending.takeExpired(now));
    for (const [id, host] of this.hosts) if (now >= forgetAt(host)) this.hosts.delete(id);
    this.choose(now);
    if (now >= this.nextBeatAt) this.sayHello(now);
  }

  pollAction(): PairAction | undefined {
    return this.actions.shift();
  }

  pollEvent(): PairEvent | undefined {
    return this.events.shift();
  }

  pollTimeout(): number | undefined {
    const losses = [...this.hosts.values()].map(forgetAt);
    const chosen = this.chosen === undefined ? undefined : this.hosts.get(this.chosen);
    if (chosen !== undefined) losses.push(chosen.echoedAt + LOST_AFTER_MS);
    const due = Math.min(this.nextBeatAt, this.pending.nextExpiry() ?? Infinity, ...losses);
    return due === Infinity ? undefined : due;
  }

  private handleMessage(message: PairMessage, now: number): void {
    if (message.from === this.id || ('to' in message && message.to !== this.id)) return;
    switch (message.kind) {
      case 'hello':
        this.handleHello(message, now);
        return;
      case 'echo':
        this.handleEcho(message.from, message.beat, now);
        return;
      case 'relay':
        this.serve(message, now);
        return;
      case 'done':
        this.handleDone(message.from, message.number, message.outcome, now);
        return;
      case 'bye':
        if (!this.hosts.delete(message.from)) return;
        this.choose(now, true);
    }
  }

  private handleHello(hello: Hello, now: number): void {
    const known = this.hosts.get(hello.from);
    if (known !== undefined) {
      // A recording of an earlier one says nothing.
      if (hello.beat <= known.hello.beat) return;
      known.hello = hello;
      known.heardAt = now;
    } else {
      const endpoints = this.commonEndpoints(hello);
      if (typeof endpoints === 'string') {
        this.tellMisfit(hello.from, endpoints);
        return;
      }
      if (this.hosts.size >= MOST_HOSTS) return;
      this.hosts.set(hello.from, { hello, endpoints, echoedAt: -Infinity, heardAt: now, lastNumber: -1 });
      // Whoever is new need not wait for the next beat.
      this.sayHello(now);
    }
    this.publish({ kind: 'echo', from: this.id, to: hello.from, beat: hello.beat });
    this.choose(now);
  }

  private handleEcho(from: string, beat: number, now: number): void {
    const host = this.hosts.get(from);
    const saidAt = this.beats.get(beat);
    if (host === undefined || saidAt === undefined || saidAt <= host.echoedAt) return;
    host.echoedAt = saidAt;
    if (from === this.chosen) this.roundTripMs = now - saidAt;
    this.choose(now);
  }

  /** The endpoints of families that both serve, by hosts that fit together; or why they don't. */
  private commonEndpoints({ protocol, endpoints }: Hello): PartnerEndpoints | Misfit {
    if (protocol !== PAIR_PROTOCOL) return 'protocol';
    const common: { -readonly [F in Family]?: readonly [Endpoint, Endpoint] } = {};
    for (const family of ['ipv4', 'ipv6'] as const) {
      const own = this.endpoints[family];
      const theirs = endpoints[family];
      if (own === undefined || theirs === undefined) continue;
      for (const [index, { address, port }] of theirs.entries()) {
        if (canonicalAddress(address) !== address || familyOf(address) !== family) return 'protocol';
        if (address === own[index]!.address) return 'same-address';
        // RFC 5780 §6: two addresses and two ports, in all combinations.
        if (port !== own[index]!.port) return 'other-ports';
      }
      common[family] = theirs;
    }
    return Object.keys(common).length === 0 ? 'no-common-family' : common;
  }

  /** Keeps the partner while it is one, else takes the first by address that is free; then says so. */
  private choose(now: number, isStopped = false): void {
    const before = this.chosen;
    const wasPaired = this.isPaired;
    const current = before === undefined ? undefined : this.hosts.get(before);
    const eligible = [...this.hosts].filter(([, host]) => this.isEligible(host, now));
    eligible.sort(([, a], [, b]) => (addressesOf(a) < addressesOf(b) ? -1 : 1));
    // Where a later process has the partner's addresses, the partner has ended.
    const successor = eligible.find(
      ([, host]) =>
        current !== undefined &&
        host.heardAt > current.heardAt + BEAT_MS &&
        addressesOf(host) === addressesOf(current),
    );
    if (successor !== undefined) this.chosen = successor[0];
    else if (!eligible.some(([id]) => id === before)) this.chosen = eligible[0]?.[0];
    const chosen = this.chosen === undefined ? undefined : this.hosts.get(this.chosen)!;
    this.isPaired = chosen?.hello.partner === this.id;
    const hasChanged = this.chosen !== before;
    if (wasPaired && (hasChanged || !this.isPaired)) {
      const isSilent = current === undefined || now >= current.echoedAt + LOST_AFTER_MS;
      this.events.push({ kind: 'lost', why: isStopped ? 'stopped' : isSilent ? 'silent' : 'deaf' });
      this.giveUp(this.pending.takeAll());
      this.roundTripMs = undefined;
    }
    if (this.isPaired && (hasChanged || !wasPaired))
      this.events.push({ kind: 'found', partner: chosen!.endpoints });
    if (hasChanged) this.sayHello(now);
    if (this.isPaired) this.tellThirds(now);
  }

  /** Whether it answers this host, and is nobody else's. */
  private isEligible({ hello, echoedAt }: OtherHost, now: number): boolean {
    return now < echoedAt + LOST_AFTER_MS && (hello.partner === undefined || hello.partner === this.id);
  }

  private tellThirds(now: number): void {
    const partnerAddresses = addressesOf(this.hosts.get(this.chosen!)!);
    for (const [id, host] of this.hosts) {
      const isThere = now < host.echoedAt + LOST_AFTER_MS;
      if (isThere && addressesOf(host) !== partnerAddresses) this.tellMisfit(id, 'third');
    }
  }

  private tellMisfit(id: string, why: Misfit): void {
    if (this.misfits.has(id)) return;
    if (this.misfits.size >= MOST_HOSTS) this.misfits.clear();
    this.misfits.add(id);
    this.events.push({ kind: 'misfit', why });
  }

  private sayHello(now: number): void {
    for (const [beat, at] of this.beats) if (now >= at + LOST_AFTER_MS) this.beats.delete(beat);
    this.beats.set(++this.beat, now);
    this.nextBeatAt = now + BEAT_MS;
    this.publish({
      kind: 'hello',
      from: this.id,
      protocol: PAIR_PROTOCOL,
      beat: this.beat,
      endpoints: this.endpoints as Hello['endpoints'],
      ...(this.chosen !== undefined && { partner: this.chosen }),
    });
  }

  private relay(answer: RelayedAnswer, now: number): void {
    const number =
      this.partner?.[answer.family] === undefined ? undefined : this.pending.add(this.chosen!, answer, now);
    if (number === undefined) {
      this.counts.asked.refused++;
      this.actions.push({ kind: 'refuse', answer });
      return;
    }
    this.publish({
      kind: 'relay',
      from: this.id,
      to: this.chosen!,
      beat: this.hosts.get(this.chosen!)!.hello.beat,
      number,
      family: answer.family,
      port: answer.port,
      target: answer.to,
      bytes: Buffer.from(answer.response).toString('base64'),
    });
  }

  /** Only for the partner, only what it has asked for just now, and each of it once. */
  private serve({ from, beat, number, family, port, target, bytes }: Relay, now: number): void {
    if (!this.isPaired || from !== this.chosen) return;
    const host = this.hosts.get(from)!;
    const saidAt = this.beats.get(beat);
    if (saidAt === undefined || now >= saidAt + LOST_AFTER_MS || number <= host.lastNumber) return;
    host.lastNumber = number;
    if (canonicalAddress(target.address) !== target.address || familyOf(target.address) !== family) return;
    this.actions.push({
      kind: 'send',
      to: from,
      number,
      family,
      port,
      target,
      bytes: Buffer.from(bytes, 'base64'),
    });
  }

  private handleDone(from: string, number: number, outcome: Outcome, now: number): void {
    const relayed = this.pending.take(from, number);
    if (relayed === undefined) return;
    const { answer, askedAt } = relayed;
    this.counts.asked[outcome]++;
    if (outcome === 'sent') this.actions.push({ kind: 'sent', answer, delayMs: Math.ceil(now - askedAt) });
    // Whom this host would not answer either gets nothing.
    else if (outcome === 'failed') this.actions.push({ kind: 'refuse', answer });
  }

  private giveUp(relays: readonly PendingRelay[]): void {
    for (const { answer } of relays) {
      this.counts.asked.unacknowledged++;
      this.actions.push({ kind: 'refuse', answer });
    }
  }

  private publish(message: PairMessage): void {
    this.actions.push({ kind: 'publish', message });
  }
}

/** A host that is as good as gone; it is known anew if it comes back. */
function forgetAt({ heardAt }: OtherHost): number {
  return heardAt + 2 * LOST_AFTER_MS;
}

function addressesOf({ endpoints }: OtherHost): string {
  return [endpoints.ipv4, endpoints.ipv6].map((pair) => pair?.[0].address ?? '').join(' ');
}
