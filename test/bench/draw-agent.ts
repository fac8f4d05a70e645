/** Inside a namespace: sends each request (arguments, hexadecimal) once to 203.0.113.10:3478, and prints how many bytes each drew. */
import { createSocket } from 'node:dgram';
import { SERVER_ADDRESSES } from '../lab/internet.ts';

/** On a path without loss or delay. */
const WAIT_MS = 500;

async function bytesDrawn(request: Buffer): Promise<number> {
  const socket = createSocket('udp4');
  let drawn = 0;
  socket.on('message', (bytes) => (drawn += bytes.length));
  socket.send(request, 3478, SERVER_ADDRESSES.ipv4.primary);
  await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  socket.close();
  return drawn;
}

const drawn = await Promise.all(process.argv.slice(2).map((hex) => bytesDrawn(Buffer.from(hex, 'hex'))));
process.stdout.write(`${JSON.stringify(drawn)}\n`);
