import { type AnswerConfig, AnswerCore } from '../../server/answer/answer-core.ts';
import { SourceAddress } from '../../server/answer/source-address.ts';
import { familyOf, type Endpoint } from '../../shared/endpoint.ts';
import { DEFAULT_ALTERNATE_PORT, DEFAULT_PORT } from '../../shared/default-ports.ts';
import { SERVER_ROLES, type ServerRole } from '../../shared/role.ts';
import { Host, type UdpSocket } from './host.ts';
import type { LinkOptions } from './link.ts';
import type { Network } from './network.ts';
import { adaptRequest, adaptResponse, type ServerKind } from './server-dialect.ts';

export interface SimulatedServerOptions {
  /** The primary address, and the alternate one if there is any. */
  readonly addresses: readonly [string, string?];
  /** The primary and the alternate port. */
  readonly ports?: readonly [number, number];
  readonly kind?: ServerKind;
  /** The way to each address, of its own: a slower or a dead one (loss 1). */
  readonly links?: { readonly primary?: LinkOptions; readonly alternate?: LinkOptions };
  /** What is advertised where that is not the truth. */
  readonly advertised?: Partial<Record<ServerRole, Endpoint>>;
  /** What it gives on request, which by default is nothing. */
  readonly gives?: Pick<AnswerConfig, 'witness' | 'service'>;
  /** `closes`: accepts and hangs up without an answer. */
  readonly tcp?: 'answers' | 'closes' | 'refuses' | 'silent';
}

/** Takes a datagram, or leaves it to the answer core. */
export type DatagramTap = (role: ServerRole, bytes: Uint8Array, from: Endpoint) => boolean;

const DEFAULT_PORTS = [DEFAULT_PORT, DEFAULT_ALTERNATE_PORT] as const;

/** A STUN server on the simulated internet: four sockets (two with one address) and the real answer core. */
export class SimulatedServer {
  readonly host: Host;
  readonly core: AnswerCore;
  /** Where each role listens: PP, PA, AP, AA. */
  readonly endpoints: readonly [Endpoint, Endpoint, Endpoint | undefined, Endpoint | undefined];
  readonly #kind: ServerKind;
  readonly #sockets: (UdpSocket | undefined)[];
  readonly #source = new SourceAddress();
  #tap: DatagramTap | undefined;

  constructor(network: Network, options: SimulatedServerOptions) {
    const [primary, alternate] = options.addresses;
    const [port, alternatePort] = options.ports ?? DEFAULT_PORTS;
    this.#kind = options.kind ?? 'natprobed';
    this.host = new Host(network.internet, [primary], options.links?.primary);
    if (alternate !== undefined) this.host.addAddress(alternate, options.links?.alternate);
    this.endpoints = [
      { address: primary, port },
      { address: primary, port: alternatePort },
      alternate === undefined ? undefined : { address: alternate, port },
      alternate === undefined ? undefined : { address: alternate, port: alternatePort },
    ];
    const [pp, pa, ap, aa] = this.endpoints;
    const wrong = options.advertised ?? {};
    this.core = new AnswerCore({
      family: familyOf(primary),
      endpoints: [wrong[0] ?? pp, wrong[1] ?? pa, wrong[2] ?? ap, wrong[3] ?? aa],
      ...options.gives,
    });
    this.#sockets = SERVER_ROLES.map((role) => this.#listen(role, options.tcp ?? 'answers'));
  }

  /** The primary endpoint. */
  get primary(): Endpoint {
    return this.endpoints[0];
  }

  /** Lets `tap` see each datagram first, as the ICE sessions do. */
  setTap(tap: DatagramTap): void {
    this.#tap = tap;
  }

  sendFrom(role: ServerRole, to: Endpoint, bytes: Uint8Array): void {
    this.#sockets[role]!.send(to, bytes);
  }

  #listen(role: ServerRole, tcp: SimulatedServerOptions['tcp'] & string): UdpSocket | undefined {
    const local = this.endpoints[role];
    if (local === undefined) return undefined;
    if (tcp !== 'refuses') {
      this.host.setTcpService(local, {
        accepts: tcp !== 'silent',
        answer: (request, from) => (tcp === 'answers' ? this.#answerStream(request, from, role) : undefined),
      });
    }
    return this.host.openSocket(local, { onDatagram: (bytes, from) => this.#answer(bytes, from, role) });
  }

  #answer(bytes: Uint8Array, from: Endpoint, arrival: ServerRole): void {
    if (this.#tap?.(arrival, bytes, from) === true) return;
    this.#source.set(from.address, from.port);
    const request = adaptRequest(this.#kind, bytes);
    const count = this.core.answer(request, 0, request.length, this.#source, arrival);
    // In this order: the receipt says that the response has been sent.
    for (let index = 0; index < count; index += 1) {
      const { role, buffer, length, port } = this.core.outgoing[index]!;
      const response = adaptResponse(this.#kind, buffer.slice(0, length), this.endpoints[3]);
      this.#sockets[role]!.send({ address: from.address, port }, response);
    }
  }

  #answerStream(bytes: Uint8Array, from: Endpoint, arrival: ServerRole): Uint8Array | undefined {
    this.#source.set(from.address, from.port);
    const request = adaptRequest(this.#kind, bytes);
    if (this.core.answerStream(request, 0, request.length, this.#source, arrival) === 0) return undefined;
    const { buffer, length } = this.core.outgoing[0];
    return adaptResponse(this.#kind, buffer.slice(0, length), this.endpoints[3]);
  }
}
