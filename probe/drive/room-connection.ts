/** The connection of a member to its broker: one at a time, each with a key pair of its own. */
import { randomBytes } from 'node:crypto';
import type { ClientMessage } from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { MemberInput } from '../broker/io.ts';
import { keyPairOf, type KeyPair, PRIVATE_KEY_BYTES } from '../punch/key-agreement.ts';
import { type BrokerConnection, connectBroker } from './broker-connection.ts';
import type { Addresses } from './resolve.ts';

/** The API of a broker, and the STUN endpoints of its server. */
export interface BrokerPlace {
  readonly api: URL;
  readonly servers: Addresses;
}

export interface RoomConnectionOptions {
  readonly api: URL;
  /** Where to go on once a connection is lost, in that turn of looking; there again if absent. */
  readonly relocate?: (turn: number) => Promise<BrokerPlace>;
  /** It goes on at that server. */
  readonly onMoved: (servers: Addresses) => void;
  readonly deliver: (input: Extract<MemberInput, { kind: 'opened' | 'frame' | 'closed' }>) => void;
}

export class RoomConnection {
  readonly #options: RoomConnectionOptions;
  #current: { readonly number: number; readonly link: BrokerConnection; keys?: KeyPair } | undefined;
  #isOver = false;

  constructor(options: RoomConnectionOptions) {
    this.#options = options;
  }

  /** Of the latest connection, which has to have opened. */
  get keys(): KeyPair {
    return this.#current!.keys!;
  }

  /** Ends in `opened` or `closed`; the first one is connection 1. */
  async connect(connection: number): Promise<void> {
    const { api, relocate, onMoved, deliver } = this.#options;
    if (connection === 1 || relocate === undefined) {
      this.#connect(connection, api);
      return;
    }
    try {
      const place = await relocate(connection - 2);
      if (this.#isOver) return;
      onMoved(place.servers);
      this.#connect(connection, place.api);
    } catch (error) {
      if (!(error instanceof NatprobeError)) throw error;
      deliver({ kind: 'closed', connection, error });
    }
  }

  send(connection: number, message: ClientMessage): void {
    if (this.#current?.number === connection) this.#current.link.send(message);
  }

  close(connection: number): void {
    if (this.#current?.number === connection) this.#current.link.close();
  }

  /** There is no other one. */
  end(): void {
    this.#isOver = true;
    this.#current?.link.close();
  }

  #connect(connection: number, api: URL): void {
    const { deliver } = this.#options;
    const link = connectBroker(api, {
      onOpen: () => {
        const keys = keyPairOf(randomBytes(PRIVATE_KEY_BYTES));
        this.#current = { number: connection, link, keys };
        deliver({ kind: 'opened', connection, publicKey: keys.publicKey });
      },
      onFrame: (text) => deliver({ kind: 'frame', connection, text }),
      onClosed: (error) => deliver({ kind: 'closed', connection, error }),
    });
    this.#current = { number: connection, link };
  }
}
