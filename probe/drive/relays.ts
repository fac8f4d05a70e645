/** The relayed addresses of one plan: this side's, once it is wanted, and the peer's, once that is told. */
import type { Relay } from '../../shared/broker/messages.ts';
import { type Endpoint, sameEndpoint } from '../../shared/endpoint.ts';
import { openRelay, type RelayedWay, type RelayOptions, type RunningRelay } from './relay.ts';
import { findRelayServers } from './relay-servers.ts';

export interface RelaysOptions extends Omit<RelayOptions, 'local' | 'onPeer'> {
  readonly relay: Relay;
  /** Of the punch's socket; undefined where it has none. */
  readonly local: Endpoint | undefined;
  /** By that endpoint the peer is reached through a relay. */
  readonly onFound: (remote: Endpoint) => void;
  /** The peer has none, or names one that isn't a relay's. */
  readonly onPeerFailed: () => void;
}

export class Relays {
  readonly #options: RelaysOptions;
  #own: RunningRelay | undefined;
  #peers: Endpoint | undefined;

  constructor(options: RelaysOptions) {
    this.#options = options;
  }

  /** Has this side be given an address. */
  open(): void {
    const { local, onFound, ...options } = this.#options;
    if (local === undefined) options.onFailed('is of no use without a socket of this side');
    else this.#own = openRelay({ ...options, local, onPeer: onFound });
  }

  /** What the peer says that it was given. It is packets' destination only where it is at a relay. */
  hear(endpoint: Endpoint | undefined): void {
    const { onError, onPeerFailed } = this.#options;
    if (endpoint === undefined) onPeerFailed();
    else this.#check(endpoint).catch(onError);
  }

  isOwn(remote: Endpoint): boolean {
    return this.#own?.wayThrough(remote) !== undefined;
  }

  wayThrough(remote: Endpoint): RelayedWay | undefined {
    if (this.#peers !== undefined && sameEndpoint(this.#peers, remote))
      return { relayed: this.#peers, peer: this.#peers };
    return this.#own?.wayThrough(remote);
  }

  /** Gives this side's back; resolves once its relay has been told. */
  async release(): Promise<void> {
    await this.#own?.release();
  }

  /** Anybody may be named by who is introduced, and would be sent packets. */
  async #check(endpoint: Endpoint): Promise<void> {
    const { relay, onFound, onPeerFailed } = this.#options;
    const servers = await findRelayServers(relay);
    if (!servers.some(({ endpoints }) => endpoints.some(({ address }) => address === endpoint.address))) {
      onPeerFailed();
      return;
    }
    this.#peers = endpoint;
    onFound(endpoint);
  }
}
