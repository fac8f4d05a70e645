/** The ports that a member has its router map: the one of choice, and another for each punch after the first. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Endpoint, HostPort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { type HeldMapping, holdMapping } from './map-port.ts';

export interface ChosenPort {
  readonly localPort: number;
  /** Where it is reached from outside, as the server has tried. */
  readonly mapped: Endpoint;
}

export interface MappedPortsOptions {
  /** A natprobed. */
  readonly server: HostPort;
  /** Whether the port of choice stays mapped when all is over; no other does. */
  readonly keep: boolean;
  /** A later port that the router doesn't map, or isn't reached there; its punch goes on without. */
  readonly onTrouble: (error: NatprobeError) => void;
}

/** A punch leaves its mapping behind, as the hole may need it; of more than these the oldest goes. */
const MOST_MAPPINGS = 8;
/** Looking for the router's mappers, asking them and trying the mapping take a second or two, where nothing is lost. */
const NEXT_WITHIN_MS = 10_000;

export class MappedPorts {
  readonly #options: MappedPortsOptions;
  readonly #held: HeldMapping[] = [];
  #making: Promise<unknown> = Promise.resolve();
  #isOver = false;

  constructor(options: MappedPortsOptions) {
    this.#options = options;
  }

  /** Undefined where the router maps it and nothing comes through. Rejects as holdMapping does. */
  async mapChosen(
    localPort: number,
    socket: Socket | undefined,
    signal: AbortSignal | undefined,
  ): Promise<ChosenPort | undefined> {
    return this.#map(localPort, this.#options.keep, { ...(socket && { socket }), ...(signal && { signal }) });
  }

  /** Another port of the system's choice, while the room is not left; undefined where it isn't mapped, which is told. */
  async mapNext(signal: AbortSignal): Promise<ChosenPort | undefined> {
    if (this.#isOver) return undefined;
    const bounded = AbortSignal.any([signal, AbortSignal.timeout(NEXT_WITHIN_MS)]);
    const making = findFreePort().then((port) => this.#map(port, false, { signal: bounded }));
    this.#making = making.catch(() => undefined);
    try {
      return await making;
    } catch (error) {
      if (!(error instanceof NatprobeError)) throw error;
      if (!signal.aborted) this.#options.onTrouble(error);
      return undefined;
    }
  }

  /** Renews nothing any more, and removes what is not to be kept. Never rejects. */
  async release(): Promise<void> {
    this.#isOver = true;
    await this.#making;
    await Promise.all(this.#held.splice(0).map((mapping) => mapping.release()));
  }

  async #map(
    localPort: number,
    keep: boolean,
    more: { readonly socket?: Socket; readonly signal?: AbortSignal },
  ): Promise<ChosenPort | undefined> {
    const mapping = await holdMapping({ server: this.#options.server, localPort, keep, ...more });
    const { verification } = mapping.mapped;
    if (verification.value !== 'reachable' || verification.public === undefined) {
      await mapping.release();
      return undefined;
    }
    if (this.#held.push(mapping) > MOST_MAPPINGS) void this.#held.shift()!.release();
    return { localPort, mapped: verification.public };
  }
}

async function findFreePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0);
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}
