/** A client behind a NAT for TCP, and the real server's answers and dial-backs, in virtual time. */
import { AnswerCore } from '../../server/answer/answer-core.ts';
import { SourceAddress } from '../../server/answer/source-address.ts';
import type { RoleEndpoints } from '../../server/answer/role-endpoints.ts';
import { roleEndpoints } from '../../server/config.ts';
import { answerMessage } from '../../server/tcp/answer-message.ts';
import { ConnectionCount } from '../../server/tcp/connection-limits.ts';
import {
  createDialCounts,
  DEFAULT_DIAL_LIMITS,
  DialBacks,
  type DialContext,
  type DialLimits,
} from '../../server/tcp/dial-back.ts';
import type { Dial, DialResult } from '../../server/tcp/dial.ts';
import { type Endpoint, sameEndpoint } from '../../shared/endpoint.ts';
import type { ServerRole } from '../../shared/role.ts';
import { Link } from './link.ts';
import { Network } from './network.ts';
import { TcpNat, type TcpNatBehaviour } from './tcp-nat.ts';
import { OrderedStream, sendOnce, sendSurely, sendSyn } from './tcp-stream.ts';

export interface TcpConditions {
  readonly seed: number;
  readonly rttMs: number;
  /** Of each packet, each way. */
  readonly loss?: number;
  /** `plain` is a STUN server that knows no dial-backs. */
  readonly server?: 'two-addresses' | 'one-address' | 'plain' | 'refuses' | 'silent';
  /** Nothing that goes to the other address arrives. */
  readonly silentAlternate?: boolean;
  readonly dialLimits?: DialLimits;
}

/** What the client's end of a connection is told. */
export interface TcpEvents {
  readonly onConnected: () => void;
  readonly onRefused: () => void;
  readonly onData: (bytes: Uint8Array) => void;
}

const CLIENT_ADDRESS = '10.0.0.2';
const NAT_ADDRESS = '203.0.113.1';
const EPHEMERAL = { first: 32768, last: 60999 };

export class TcpWorld {
  readonly network: Network;
  readonly endpoints: RoleEndpoints;
  readonly #conditions: TcpConditions;
  readonly #link: Link;
  readonly #nat: TcpNat;
  readonly #core: AnswerCore;
  readonly #dialContext: DialContext;
  /** What is told of connections that come in, by local port. */
  readonly #listeners = new Map<number, (from: Endpoint) => void>();

  constructor(behaviour: TcpNatBehaviour, conditions: TcpConditions) {
    const { seed, rttMs, loss = 0, server = 'two-addresses', dialLimits = DEFAULT_DIAL_LIMITS } = conditions;
    this.#conditions = conditions;
    this.network = new Network(seed);
    const direction = { delayMs: rttMs / 2, loss: { kind: 'independent', probability: loss } } as const;
    this.#link = new Link(this.network, { up: direction, down: direction });
    this.#nat = new TcpNat(NAT_ADDRESS, behaviour, this.network.random.fork());
    this.endpoints = roleEndpoints(
      '192.0.2.1',
      server === 'one-address' ? undefined : '192.0.2.2',
      3478,
      3479,
    );
    this.#core = new AnswerCore({ family: 'ipv4', endpoints: this.endpoints });
    this.#dialContext = {
      config: { family: 'ipv4', bound: this.endpoints, advertised: this.endpoints },
      limits: dialLimits,
      underWay: new ConnectionCount(dialLimits),
      counts: createDialCounts(),
      dial: this.#dial,
    };
  }

  get dialCounts(): DialContext['counts'] {
    return this.#dialContext.counts;
  }

  /** False if somebody listens on the port: the system then refuses to use it. */
  listen(local: Endpoint, onAccepted: (from: Endpoint) => void): boolean {
    if (this.#listeners.has(local.port)) return false;
    this.#listeners.set(local.port, onAccepted);
    return true;
  }

  /** Connects; returns the local endpoint and a writer, or undefined where somebody listens on the port. */
  connect(
    localPort: number,
    to: Endpoint,
    events: TcpEvents,
  ): { readonly local: Endpoint; readonly write: (bytes: Uint8Array) => void } | undefined {
    if (this.#listeners.has(localPort)) return undefined;
    const { network } = this;
    const { up, down } = this.#link;
    const { rttMs, server, silentAlternate } = this.#conditions;
    const local = { address: CLIENT_ADDRESS, port: localPort };
    const source = this.#nat.handleOutbound(local, to);
    const toServer = new OrderedStream(network, up, rttMs, (bytes) => serve(bytes));
    const toClient = new OrderedStream(network, down, rttMs, events.onData);
    const serve = this.#serve(source, to, (bytes) => toClient.write(bytes));
    const isSilent =
      server === 'silent' || (silentAlternate === true && to.address !== this.endpoints[0].address);
    let isOver = false;
    const finish = (tell: () => void) => () => {
      if (isOver) return;
      isOver = true;
      stop();
      tell();
    };
    const stop = sendSyn(network, up, () => {
      if (isSilent) return;
      sendOnce(network, down, finish(server === 'refuses' ? events.onRefused : events.onConnected));
    });
    return { local, write: (bytes) => toServer.write(bytes) };
  }

  #serve(source: Endpoint, to: Endpoint, send: (bytes: Uint8Array) => void): (message: Uint8Array) => void {
    const arrival = this.endpoints.findIndex(
      (endpoint) => endpoint !== undefined && sameEndpoint(endpoint, to),
    ) as ServerRole;
    const address = new SourceAddress();
    address.set(source.address, source.port);
    const asker = { remote: source, arrival, source: source.address, send };
    const dialBacks = new DialBacks(this.#dialContext, asker);
    return (message) => {
      const drawn = answerMessage(message, this.#core, address, arrival, dialBacks);
      // Without dial-backs there is the answer alone.
      for (const bytes of this.#conditions.server === 'plain' ? drawn.slice(-1) : drawn) send(bytes);
    };
  }

  readonly #dial: Dial = (localAddress, to, timeoutMs, report) => {
    const { network } = this;
    const { up, down } = this.#link;
    const from = { address: localAddress, port: network.random.integer(EPHEMERAL.first, EPHEMERAL.last) };
    const startedAt = network.now;
    let isOver = false;
    const stop = (): void => {
      isOver = true;
      stopSyn();
      network.cancel(timer);
    };
    const finish = (outcome: DialResult['outcome'], then?: () => void) => () => {
      if (isOver) return;
      stop();
      const tookMs = Math.round(network.now - startedAt);
      report({ outcome, tookMs, ...(outcome === 'connected' && { localPort: from.port }) });
      then?.();
    };
    const stopSyn = sendSyn(network, down, () => {
      const received = this.#nat.handleInbound(from, to);
      if (received === 'dropped') return;
      if (received === 'reset') sendOnce(network, up, finish('refused'));
      else if (received === 'icmp') sendOnce(network, up, finish('unreachable'));
      else if (received === 'answers') sendOnce(network, up, finish('connected'));
      else {
        const accept = this.#listeners.get(received.port);
        if (accept === undefined) sendOnce(network, up, finish('refused'));
        else {
          const completed = (): void => sendSurely(network, down, this.#conditions.rttMs, () => accept(from));
          sendOnce(network, up, finish('connected', completed));
        }
      }
    });
    const timer = network.schedule(startedAt + timeoutMs, finish('timeout'));
    return stop;
  };
}
