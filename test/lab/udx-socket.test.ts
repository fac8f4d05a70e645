/** The sockets that carry streams, seen from outside: which of their datagrams get past a router. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { openInternet, SERVER_ADDRESSES } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { labNat } from './nats.ts';

const LISTEN = `
const socket = require("node:dgram").createSocket("udp4");
socket.on("message", (bytes) => console.log(String(bytes)));
socket.bind(0, "0.0.0.0", () => console.log(socket.address().port));
`;

/** The TTL of each, as it is sent; 0 is the system's. */
const TTLS = [0, 1, 0, 2, 0, 0, 1, 64, 1];

const SEND = `
import { openUdxSocket } from ${JSON.stringify(new URL('../../probe/streams/udx-socket.ts', import.meta.url).href)};
const [address, port] = process.argv.slice(1);
const to = { address, port: Number(port) };
const socket = await openUdxSocket('ipv4', 0, to, { onDatagram() {}, onRefused() {} });
${JSON.stringify(TTLS)}.forEach((ttl, index) =>
  socket.send(to, Buffer.from(index + ' with ' + ttl), ttl === 0 ? undefined : ttl));
setTimeout(() => { socket.send(to, Buffer.from('end')); setTimeout(() => socket.close(), 100); }, 100);
`;

describeIf(labMissing())('a socket that carries streams', () => {
  it('gives a TTL to the datagrams that want one, and to no others', async () => {
    const internet = await openInternet();
    try {
      const site = await internet.attach(labNat('port-restricted-cone'));
      const listener = internet.server.spawn(process.execPath, ['-e', LISTEN], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines = createInterface({ input: listener.stdout! });
      const [port] = (await once(lines, 'line')) as [string];
      const heard: string[] = [];
      lines.on('line', (line) => heard.push(line));
      const { primary } = SERVER_ADDRESSES.ipv4;
      await site.client.run(process.execPath, ['--input-type=module', '-e', SEND, primary, port]);
      await expect.poll(() => heard.at(-1)).toBe('end');
      // Its gateway and the lab's router stand between: 3 would do.
      const far = TTLS.flatMap((ttl, index) => (ttl === 0 || ttl > 2 ? [`${index} with ${ttl}`] : []));
      expect(heard).toEqual([...far, 'end']);
    } finally {
      await internet.close();
    }
  });
});
