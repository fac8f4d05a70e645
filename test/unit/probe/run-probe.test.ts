/** The driver: a played machine on real loopback sockets. */
import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import type { ClassifierAction, ClassifierInput } from '../../../probe/classify/io.ts';
import { runProbe } from '../../../probe/drive/run-probe.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { encodeMessage, type TransactionId } from '../../../shared/stun/message.ts';
import { RESULT, ScriptedMachine } from './scripted-machine.ts';

const LOOPBACK = '127.0.0.1';
type OpenSocket = Extract<ClassifierAction, { kind: 'open-socket' }>;

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function bind(port = 0, address = LOOPBACK): Promise<Socket> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind(port, address);
  await once(socket, 'listening');
  closers.push(() => {
    try {
      socket.close();
    } catch {
      // Closed by the test already.
    }
  });
  return socket;
}

/** A UDP port of loopback that nobody holds. */
async function freePort(): Promise<number> {
  const socket = await bind();
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

function endpointOf(socket: Socket): Endpoint {
  const { address, port } = socket.address();
  return { address, port };
}

function openSocket(port = 0, towards: Endpoint = { address: LOOPBACK, port: 9 }): OpenSocket {
  return { kind: 'open-socket', socket: 'mapping', family: 'ipv4', port, given: port !== 0, towards };
}

function localOf(machine: ScriptedMachine): Endpoint {
  const opened = machine.inputs.find((input) => input.kind === 'socket-opened');
  if (opened?.kind !== 'socket-opened') throw new Error('no socket was opened');
  return opened.local;
}

describe('UDP', () => {
  it('opens, sends from the reported local endpoint, hands over what comes back, and closes', async () => {
    const server = await bind();
    server.on('message', (bytes, from) =>
      server.send(Buffer.from(`re ${bytes.toString()}`), from.port, from.address),
    );
    const machine = new ScriptedMachine().want(openSocket(0, endpointOf(server)));
    const seen: Endpoint[] = [];
    server.on('message', (_bytes, { address, port }) => seen.push({ address, port }));
    machine.onInput = (input) => {
      if (input.kind === 'socket-opened') {
        machine.want({ kind: 'send', socket: 'mapping', to: endpointOf(server), bytes: Buffer.from('a') });
      }
      if (input.kind === 'datagram') machine.end();
    };
    expect(await runProbe(machine)).toEqual(RESULT);
    const local = localOf(machine);
    expect(local).toEqual({ address: LOOPBACK, port: expect.any(Number) as number });
    expect(seen).toEqual([local]);
    expect(machine.inputs).toEqual([
      { kind: 'socket-opened', socket: 'mapping', local },
      { kind: 'datagram', socket: 'mapping', from: endpointOf(server), bytes: Buffer.from('re a') },
    ]);
    await bind(local.port, '0.0.0.0');
  });

  it('binds the local port that is asked for', async () => {
    const port = await freePort();
    const machine = new ScriptedMachine().want(openSocket(port));
    machine.onInput = () => machine.end();
    await runProbe(machine);
    expect(localOf(machine)).toEqual({ address: LOOPBACK, port });
  });

  it('binds the local address that is asked for, whatever the route says', async () => {
    const server = await bind(0, '0.0.0.0');
    const to = { address: LOOPBACK, port: server.address().port };
    const machine = new ScriptedMachine().want({ ...openSocket(0, to), localAddress: '127.0.0.2' });
    machine.onInput = (input) => {
      if (input.kind === 'datagram') machine.end();
      else machine.want({ kind: 'send', socket: 'mapping', to, bytes: Buffer.from('a') });
    };
    const seen: Endpoint[] = [];
    server.on('message', (_bytes, { address, port }) => {
      seen.push({ address, port });
      server.send('b', port, address);
    });
    await runProbe(machine);
    expect(localOf(machine).address).toBe('127.0.0.2');
    expect(seen).toEqual([localOf(machine)]);
  });

  it('tells the machine of a local address that this machine has not', async () => {
    const machine = new ScriptedMachine().want({ ...openSocket(), localAddress: '192.0.2.77' });
    machine.onInput = () => machine.end();
    await runProbe(machine);
    expect(machine.inputs).toEqual([{ kind: 'socket-failed', socket: 'mapping', code: 'EADDRNOTAVAIL' }]);
  });

  it('says ERR_LOCAL_PORT for a local port that is taken', async () => {
    const holder = await bind(0, '0.0.0.0');
    const { port } = holder.address();
    await expect(runProbe(new ScriptedMachine().want(openSocket(port)))).rejects.toMatchObject({
      code: 'ERR_LOCAL_PORT',
      exitCode: 2,
      message: `local port ${port}: the local port cannot be bound (EADDRINUSE); choose another --local-port, or stop what holds it`,
    });
  });

  it('leaves a port that the machine chose itself and is taken to the machine', async () => {
    const holder = await bind(0, '0.0.0.0');
    const machine = new ScriptedMachine().want({ ...openSocket(holder.address().port), given: false });
    machine.onInput = () => machine.end();
    await runProbe(machine);
    expect(machine.inputs).toEqual([{ kind: 'socket-failed', socket: 'mapping', code: 'EADDRINUSE' }]);
  });

  it('reports the ICMP error for a closed port on a connected socket', async () => {
    const to = { address: LOOPBACK, port: await freePort() };
    const machine = new ScriptedMachine().want({ kind: 'open-connected-socket', socket: 'refusal', to });
    machine.onInput = (input) => {
      if (input.kind === 'socket-opened') {
        machine.want({ kind: 'send', socket: 'refusal', to, bytes: Buffer.from('a') });
      }
      if (input.kind === 'refused') machine.end();
    };
    await runProbe(machine);
    expect(machine.inputs.slice(1)).toEqual([{ kind: 'refused', to, reason: 'port-unreachable' }]);
  });

  it('tells the machine of a socket that could not be opened', async () => {
    // A link-local address without its interface is one that no system can route.
    const machine = new ScriptedMachine().want({
      kind: 'open-socket',
      socket: 'mapping',
      family: 'ipv6',
      port: 0,
      given: false,
      towards: { address: 'fe80::1', port: 9 },
    });
    machine.onInput = () => machine.end();
    await runProbe(machine);
    expect(machine.inputs).toEqual([
      { kind: 'socket-failed', socket: 'mapping', code: expect.stringMatching(/^E[A-Z]+$/) as string },
    ]);
  });

  it('uses the socket of the caller, and leaves it open and as it was', async () => {
    const server = await bind();
    server.on('message', (bytes, from) => server.send(bytes, from.port, from.address));
    const own = await bind(0, '0.0.0.0');
    const { port } = own.address();
    const machine = new ScriptedMachine().want(openSocket(port, endpointOf(server)));
    machine.onInput = (input) => {
      if (input.kind === 'socket-opened') {
        machine.want({ kind: 'send', socket: 'mapping', to: endpointOf(server), bytes: Buffer.from('a') });
      }
      if (input.kind === 'datagram') machine.end();
    };
    await runProbe(machine, { socket: own });
    expect(localOf(machine)).toEqual({ address: LOOPBACK, port });
    expect(own.address().port).toBe(port);
    expect(own.listenerCount('message')).toBe(0);
  });
});

describe('TCP', () => {
  const transactionId = '0123456789abcdef01234567' as TransactionId;
  const request = encodeMessage({ class: 'request', transactionId, attributes: [] });

  async function listen(
    onData: (reply: (bytes: Uint8Array) => void, end: () => void) => void,
  ): Promise<Server> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', () =>
        onData(
          (bytes) => void socket.write(bytes),
          () => socket.end(),
        ),
      );
    });
    server.listen(0, LOOPBACK);
    await once(server, 'listening');
    closers.push(() => server.close());
    return server;
  }

  async function attempt(to: Endpoint, until: ClassifierInput['kind']): Promise<ClassifierInput[]> {
    const machine = new ScriptedMachine().want({ kind: 'connect-tcp', attempt: 'tcp', to, bytes: request });
    machine.onInput = (input) => {
      if (input.kind === until) machine.end();
    };
    await runProbe(machine);
    return machine.inputs;
  }

  function portOf(server: Server): number {
    return (server.address() as AddressInfo).port;
  }

  it('reports the connection and then the answer to the request, however it is cut', async () => {
    const answer = encodeMessage({ class: 'success', transactionId, attributes: [] });
    const other = encodeMessage({
      class: 'success',
      transactionId: 'ffffffffffffffffffffffff' as TransactionId,
      attributes: [],
    });
    const server = await listen((reply) => {
      reply(other);
      reply(answer.subarray(0, 7));
      setImmediate(() => reply(answer.subarray(7)));
    });
    expect(await attempt({ address: LOOPBACK, port: portOf(server) }, 'tcp-answered')).toEqual([
      { kind: 'tcp-connected', attempt: 'tcp' },
      { kind: 'tcp-answered', attempt: 'tcp', bytes: new Uint8Array(answer) },
    ]);
  });

  it('takes neither an echo nor other bytes for an answer', async () => {
    const server = await listen((reply, end) => {
      reply(request);
      reply(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'));
      end();
    });
    expect(await attempt({ address: LOOPBACK, port: portOf(server) }, 'tcp-failed')).toEqual([
      { kind: 'tcp-connected', attempt: 'tcp' },
      { kind: 'tcp-failed', attempt: 'tcp', reason: 'closed' },
    ]);
  });

  it('reports a reset as refused', async () => {
    const server = await listen(() => undefined);
    const port = portOf(server);
    server.close();
    await once(server, 'close');
    expect(await attempt({ address: LOOPBACK, port }, 'tcp-failed')).toEqual([
      { kind: 'tcp-failed', attempt: 'tcp', reason: 'refused' },
    ]);
  });
});

describe('time and ends', () => {
  it('calls handleTimeout once, not before its time', async () => {
    const machine = new ScriptedMachine();
    const wanted = performance.now() + 30;
    machine.timeoutAt = wanted;
    machine.onTimeout = () => machine.end();
    await runProbe(machine);
    expect(machine.timeouts).toHaveLength(1);
    expect(machine.timeouts[0]).toBeGreaterThanOrEqual(wanted);
  });

  it('calls handleTimeout at once for a time that has passed, but not inside a poll', async () => {
    const machine = new ScriptedMachine();
    machine.timeoutAt = performance.now() - 1000;
    machine.onTimeout = () => machine.end();
    const done = runProbe(machine);
    expect(machine.timeouts).toEqual([]);
    await done;
    expect(machine.timeouts).toHaveLength(1);
  });

  it('passes on progress before the result', async () => {
    const machine = new ScriptedMachine();
    const { outcome } = RESULT;
    if (outcome.kind !== 'verdict') throw new Error('unreachable');
    machine.tell({ kind: 'progress', progress: outcome.verdict });
    machine.end();
    const seen: string[] = [];
    await runProbe(machine, { onProgress: ({ type }) => seen.push(type) });
    expect(seen).toEqual(['open']);
  });

  it('closes its sockets and says ERR_ABORTED when the signal says so', async () => {
    const abort = new AbortController();
    const machine = new ScriptedMachine().want(openSocket());
    machine.onInput = () => setImmediate(() => abort.abort(new Error('enough')));
    await expect(runProbe(machine, { signal: abort.signal })).rejects.toMatchObject({
      code: 'ERR_ABORTED',
      cause: new Error('enough'),
    });
    await bind(localOf(machine).port, '0.0.0.0');
  });

  it('tells the machine to stop, once, when asked to conclude, and resolves with what it says', async () => {
    const conclude = new AbortController();
    const machine = new ScriptedMachine().want(openSocket());
    machine.onInput = (input) => {
      if (input.kind === 'socket-opened') setImmediate(() => conclude.abort());
      if (input.kind === 'stop') machine.end();
    };
    expect(await runProbe(machine, { concludeSignal: conclude.signal })).toEqual(RESULT);
    expect(machine.inputs.map(({ kind }) => kind)).toEqual(['socket-opened', 'stop']);
  });

  it('tells it at once when that has been asked already', async () => {
    const machine = new ScriptedMachine().want(openSocket());
    machine.onInput = () => machine.end();
    expect(await runProbe(machine, { concludeSignal: AbortSignal.abort() })).toEqual(RESULT);
    expect(machine.inputs).toEqual([{ kind: 'stop' }]);
  });

  it('opens nothing when the signal has spoken already', async () => {
    const machine = new ScriptedMachine().want(openSocket());
    await expect(runProbe(machine, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_ABORTED',
    });
    expect(machine.pollAction()).toBeDefined();
  });

  it('closes its sockets and rejects when the machine throws', async () => {
    const machine = new ScriptedMachine().want(openSocket());
    machine.onInput = () => {
      throw new Error('a bug');
    };
    await expect(runProbe(machine)).rejects.toThrow('a bug');
    await bind(localOf(machine).port, '0.0.0.0');
  });

  it('rejects when the machine sends from a socket that is not open', async () => {
    const machine = new ScriptedMachine().want({
      kind: 'send',
      socket: 'mapping',
      to: { address: LOOPBACK, port: 9 },
      bytes: new Uint8Array(1),
    });
    await expect(runProbe(machine)).rejects.toThrow(
      'the machine sent from socket mapping, which is not open',
    );
  });
});
