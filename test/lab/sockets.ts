/** Plain sockets inside a namespace, driven from outside through an agent process (socket-agent.ts). */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Endpoint } from '../../shared/endpoint.ts';
import type { Namespace } from './namespaces.ts';
import type { AgentCommand, AgentEvent } from './socket-agent.ts';

export interface Datagram {
  readonly socket: string;
  readonly from: Endpoint;
  readonly text: string;
}

export interface Sockets {
  /** A UDP socket; resolves with its local endpoint. `connectTo` lets it hear of ICMP errors. */
  open(socket: string, local: Endpoint, connectTo?: Endpoint): Promise<Endpoint>;
  send(socket: string, to: Endpoint, text: string): void;
  /** The datagram of this text, once it is there; rejects after `timeoutMs`. */
  received(text: string, timeoutMs?: number): Promise<Datagram>;
  /** Every datagram so far. */
  readonly datagrams: readonly Datagram[];
  /** The error of that socket, once there is one. */
  failed(socket: string, timeoutMs?: number): Promise<string>;
  /** Whether that socket has reported an error so far. */
  hasFailed(socket: string): boolean;
  /** Accepts TCP connections at this endpoint. */
  listen(socket: string, local: Endpoint): Promise<void>;
  /** Opens a TCP connection; rejects with the error's code. */
  connect(socket: string, to: Endpoint): Promise<void>;
  /** Resolves once everything has been reported that had reached the sockets before the call. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

const AGENT = fileURLToPath(new URL('socket-agent.ts', import.meta.url));

export function openSockets(namespace: Namespace): Sockets {
  const agent = namespace.spawn(process.execPath, [AGENT], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(agent, 'close');
  const events: AgentEvent[] = [];
  const waiting = new Set<() => void>();
  createInterface({ input: agent.stdout! }).on('line', (line) => {
    events.push(JSON.parse(line) as AgentEvent);
    for (const look of [...waiting]) look();
  });

  const order = (command: AgentCommand): void => void agent.stdin!.write(`${JSON.stringify(command)}\n`);

  const eventually = <T>(
    find: (event: AgentEvent) => T | undefined,
    what: string,
    timeoutMs: number,
  ): Promise<T> =>
    new Promise((resolve, reject) => {
      const stop = (): void => {
        waiting.delete(look);
        clearTimeout(timer);
      };
      const look = (): void => {
        for (const event of events) {
          const found = find(event);
          if (found === undefined) continue;
          stop();
          resolve(found);
          return;
        }
      };
      const timer = setTimeout(() => {
        stop();
        reject(
          new Error(`${what} within ${timeoutMs} ms in ${namespace.name}; seen: ${JSON.stringify(events)}`),
        );
      }, timeoutMs);
      waiting.add(look);
      look();
    });

  const orderAndConfirm = <T>(
    command: AgentCommand,
    confirm: (event: AgentEvent) => T | undefined,
  ): Promise<T> => {
    order(command);
    return eventually(
      (event) => {
        if (event.socket !== command.socket) return undefined;
        return event.kind === 'error' ? { code: event.code } : confirm(event);
      },
      `no answer to ${command.kind} ${command.socket}`,
      REPLY_TIMEOUT_MS,
    ).then((outcome) => {
      if (isFailure(outcome)) throw new Error(`${command.kind} ${command.socket}: ${outcome.code}`);
      return outcome;
    });
  };

  let echoes = 0;
  const echo = (): Promise<true> =>
    orderAndConfirm({ kind: 'echo', socket: `echo ${echoes++}` }, (event) =>
      event.kind === 'echoed' ? true : undefined,
    );

  return {
    open: (socket, local, connectTo) =>
      orderAndConfirm(
        { kind: 'open', socket, local, ...(connectTo === undefined ? {} : { connectTo }) },
        (event) => (event.kind === 'opened' ? event.local : undefined),
      ),
    send: (socket, to, text) => order({ kind: 'send', socket, to, text }),
    received: (text, timeoutMs = REPLY_TIMEOUT_MS) =>
      eventually(
        (event) => (event.kind === 'received' && event.text === text ? event : undefined),
        `no datagram ${text}`,
        timeoutMs,
      ),
    get datagrams() {
      return events.filter((event) => event.kind === 'received');
    },
    failed: (socket, timeoutMs = REPLY_TIMEOUT_MS) =>
      eventually(
        (event) => (event.kind === 'error' && event.socket === socket ? event.code : undefined),
        `no error on ${socket}`,
        timeoutMs,
      ),
    hasFailed: (socket) => events.some((event) => event.kind === 'error' && event.socket === socket),
    listen: (socket, local) =>
      orderAndConfirm({ kind: 'listen', socket, local }, (event) =>
        event.kind === 'opened' ? true : undefined,
      ).then(() => undefined),
    connect: (socket, to) =>
      orderAndConfirm({ kind: 'connect', socket, to }, (event) =>
        event.kind === 'connected' ? true : undefined,
      ).then(() => undefined),
    async settled() {
      // The agent may read a command before a datagram of the same turn of its loop, but not of the turn before.
      await echo();
      await echo();
    },
    async close() {
      agent.stdin!.end();
      await ended;
    },
  };
}

/** Long, since the machine may be busy: nothing waits it out but a failure. */
const REPLY_TIMEOUT_MS = 10_000;

function isFailure(outcome: unknown): outcome is { code: string } {
  return typeof outcome === 'object' && outcome !== null && 'code' in outcome;
}
