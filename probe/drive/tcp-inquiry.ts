import { connect, createServer, type Server, type Socket } from 'node:net';
import type { InquiryResult } from '../classify/inquiry.ts';
import type { InquiryEvent } from '../classify/io.ts';
import type { TcpAction, TcpInput, TcpInquiryMachine } from '../classify/inquiries/tcp.ts';
import { type Endpoint, familyOf } from '../../shared/endpoint.ts';
import { StreamFramer } from '../../shared/stun/framing.ts';
import { errorOf } from '../../shared/thrown.ts';
import { aborted } from './aborted.ts';
import { createRunner } from './run-machine.ts';
import type { ProbeRun } from './run-probe.ts';
import { systemErrorCode, withoutZone } from './udp.ts';

/** An answer or indication is some hundred bytes; whoever sends more isn't answering. */
const MAX_MESSAGE_BYTES = 2048;

/**
 * Carries out the TCP inquiry on real sockets. Everything that was opened is closed when the promise
 * settles. Rejects with ERR_ABORTED if the signal says so.
 */
export function runTcpInquiry(
  machine: TcpInquiryMachine,
  run: Omit<ProbeRun<number>, 'socket'> = {},
): Promise<InquiryResult> {
  return new Promise((resolve, reject) => {
    const connections = new Map<string, Socket>();
    const listeners: Server[] = [];
    const runner = createRunner(machine, { perform, emit, fail });
    let over = false;
    if (run.signal?.aborted === true) {
      handleAbort();
      return;
    }
    run.signal?.addEventListener('abort', handleAbort, { once: true });
    runner.start();

    function perform(action: TcpAction): void {
      switch (action.kind) {
        case 'connect':
          openConnection(action.connection, action.localPort, action.to);
          return;
        case 'send':
          connections.get(action.connection)?.write(action.bytes);
          return;
        case 'listen':
          openListener(action.socket, action.local);
          return;
        case 'close-all':
          closeAll();
          return;
      }
    }

    function emit(event: InquiryEvent<number, InquiryResult>): void {
      if (event.kind === 'progress') run.onProgress?.(event.progress);
      else settle(() => resolve(event.result));
    }

    function openConnection(connection: string, localPort: number, to: Endpoint): void {
      const framer = new StreamFramer(MAX_MESSAGE_BYTES);
      const family = familyOf(to.address) === 'ipv4' ? 4 : 6;
      const socket = connect({ host: to.address, port: to.port, localPort, family, noDelay: true });
      let isConnected = false;
      connections.set(connection, socket);
      socket.on('connect', () => {
        isConnected = true;
        const local = { address: withoutZone(socket.localAddress!), port: socket.localPort! };
        deliver({ kind: 'connected', connection, local });
      });
      socket.on('data', (chunk) => {
        framer.push(chunk);
        for (let bytes = framer.next(); bytes !== undefined; bytes = framer.next()) {
          deliver({ kind: 'message', connection, bytes });
        }
        if (framer.failed !== undefined) socket.destroy();
      });
      // A connection that stood is told of when it is closed.
      socket.on('error', (error) => {
        if (!isConnected) deliver(failureOf(error, connection, localPort));
      });
      socket.on('close', () => {
        if (isConnected) deliver({ kind: 'closed', connection });
      });
    }

    function openListener(socket: string, local: Endpoint): void {
      const server = createServer((accepted) => {
        const { remoteAddress, remotePort } = accepted;
        accepted.on('error', () => undefined);
        accepted.destroy();
        if (remoteAddress === undefined || remotePort === undefined) return;
        deliver({
          kind: 'accepted',
          socket,
          from: { address: withoutZone(remoteAddress), port: remotePort },
        });
      });
      listeners.push(server);
      server.on('error', () => deliver({ kind: 'listen-failed', socket }));
      server.on('listening', () => deliver({ kind: 'listening', socket }));
      server.listen({ host: local.address, port: local.port, ipv6Only: true, exclusive: true });
    }

    function deliver(input: TcpInput): void {
      if (!over) runner.deliver(input);
    }

    function handleAbort(): void {
      fail(aborted('TCP', run.signal));
    }

    function fail(error: unknown): void {
      settle(() => reject(errorOf(error)));
    }

    function settle(report: () => void): void {
      if (over) return;
      over = true;
      runner.stop();
      run.signal?.removeEventListener('abort', handleAbort);
      closeAll();
      report();
    }

    function closeAll(): void {
      for (const socket of connections.values()) socket.destroy();
      for (const server of listeners) server.close();
    }
  });
}

function failureOf(error: Error, connection: string, localPort: number): TcpInput {
  switch (systemErrorCode(error)) {
    case 'EADDRINUSE':
    case 'EADDRNOTAVAIL':
    case 'EACCES':
      return { kind: 'port-taken', connection, localPort };
    case 'ECONNREFUSED':
    case 'ECONNRESET':
      return { kind: 'connect-failed', connection, reason: 'refused' };
    default:
      return { kind: 'connect-failed', connection, reason: 'unreachable' };
  }
}
