/** Port mappers on real sockets: finding those of a router, and asking one for a mapping. */
import { randomBytes, randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import type { Endpoint } from '../../shared/endpoint.ts';
import type { Machine } from '../../shared/machine.ts';
import { type MapAnswer, type MapRequest, PORT_MAPPER_PORT } from '../../shared/portmap/mapping.ts';
import { PCP_NONCE_BYTES } from '../../shared/portmap/pcp.ts';
import { errorOf } from '../../shared/thrown.ts';
import type { PortMapper, PortMapperAction, PortMapperInput } from '../classify/port-mappers/io.ts';
import { MapExchange, type MapExchangeEvent } from '../classify/port-mappers/map-exchange.ts';
import { PortMapperSearch, type PortMapperSearchEvent } from '../classify/port-mappers/search.ts';
import { aborted } from './aborted.ts';
import { exchangeHttp } from './http-exchange.ts';
import { createRunner } from './run-machine.ts';
import { localAddressTowards, openConnectedUdpSocket } from './udp.ts';

/** For each HTTP exchange with a router. */
const HTTP_TIMEOUT_MS = 3000;
/** A multicast that is to stay in the house (UPnP Device Architecture 1.1 §1.3.2). */
const MULTICAST_HOPS = 2;
/** Ports to try in turn where the router doesn't choose one: none that a service is known by. */
const OTHER_PORTS = 4;
const FIRST_OTHER_PORT = 10_000;
const LAST_OTHER_PORT = 60_000;

export interface RouterRun {
  /** The router; a link-local address carries its zone: `fe80::1%eth0`. */
  readonly gateway: string;
  readonly signal?: AbortSignal;
}

/**
 * The port mappers of one router, in the order in which they answered. Takes 1.5 s at most, and
 * no longer than the answers where all three protocols are spoken. Rejects with ERR_ABORTED.
 */
export async function findPortMappers(
  run: RouterRun & { readonly onFound?: (mapper: PortMapper) => void },
): Promise<readonly PortMapper[]> {
  const { gateway, onFound } = run;
  const local = await addressTowardsRouter(gateway);
  if (local === undefined) return [];
  const machine = new PortMapperSearch({
    gateway: gateway.replace(/%.*$/, ''),
    local,
    random: randomBytes,
  });
  return speak<PortMapperSearchEvent, readonly PortMapper[]>(machine, { ...run, local }, (event) => {
    if (event.kind === 'done') return event.mappers;
    onFound?.(event.mapper);
    return undefined;
  });
}

/** A mapping that is made and removed through one port mapper. */
export interface MappingHandle {
  /** Asks for it. Rejects with ERR_ABORTED; the mapping may exist then, and `remove` is to be called. */
  add(signal?: AbortSignal): Promise<MapAnswer>;
  /** Asks for its removal, also if no answer to `add` came. */
  remove(signal?: AbortSignal): Promise<MapAnswer>;
}

export function mappingHandle(mapper: PortMapper, run: RouterRun, request: MapRequest): MappingHandle {
  const { protocol } = mapper.evidence;
  const nonce = randomBytes(PCP_NONCE_BYTES);
  let externalPort = request.externalPort;

  async function exchange(asked: MapRequest, signal: AbortSignal | undefined): Promise<MapAnswer> {
    const machine = new MapExchange({
      protocol,
      ...(mapper.service === undefined ? {} : { service: mapper.service }),
      request: asked,
      nonce,
      otherPorts: Array.from({ length: OTHER_PORTS }, () => randomInt(FIRST_OTHER_PORT, LAST_OTHER_PORT)),
    });
    const connection = {
      gateway: run.gateway,
      local: request.internalAddress,
      ...(signal === undefined ? {} : { signal }),
    };
    return speak<MapExchangeEvent, MapAnswer>(machine, connection, (event) => {
      if (event.kind === 'done') return event.answer;
      externalPort = event.externalPort;
      return undefined;
    });
  }

  return {
    async add(signal) {
      const answer = await exchange({ ...request, externalPort }, signal);
      if (answer.kind === 'mapped') externalPort = answer.externalPort;
      return answer;
    },
    remove: (signal) => exchange({ ...request, externalPort, lifetimeSeconds: 0 }, signal),
  };
}

/** This machine's address towards the router, or undefined where there is no way. */
export async function addressTowardsRouter(gateway: string): Promise<string | undefined> {
  try {
    return await localAddressTowards({ address: gateway, port: PORT_MAPPER_PORT });
  } catch {
    return undefined;
  }
}

interface Connection extends RouterRun {
  readonly local: string;
}

/** Carries out what a machine asks for until `resultOf` makes a result of one of its events. */
async function speak<Event, Result>(
  machine: Machine<PortMapperInput, PortMapperAction, Event>,
  { gateway, local, signal }: Connection,
  resultOf: (event: Event) => Result | undefined,
): Promise<Result> {
  const router = { address: gateway, port: PORT_MAPPER_PORT };
  const connected = await openConnectedUdpSocket(router, {
    onDatagram: (_from, bytes) => runner.deliver({ kind: 'datagram', bytes }),
    onRefused: () => runner.deliver({ kind: 'refused' }),
  });
  let search: Socket | undefined;
  const requests = new AbortController();
  let settle: { resolve: (result: Result) => void; reject: (error: Error) => void };
  const outcome = new Promise<Result>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const handleAbort = (): void => settle.reject(aborted('port mapper', signal));
  const runner = createRunner<PortMapperInput, PortMapperAction, Event>(machine, {
    perform(action) {
      if (action.kind === 'send') connected.send(router, action.bytes);
      else if (action.kind === 'search') sendSearch(action);
      else void sendHttp(action);
    },
    emit(event) {
      const result = resultOf(event);
      if (result !== undefined) settle.resolve(result);
    },
    fail: (error) => settle.reject(errorOf(error)),
  });

  function sendSearch({ to, bytes }: Extract<PortMapperAction, { kind: 'search' }>): void {
    search ??= openSearchSocket(local, (from, answer) =>
      runner.deliver({ kind: 'search-answer', from, bytes: answer }),
    );
    // What can't be sent is a lost question.
    search.send(bytes, to.port, to.address, () => undefined);
  }

  async function sendHttp(action: Extract<PortMapperAction, { kind: 'http' }>): Promise<void> {
    const answer = await exchangeHttp(action.request, local, HTTP_TIMEOUT_MS, requests.signal);
    runner.deliver({ kind: 'http', exchange: action.exchange, answer });
  }

  signal?.addEventListener('abort', handleAbort, { once: true });
  try {
    // Also if it came while the socket was opened.
    if (signal?.aborted === true) throw aborted('port mapper', signal);
    runner.start();
    return await outcome;
  } finally {
    signal?.removeEventListener('abort', handleAbort);
    runner.stop();
    requests.abort();
    connected.close();
    search?.close();
  }
}

/** Not connected: answers come from the devices, not from the group. */
function openSearchSocket(local: string, onAnswer: (from: Endpoint, bytes: Uint8Array) => void): Socket {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, { address, port }) => onAnswer({ address, port }, bytes));
  // A network without multicast has no such devices.
  socket.on('error', () => undefined);
  socket.bind({ address: local, port: 0, exclusive: true }, () => {
    try {
      socket.setMulticastInterface(local);
      socket.setMulticastTTL(MULTICAST_HOPS);
    } catch {
      // The same, told at once.
    }
  });
  return socket;
}
