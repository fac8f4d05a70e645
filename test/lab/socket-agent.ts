/**
 * Runs inside a namespace and opens, uses and reports plain sockets: one JSON command a line on
 * standard input, one JSON event a line on standard output (the unions below). It knows nothing of
 * STUN, so that what it finds about a NAT is independent of natprobe.
 */
import { createSocket, type Socket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { familyOf, type Endpoint } from '../../shared/endpoint.ts';

export type AgentCommand =
  /** Port 0 for a fresh one. `connectTo` gives a connected socket, which hears of ICMP errors. */
  | { kind: 'open'; socket: string; local: Endpoint; connectTo?: Endpoint }
  | { kind: 'send'; socket: string; to: Endpoint; text: string }
  /** Accepts TCP connections and reports each. */
  | { kind: 'listen'; socket: string; local: Endpoint }
  | { kind: 'connect'; socket: string; to: Endpoint }
  /** Draws `echoed`. */
  | { kind: 'echo'; socket: string };

export type AgentEvent =
  | { kind: 'opened'; socket: string; local: Endpoint }
  | { kind: 'received'; socket: string; from: Endpoint; text: string }
  | { kind: 'accepted'; socket: string; from: Endpoint }
  | { kind: 'connected'; socket: string }
  | { kind: 'echoed'; socket: string }
  | { kind: 'error'; socket: string; code: string };

const udpSockets = new Map<string, { socket: Socket; connected: boolean }>();

createInterface({ input: process.stdin })
  .on('line', (line) => carryOut(JSON.parse(line) as AgentCommand))
  .on('close', () => process.exit());

function carryOut(command: AgentCommand): void {
  const report = (error: NodeJS.ErrnoException): void =>
    tell({ kind: 'error', socket: command.socket, code: error.code ?? error.message });
  switch (command.kind) {
    case 'open': {
      const { local, connectTo } = command;
      const socket = createSocket(familyOf(local.address) === 'ipv4' ? 'udp4' : 'udp6');
      udpSockets.set(command.socket, { socket, connected: connectTo !== undefined });
      const opened = (): void => {
        const { address, port } = socket.address();
        tell({ kind: 'opened', socket: command.socket, local: { address, port } });
      };
      socket.on('error', report);
      socket.on('message', (bytes, from) =>
        tell({
          kind: 'received',
          socket: command.socket,
          from: { address: from.address, port: from.port },
          text: bytes.toString(),
        }),
      );
      socket.bind(local.port, local.address, () => {
        if (connectTo === undefined) opened();
        else socket.connect(connectTo.port, connectTo.address, opened);
      });
      return;
    }
    case 'send': {
      const { socket, connected } = udpSockets.get(command.socket)!;
      const sent = (error: Error | null): void => {
        if (error) report(error);
      };
      if (connected) socket.send(command.text, sent);
      else socket.send(command.text, command.to.port, command.to.address, sent);
      return;
    }
    case 'listen': {
      const server = createServer((connection) => {
        const { remoteAddress = '', remotePort = 0 } = connection;
        tell({
          kind: 'accepted',
          socket: command.socket,
          from: { address: remoteAddress, port: remotePort },
        });
        connection.end();
      });
      server.on('error', report);
      server.listen(command.local.port, command.local.address, () =>
        tell({ kind: 'opened', socket: command.socket, local: command.local }),
      );
      return;
    }
    case 'connect': {
      const connection = connect(command.to.port, command.to.address, () => {
        tell({ kind: 'connected', socket: command.socket });
        connection.end();
      });
      connection.on('error', report);
      return;
    }
    case 'echo':
      tell({ kind: 'echoed', socket: command.socket });
  }
}

function tell(event: AgentEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}
