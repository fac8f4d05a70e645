import type { Endpoint } from '../../shared/endpoint.ts';
import type { Network } from './network.ts';
import { destinationKey, endpointKey, sourceKey, type Packet } from './packet.ts';
import type { Random } from './random.ts';
import type { Middlebox, Passage } from './realm.ts';

/** A Linux router that masquerades (netfilter's conntrack and NAT; MEASURING.md §5 and §7). */
export interface LinuxRouterOptions {
  /**
   * Whether the router's own input chain drops what nobody asked for (as OpenWrt does). Without it
   * such a packet draws a port unreachable and leaves an entry that can change the next mapping.
   */
  readonly inputDrop: boolean;
  /** `masquerade fully-random`: never the internal port, so that each connection has its own. */
  readonly fullyRandom?: boolean;
}

/** nf_conntrack_udp_timeout. */
const UNREPLIED_MS = 30_000;
/** nf_conntrack_udp_timeout_stream, for connections replied to that are older than STREAM_AFTER_MS. */
const STREAM_MS = 120_000;
const STREAM_AFTER_MS = 2000;
/** nf_nat_l4proto_unique_tuple: how many ports in a row are tried from a random one on. */
const MAX_PORT_ATTEMPTS = 128;

/** A connection as conntrack knows it: a tuple each way. */
interface Entry {
  /** Source and destination of its first packet. */
  readonly originalKey: string;
  /** Those of an answer, as it arrives from outside. */
  readonly replyKey: string;
  /** Undefined for an unsolicited packet to the router itself. */
  readonly internal: Endpoint | undefined;
  readonly externalPort: number;
  readonly createdAt: number;
  isReplied: boolean;
  expiresAt: number;
}

/**
 * Mapping and filtering are per connection, by its tuples: it looks endpoint-independent because
 * each connection keeps the internal port as long as the tuple of its answers is not in use.
 */
export class LinuxRouter implements Middlebox {
  readonly externalAddresses: readonly string[];
  readonly isTransparent = false;
  readonly #network: Network;
  readonly #options: LinuxRouterOptions;
  readonly #externalAddress: string;
  readonly #random: Random;
  readonly #entries = new Map<string, Entry>();
  /** The connections of each internal endpoint, newest first (nf_nat_bysource). */
  readonly #bySource = new Map<string, Entry[]>();

  constructor(network: Network, externalAddress: string, options: LinuxRouterOptions) {
    this.#network = network;
    this.#externalAddress = externalAddress;
    this.externalAddresses = [externalAddress];
    this.#options = options;
    this.#random = network.random.fork();
  }

  handleOutbound(packet: Packet): Passage {
    // To the router itself: no hairpin.
    if (packet.destinationAddress === this.#externalAddress)
      return this.#options.inputDrop ? 'drop' : 'reject';
    const key = tupleKey(sourceKey(packet), destinationKey(packet));
    let entry = this.#live(key);
    if (packet.kind === 'udp') {
      if (entry === undefined) entry = this.#createEntry(key, packet);
      else this.#refresh(entry);
    }
    if (entry === undefined) return 'drop';
    packet.sourceAddress = this.#externalAddress;
    packet.sourcePort = entry.externalPort;
    return 'pass';
  }

  handleInbound(packet: Packet): Passage {
    const key = tupleKey(sourceKey(packet), destinationKey(packet));
    const entry = this.#live(key);
    if (entry?.internal !== undefined) {
      if (packet.kind === 'udp') {
        entry.isReplied = true;
        this.#refresh(entry);
      }
      packet.destinationAddress = entry.internal.address;
      packet.destinationPort = entry.internal.port;
      return 'pass';
    }
    // Dropped on input, a new connection is never confirmed and leaves nothing.
    if (this.#options.inputDrop || packet.kind !== 'udp') return 'drop';
    if (entry === undefined) this.#trackUnsolicited(key, packet);
    else this.#refresh(entry);
    return 'reject';
  }

  #createEntry(originalKey: string, packet: Packet): Entry | undefined {
    const source = sourceKey(packet);
    const remote = destinationKey(packet);
    const replyKeyOf = (port: number) => tupleKey(remote, endpointKey(this.#externalAddress, port));
    const externalPort = this.#pickPort(packet, source, (port) => this.#live(replyKeyOf(port)) === undefined);
    if (externalPort === undefined) return undefined;
    const entry = this.#newEntry(originalKey, replyKeyOf(externalPort), externalPort, {
      address: packet.sourceAddress,
      port: packet.sourcePort,
    });
    const siblings = this.#bySource.get(source);
    if (siblings === undefined) this.#bySource.set(source, [entry]);
    else siblings.unshift(entry);
    return entry;
  }

  /** get_unique_tuple: the source's newest mapping, else its own port, else a random one of its class. */
  #pickPort(packet: Packet, source: string, isFree: (port: number) => boolean): number | undefined {
    if (this.#options.fullyRandom !== true) {
      const newest = this.#bySource.get(source)?.find((entry) => this.#live(entry.originalKey) === entry);
      if (newest !== undefined && isFree(newest.externalPort)) return newest.externalPort;
      if (isFree(packet.sourcePort)) return packet.sourcePort;
    }
    const [first, last] = portClassOf(packet.sourcePort);
    const start = this.#random.integer(first, last);
    for (let attempt = 0; attempt < MAX_PORT_ATTEMPTS; attempt += 1) {
      const port = first + ((start - first + attempt) % (last - first + 1));
      if (isFree(port)) return port;
    }
    return undefined;
  }

  /** The entry's original tuple is the answer tuple of an outbound packet to there from that port. */
  #trackUnsolicited(key: string, packet: Packet): void {
    this.#newEntry(
      key,
      tupleKey(destinationKey(packet), sourceKey(packet)),
      packet.destinationPort,
      undefined,
    );
  }

  #newEntry(
    originalKey: string,
    replyKey: string,
    externalPort: number,
    internal: Endpoint | undefined,
  ): Entry {
    const now = this.#network.now;
    const entry: Entry = {
      originalKey,
      replyKey,
      internal,
      externalPort,
      createdAt: now,
      isReplied: false,
      expiresAt: now + UNREPLIED_MS,
    };
    this.#entries.set(originalKey, entry);
    this.#entries.set(replyKey, entry);
    return entry;
  }

  #refresh(entry: Entry): void {
    const now = this.#network.now;
    const isStream = entry.isReplied && now - entry.createdAt > STREAM_AFTER_MS;
    entry.expiresAt = now + (isStream ? STREAM_MS : UNREPLIED_MS);
  }

  /** The live entry with that tuple, either way. */
  #live(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.expiresAt > this.#network.now) return entry;
    this.#entries.delete(entry.originalKey);
    this.#entries.delete(entry.replyKey);
    if (entry.internal !== undefined) {
      const source = endpointKey(entry.internal.address, entry.internal.port);
      this.#bySource.set(
        source,
        this.#bySource.get(source)!.filter((sibling) => sibling !== entry),
      );
    }
    return undefined;
  }
}

function tupleKey(source: string, destination: string): string {
  return `${source}>${destination}`;
}

/** The ports that a local port may be mapped into where it can't be kept (MEASURING.md §7). */
function portClassOf(port: number): [first: number, last: number] {
  if (port >= 1024) return [1024, 65535];
  return port < 512 ? [1, 511] : [600, 1023];
}
