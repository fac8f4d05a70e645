/**
 * What `npm run bench:broker` holds the broker against: a bare WebSocket server that reads the same
 * frames on the same connections, and sends both peers of an introduction a frame as long as a plan.
 */
import { type WebSocket, WebSocketServer } from 'ws';

const [port = '0', planBytes = '0'] = process.argv.slice(2);
const peers = new Map<string, WebSocket>();
const padding = 'x'.repeat(Number(planBytes));
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(port), perMessageDeflate: false });
server.on('connection', (socket) => {
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as { kind: string; name: string; id: number; peer: string };
    const answer = (to: WebSocket | undefined, more: object): void => to?.send(JSON.stringify(more));
    if (message.kind === 'hello') {
      peers.set(message.name, socket);
      answer(socket, { kind: 'welcome', nonce: '00'.repeat(16) });
    } else if (message.kind === 'candidates') answer(socket, { kind: 'registered' });
    else if (message.kind === 'introduce') {
      answer(socket, { kind: 'plan', id: message.id, introduction: 1, padding });
      answer(peers.get(message.peer), { kind: 'plan', introduction: 1, padding });
    }
  });
});
server.on('listening', () => process.stdout.write('ready\n'));
