/** Carries out what a puncher machine asks for, on real sockets. */
import { randomBytes, randomInt } from 'node:crypto';
import type { Plan, Relay } from '../../shared/broker/messages.ts';
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { PunchPlan } from '../../shared/punch/plan.ts';
import type { PuncherAction, PuncherEvent, PuncherInput, StopCode } from '../punch/io.ts';
import { createPuncher } from '../punch/puncher.ts';
import type { MainSockets } from './main-sockets.ts';
import type { OpenPunchSocket, PunchSocket } from './punch-socket.ts';
import type { RelayedWay } from './relay.ts';
import { Relays } from './relays.ts';
import { createRunner } from './run-machine.ts';
import { systemErrorCode, type UdpHandlers } from './udp.ts';

export interface PuncherRun<Raw> {
  readonly open: OpenPunchSocket<Raw>;
  /** Fresh main sockets and a plan for them are wanted; `begin` takes them. */
  readonly onRenew: (attempt: number) => void;
  readonly onEvent: (event: PuncherEvent) => void;
  /** All that comes on a socket of the punch, checks too, before the machine hears of it. */
  readonly onDatagram: (from: Endpoint, bytes: Uint8Array) => void;
  /** ERR_FEW_SOCKETS: of those that a plan takes some could not be opened. */
  readonly onTrouble: (error: NatprobeError) => void;
  /** The peer is to hear of the endpoint that a relay gave this side, or that it gave none. */
  readonly onRelayed: (endpoint: Endpoint | undefined) => void;
  /** A bug: the punch is over. */
  readonly onError: (error: unknown) => void;
}

export interface PuncherStart<Raw> {
  readonly plan: Pick<Plan, 'plan' | 'relay'>;
  readonly key: Uint8Array;
  readonly mains: MainSockets<Raw>;
}

export interface RunningPuncher<Raw> {
  /** The first plan, and each that answers a renewal; `mains` are used for as long as the punch needs them. */
  begin(start: PuncherStart<Raw>): void;
  /** What a relay gave the peer for the latest plan. */
  hearRelayed(endpoint: Endpoint | undefined): void;
  /** Undefined unless what is sent to `remote` goes by a relay. */
  wayThrough(remote: Endpoint): RelayedWay | undefined;
  /** Undefined once it is closed. */
  socket(name: string): PunchSocket<Raw> | undefined;
  /** Once every socket is closed: of a hole that is closed, when the peer knows. */
  readonly ended: Promise<void>;
  /** Ends the punch, or closes the hole. */
  stop(code?: StopCode): void;
}

export function runPuncher<Raw>(run: PuncherRun<Raw>): RunningPuncher<Raw> {
  /** Undefined while it is being opened. */
  const sockets = new Map<string, PunchSocket<Raw> | undefined>();
  let servers: MainSockets<Raw>['servers'] = {};
  let rounds = 0;
  let relays: Relays | undefined;
  let isClosed = false;
  /** Of the sockets of a plan, until all that it takes are there or can't be. */
  let opening = { asked: 0, pending: 0, failed: 0, code: '' };
  const ended = Promise.withResolvers<undefined>();
  const runner = createRunner<PuncherInput, PuncherAction, PuncherEvent>(
    createPuncher({ random: randomBytes }),
    { perform, emit, fail },
  );
  return {
    begin({ plan: { plan, relay }, key, mains }) {
      const round = ++rounds;
      const nameOf = (family: Family): string => `main-${round}-${family}`;
      const used = mains.use((family) => handlersOf(nameOf(family)));
      const names: Partial<Record<Family, string>> = {};
      for (const family of FAMILIES) {
        const socket = used[family];
        if (socket === undefined) continue;
        names[family] = nameOf(family);
        sockets.set(nameOf(family), socket);
      }
      servers = mains.servers;
      void relays?.release();
      relays = relay && relaysFor(plan, relay, used.ipv4 ?? used.ipv6);
      runner.deliver({
        kind: 'plan',
        plan,
        key,
        sockets: names,
        ...(relay && { relay: plan.predicted.strategy === 'relay' ? 'at-once' : 'at-last' }),
      });
    },
    hearRelayed: (endpoint) => relays?.hear(endpoint),
    wayThrough: (remote) => relays?.wayThrough(remote),
    ended: ended.promise,
    socket: (name) => sockets.get(name),
    stop: (code = 'stopped') => runner.deliver({ kind: 'stop', code }),
  };

  function perform(action: PuncherAction): void {
    switch (action.kind) {
      case 'send':
        sockets.get(action.socket)?.send(action.to, action.bytes, action.ttl);
        return;
      case 'open-socket':
        void openSocket(action);
        return;
      case 'close-socket':
        closeSocket(action.socket);
        if (isClosed && sockets.size === 0) end();
        return;
      case 'relay':
        relays!.open();
        return;
      case 'renew':
        run.onRenew(action.attempt);
        return;
    }
  }

  function relaysFor(plan: PunchPlan, relay: Relay, main: PunchSocket<Raw> | undefined): Relays {
    const isCurrent = (): boolean => relays === own;
    const deliver = (input: PuncherInput): void => {
      if (isCurrent()) runner.deliver(input);
    };
    const own = new Relays({
      relay,
      peers: plan.peer.candidates.filter(({ kind }) => kind !== 'private').map(({ endpoint }) => endpoint),
      local: main?.local,
      onAllocated: (endpoint) => {
        if (isCurrent()) run.onRelayed(endpoint);
      },
      onFound: (remote) => deliver({ kind: 'relay-found', remote }),
      onFailed: (text) => {
        deliver({ kind: 'relay-failed', side: 'own', text });
        if (isCurrent()) run.onRelayed(undefined);
      },
      onPeerFailed: () => deliver({ kind: 'relay-failed', side: 'peer' }),
      onError: fail,
    });
    return own;
  }

  function emit(event: PuncherEvent): void {
    // Whatever comes later is not for this punch.
    isClosed ||= event.kind === 'closed';
    if (event.kind === 'open' && relays?.isOwn(event.remote) === false) void relays.release();
    if (event.kind === 'lost') void relays?.release();
    if (event.kind === 'failed' || (isClosed && sockets.size === 0)) end();
    run.onEvent(event);
  }

  function fail(error: unknown): void {
    end();
    run.onError(error);
  }

  function end(): void {
    runner.stop();
    for (const name of [...sockets.keys()]) closeSocket(name);
    void Promise.resolve(relays?.release()).then(() => ended.resolve(undefined));
  }

  async function openSocket({ socket, family, localPorts }: OpenAction): Promise<void> {
    const towards = servers[family];
    sockets.set(socket, undefined);
    if (opening.pending === 0) opening = { asked: 0, pending: 0, failed: 0, code: '' };
    opening.asked++;
    opening.pending++;
    const opened = towards && (await openOnOneOf(portsToTry(localPorts), family, towards, socket));
    opening.pending--;
    if (opening.pending === 0 && opening.failed > 0 && sockets.has(socket))
      run.onTrouble(
        new NatprobeError(
          'ERR_FEW_SOCKETS',
          'the punch',
          `${opening.failed} of ${opening.asked} not: ${opening.code}`,
        ),
      );
    // What was not wanted any more when it was there is closed, and nobody is told.
    if (!sockets.has(socket)) {
      opened?.close();
      return;
    }
    if (opened === undefined) sockets.delete(socket);
    else sockets.set(socket, opened);
    runner.deliver({ kind: opened === undefined ? 'socket-failed' : 'socket-opened', socket });
  }

  async function openOnOneOf(
    ports: readonly number[],
    family: Family,
    towards: Endpoint,
    socket: string,
  ): Promise<PunchSocket<Raw> | undefined> {
    for (const port of ports) {
      try {
        return await run.open(family, port, towards, handlersOf(socket));
      } catch (error) {
        const code = systemErrorCode(error);
        // Of a range of ports some may be taken; that there are no more sockets is another matter.
        if (code === 'EADDRINUSE') continue;
        opening.failed++;
        opening.code = code;
        return undefined;
      }
    }
    return undefined;
  }

  function handlersOf(socket: string): UdpHandlers {
    return {
      onDatagram: (from, bytes) => {
        run.onDatagram(from, bytes);
        runner.deliver({ kind: 'datagram', socket, from, bytes });
      },
      // Routers refuse what they don't let in, until the other side's packet has opened the way.
      onRefused: () => undefined,
    };
  }

  function closeSocket(name: string): void {
    sockets.get(name)?.close();
    sockets.delete(name);
  }
}

type OpenAction = Extract<PuncherAction, { kind: 'open-socket' }>;

const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

/** All of the range, in an order that nobody else has; or one of the system's choice. */
function portsToTry(range: OpenAction['localPorts']): number[] {
  if (range === undefined) return [0];
  const ports = Array.from({ length: range.last - range.first + 1 }, (_, index) => range.first + index);
  for (let index = ports.length - 1; index > 0; index--) {
    const other = randomInt(index + 1);
    [ports[index], ports[other]] = [ports[other]!, ports[index]!];
  }
  return ports;
}
