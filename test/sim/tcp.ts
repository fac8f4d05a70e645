import { familyOf, type Endpoint } from '../../shared/endpoint.ts';
import type { Host } from './host.ts';
import type { Direction } from './link.ts';
import type { Network } from './network.ts';

/**
 * TCP as far as the control of the UDP-blocked verdict needs it: a handshake, one request and its
 * answer, with the links' delay and loss and with retransmission, past all boxes.
 */
export interface TcpService {
  /** Whether SYNs are answered; else they are dropped. */
  readonly accepts: boolean;
  /**
   * The answer to a request, or undefined: the connection is closed without one. `from` is the
   * client's own endpoint, as boxes don't touch these connections.
   */
  answer(request: Uint8Array, from: Endpoint): Uint8Array | undefined;
}

export type TcpOutcome =
  | { readonly kind: 'connected' | 'refused' | 'closed' }
  | { readonly kind: 'answered'; readonly bytes: Uint8Array };

/** RFC 6298 §2: a SYN is sent again after a second, and then after twice as long each time. */
const SYN_RETRANSMIT_MS = 1000;
/** Linux's TCP_RTO_MIN, on top of a round trip, for data on a connection whose round trip is known. */
const DATA_RETRANSMIT_MS = 200;
/** Linux's tcp_syn_retries (6), and the first. */
const MAX_TRANSMISSIONS = 7;
/** Any will do: only the server sees it. */
const CLIENT_PORT = 40_000;

/**
 * Connects to `to`, writes `request` and reports `connected` and then `answered` or `closed`, or
 * `refused`; nothing ever if nobody has the address or every transmission is lost.
 */
export function connectTcp(
  from: Host,
  to: Endpoint,
  request: Uint8Array,
  report: (outcome: TcpOutcome) => void,
): void {
  const path = from.realm.pathTo(to.address);
  if (path?.host === undefined) return;
  const service = path.host.tcpServiceAt(to);
  if (service?.accepts === false) return;
  const address = from.addressOf(familyOf(to.address));
  if (address === undefined) return;
  const local = { address, port: CLIENT_PORT };
  const { network } = from;
  const access = from.linkOf(address);
  const roundTrip =
    access === undefined
      ? [...path.there, ...path.back]
      : [access.up, ...path.there, ...path.back, access.down];
  const startedAt = network.now;
  exchange(network, roundTrip, SYN_RETRANSMIT_MS, () => {
    if (service === undefined) {
      report({ kind: 'refused' });
      return;
    }
    report({ kind: 'connected' });
    exchange(network, roundTrip, network.now - startedAt + DATA_RETRANSMIT_MS, () => {
      const bytes = service.answer(request, local);
      report(bytes === undefined ? { kind: 'closed' } : { kind: 'answered', bytes });
    });
  });
}

/** Sends along `way` until one transmission has got all the way, then calls `done` once. */
function exchange(network: Network, way: readonly Direction[], retransmitMs: number, done: () => void): void {
  let isDone = false;
  const travel = (hop: number) => {
    if (isDone) return;
    const direction = way[hop];
    if (direction === undefined) {
      isDone = true;
      done();
      return;
    }
    const at = direction.arrivalTime();
    if (at !== undefined) network.schedule(at, () => travel(hop + 1));
  };
  const transmit = (transmission: number) => {
    if (isDone || transmission > MAX_TRANSMISSIONS) return;
    network.schedule(network.now + retransmitMs * 2 ** (transmission - 1), () => transmit(transmission + 1));
    travel(0);
  };
  network.schedule(network.now, () => transmit(1));
}
