/** A machine that answers whatever it is sent over UDP, at every port: with the same, and with what claims to be a response. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Namespace } from './namespaces.ts';

export interface Stranger {
  /** How many datagrams it has answered. */
  readonly answered: number;
}

const PORT = 7;

/** Binding success responses (RFC 8489 §5) to what are Binding requests, without the key that they would take. */
const ANSWER = `
const socket = require("node:dgram").createSocket("udp4");
socket.on("message", (bytes, { port, address }) => {
  socket.send(bytes, port, address);
  socket.send(Buffer.concat([Buffer.from([1, 1]), bytes.subarray(2)]), port, address);
  console.log("answered");
});
socket.bind(${PORT}, () => console.log("ready"));
`;

/** It ends with its namespace. */
export async function startStranger(at: Namespace): Promise<Stranger> {
  await at.script(`
nft -f - <<END
table ip stranger {
  chain any {
    type nat hook prerouting priority dstnat;
    meta l4proto udp redirect to :${PORT}
  }
}
END
`);
  const child = at.spawn(process.execPath, ['-e', ANSWER], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout! });
  await once(lines, 'line');
  let answered = 0;
  lines.on('line', () => answered++);
  return {
    get answered() {
      return answered;
    },
  };
}
