/** The broker's machine under virtual time, with real witnesses, and peers that speak to it. */
import { createHash } from 'node:crypto';
import type { BrokerBehaviour } from '../../shared/broker/behaviour.ts';
import {
  BROKER_SCHEMA,
  type Candidates,
  type ClientMessage,
  type Hello,
  type ServerMessage,
} from '../../shared/broker/messages.ts';
import { parseIpAddress } from '../../shared/address.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import type { GivenWitness } from '../../shared/report/witnesses.ts';
import type { WitnessPurpose } from '../../shared/stun/attributes/natprobe.ts';
import type { BusAction, BusInput } from '../../server/broker/bus/bus.ts';
import type { PeerAction } from '../../server/broker/io.ts';
import { Rendezvous, type RendezvousEvent, type RendezvousOptions } from '../../server/broker/rendezvous.ts';
import { checkBrokerWitness } from '../../server/witness/check-witnesses.ts';
import { type WitnessKey, WitnessKeys, witnessKeyOf } from '../../server/witness/witness-keys.ts';
import { witnessMac } from '../../server/witness/witness-mac.ts';

export const STUN: Endpoint = { address: '192.0.2.1', port: 3478 };
export const BROKER_KEY = witnessKeyOf(new Uint8Array(32).fill(7));
/** Of some other server. */
export const OTHER_KEY = witnessKeyOf(new Uint8Array(32).fill(8));
/** When the machine's clock is 0. */
const EPOCH_MS = Date.UTC(2026, 0, 1);

export const PORT_RESTRICTED: BrokerBehaviour = {
  family: 'ipv4',
  type: 'port-restricted-cone',
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  confidence: 1,
  unsolicited: 'dropped',
  hairpin: 'unknown',
};

/** Of the peer of that number among many, each seen at an address of its own. */
export function candidatesOfPeer(
  index: number,
  nonce: string,
  key: WitnessKey,
  introduction?: number,
): Candidates {
  const mapped: Endpoint = { address: `198.18.${index >> 8}.${index & 255}`, port: 40_000 };
  return {
    kind: 'candidates',
    public: [witnessOf(nonce, mapped, Date.now(), { key })],
    private: [{ address: '192.168.1.7', port: 40_000 }],
    mapped: [],
    ...(introduction !== undefined && { introduction }),
  };
}

export function openedAtOnce(introduction: number): ClientMessage {
  return {
    kind: 'outcome',
    introduction,
    outcome: 'open',
    strategy: 'plain',
    path: 'direct',
    packets: 3,
    timeMs: 80,
  };
}

export function helloOf(name: string, more: Partial<Hello> = {}): Hello {
  return {
    kind: 'hello',
    schema: BROKER_SCHEMA,
    name,
    publicKey: createHash('sha256').update(name).digest('base64url'),
    consent: 'auto',
    behaviours: [PORT_RESTRICTED],
    ...more,
  };
}

export interface WitnessChange extends Partial<GivenWitness> {
  readonly purpose?: WitnessPurpose;
  readonly key?: WitnessKey;
}

/** As the server's STUN side gives one under that nonce (hexadecimal). */
export function witnessOf(
  nonce: string,
  mapped: Endpoint,
  madeAtMs: number,
  { purpose = 'broker', key = BROKER_KEY, ...claimed }: WitnessChange = {},
): GivenWitness {
  const transactionId = createHash('sha256').update(JSON.stringify(mapped)).digest('hex').slice(0, 24);
  const pack = ({ address, port }: Endpoint) => ({ address: parseIpAddress(address)!, port });
  const mac = witnessMac(key, {
    purpose,
    nonce: Buffer.from(nonce, 'hex'),
    transactionId: Buffer.from(transactionId, 'hex'),
    source: pack(mapped),
    arrival: pack(STUN),
    madeAtMs,
  });
  return { transactionId, to: STUN, mapped, keyId: key.id, madeAtMs, mac: mac.toString('hex'), ...claimed };
}

/** A peer whose hello was taken. */
export interface JoinedPeer {
  readonly connection: number;
  readonly number: number;
  readonly token: string;
  readonly nonce: string;
}

export class BrokerPlay {
  readonly rendezvous: Rendezvous;
  /** What it has asked of the bus, where it has one; whoever plays the bus empties it. */
  readonly forBus: BusAction[] = [];
  now = 0;
  private connections = 0;
  private drawn = 0;

  constructor(options: Partial<RendezvousOptions> = {}) {
    const keys = new WitnessKeys(BROKER_KEY);
    this.rendezvous = new Rendezvous({
      checkWitness: (witness, nonce) => checkBrokerWitness(witness, nonce, keys, EPOCH_MS + this.now),
      // Each draw differs, and each run is the same.
      random: (count) => createHash('sha256').update(String(this.drawn++)).digest().subarray(0, count),
      ...options,
    });
  }

  /** A new connection, whatever the broker says to it. */
  connect(client = 'client'): number {
    const connection = ++this.connections;
    this.rendezvous.handleInput({ kind: 'opened', connection, client }, this.now);
    return connection;
  }

  /** What the broker does about a message, or about the text of a frame. */
  say(connection: number, message: ClientMessage | string): PeerAction[] {
    const text = typeof message === 'string' ? message : JSON.stringify(message);
    this.rendezvous.handleInput({ kind: 'frame', connection, text }, this.now);
    return this.actions();
  }

  /** What the broker does about what comes over the bus. */
  hear(input: BusInput): PeerAction[] {
    this.rendezvous.handleInput({ kind: 'bus', input }, this.now);
    return this.actions();
  }

  drop(connection: number): PeerAction[] {
    this.rendezvous.handleInput({ kind: 'closed', connection }, this.now);
    return this.actions();
  }

  /** Lets time pass, and wakes the machine whenever it wants to be. */
  wait(ms: number): PeerAction[] {
    const until = this.now + ms;
    for (let due = this.rendezvous.pollTimeout(); due !== undefined && due <= until;) {
      this.now = Math.max(this.now, due);
      this.rendezvous.handleTimeout(this.now);
      due = this.rendezvous.pollTimeout();
    }
    this.now = until;
    return this.actions();
  }

  actions(): PeerAction[] {
    const actions: PeerAction[] = [];
    for (let next = this.rendezvous.pollAction(); next; next = this.rendezvous.pollAction())
      if (next.kind === 'bus') this.forBus.push(next.action);
      else actions.push(next);
    return actions;
  }

  events(): RendezvousEvent[] {
    const events: RendezvousEvent[] = [];
    for (let next = this.rendezvous.pollEvent(); next; next = this.rendezvous.pollEvent()) events.push(next);
    return events;
  }

  witness(nonce: string, mapped: Endpoint, change: WitnessChange = {}): GivenWitness {
    return witnessOf(nonce, mapped, EPOCH_MS + this.now, change);
  }

  candidates(nonce: string, mapped: readonly Endpoint[], more: Partial<Candidates> = {}): Candidates {
    const given = mapped.map((endpoint) => this.witness(nonce, endpoint));
    return { kind: 'candidates', public: given, private: [], mapped: [], ...more };
  }

  /** Says hello on a connection of its own, and answers the first heartbeat after `rttMs`. Throws if it is refused. */
  greet(name: string, more: Partial<Hello> = {}, rttMs = 0): JoinedPeer {
    const connection = this.connect();
    const [welcome] = messagesTo(connection, this.say(connection, helloOf(name, more)));
    if (welcome?.kind !== 'welcome') throw new Error(`no welcome, but ${JSON.stringify(welcome)}`);
    this.now += rttMs;
    this.say(connection, { kind: 'heartbeat', beat: 1 });
    return { connection, number: welcome.peer, token: welcome.token, nonce: welcome.nonce };
  }

  /** As greet, and registers with one candidate. */
  register(name: string, mapped: Endpoint, more: Partial<Hello> = {}, rttMs = 0): JoinedPeer {
    const peer = this.greet(name, more, rttMs);
    const said = this.say(peer.connection, this.candidates(peer.nonce, [mapped]));
    if (messagesTo(peer.connection, said)[0]?.kind !== 'registered') throw new Error(JSON.stringify(said));
    return peer;
  }
}

export function messagesTo(connection: number, actions: readonly PeerAction[]): ServerMessage[] {
  return actions.flatMap((action) =>
    action.kind === 'send' && action.connection === connection ? [action.message] : [],
  );
}

/** What is done to whom, in short: `1 ERR_NO_PEER`, `2 plan`, `2 close 1008`. */
export function inShort(actions: readonly PeerAction[]): string[] {
  return actions.map((action) => {
    if (action.kind === 'close') return `${action.connection} close ${action.code}`;
    const { message } = action;
    return `${action.connection} ${message.kind === 'error' ? message.code : message.kind}`;
  });
}
