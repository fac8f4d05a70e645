/** A UDP program of the system's own making: it sends back what it gets, and another that asks it. */
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import type { Namespace } from './namespaces.ts';

export interface UdpEcho {
  readonly port: number;
  /** Sends datagrams of these sizes to a port of `from`'s loopback; the sizes of what comes back. */
  ask(from: Namespace, port: number, sizes: readonly number[]): Promise<number[]>;
  stop(): void;
}

const SERVE = `
const socket = require("node:dgram").createSocket("udp4");
socket.on("message", (bytes, { port, address }) => socket.send(bytes, port, address));
socket.bind(0, "127.0.0.1", () => console.log(socket.address().port));
`;

const ASK = `
const [port, ...sizes] = process.argv.slice(1).map(Number);
const socket = require("node:dgram").createSocket("udp4");
const got = [];
const end = () => { console.log(JSON.stringify(got)); process.exit(); };
socket.on("message", (bytes) => { got.push(bytes.length); if (got.length === sizes.length) end(); });
for (const size of sizes) socket.send(Buffer.alloc(size, 1), port, "127.0.0.1");
setTimeout(end, 5000);
`;

export async function startUdpEcho(at: Namespace): Promise<UdpEcho> {
  const child = at.spawn(process.execPath, ['-e', SERVE], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  return {
    port: Number(port),
    async ask(from, to, sizes) {
      const { stdout } = await from.run(process.execPath, ['-e', ASK, String(to), ...sizes.map(String)]);
      return JSON.parse(stdout) as number[];
    },
    stop: () => void child.kill(),
  };
}
