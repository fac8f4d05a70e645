/** A NATS that ends the connection while natprobed stops: what is under way then is lost, and nothing else. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { openNats } from '../../../server/nats/open.ts';

/** More than the buffers of both sides take, so that the client cannot finish what it has to send. */
const LOAD = new Uint8Array(1_000_000);
const LOADS = 8;
const ROUNDS = 20;
const INFO = { server_id: 'test', version: '2.10.0', proto: 1, headers: true, max_payload: LOAD.length };

let server: Server;
const peers: Socket[] = [];
afterEach(() => {
  for (const peer of peers.splice(0)) peer.destroy();
  server.close();
});

/** Says no more of NATS's protocol than a client waits for before it is connected. */
async function startServer(): Promise<string> {
  server = createServer({ allowHalfOpen: true }, (peer) => {
    peers.push(peer);
    peer.on('error', () => undefined);
    peer.on('data', (bytes) => {
      if (bytes.includes('PING') && peer.writable) peer.write('PONG\r\n');
    });
    peer.write(`INFO ${JSON.stringify(INFO)}\r\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('does not hear of it by an error that nobody catches', async () => {
  const address = await startServer();
  const uncaught: unknown[] = [];
  const onUncaught = (error: unknown): number => uncaught.push(error);
  // Else the runner's own listeners would have it.
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', onUncaught);
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const link = openNats({ servers: [address] }, () => undefined);
      const connection = await link.connected;
      const peer = peers.pop()!;
      peer.pause();
      peer.end();
      for (let i = 0; i < LOADS; i++) connection.publish('load', LOAD);
      // From before the end is known to after it.
      const until = performance.now() + (4 * round) / ROUNDS;
      while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
      connection.publish('last', 'word');
      await link.close();
      peer.destroy();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  } finally {
    process.removeListener('uncaughtException', onUncaught);
    for (const listener of listeners) process.on('uncaughtException', listener);
  }
  expect(uncaught).toEqual([]);
});
