/**
 * `IP PORT`: the least that a server does by node:dgram. It reads nothing, counts nothing, learns nothing of its sends,
 * and sends back as many bytes as natprobed's answer to 20 has, with the request's transaction id; as natprobed
 * does, it first receives what there is and then sends. What it reaches is the ceiling of whatever answers by
 * node:dgram; it is no server to run.
 */
import { type RemoteInfo, createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { BINDING_SUCCESS, HEADER_LENGTH } from '../../../shared/stun/registry.ts';

const [ip = '', listeningPort = ''] = process.argv.slice(2);
const family = isIPv6(ip) ? 6 : 4;
const BUFFER_BYTES = 4 << 20;

/** More than libuv reads of a socket in a row. */
const MOST = 64;

const answers = Array.from({ length: MOST }, () => {
  const answer = Buffer.alloc(family === 4 ? 68 : 92);
  answer.writeUInt16BE(BINDING_SUCCESS, 0);
  answer.writeUInt16BE(answer.length - HEADER_LENGTH, 2);
  return answer;
});
const sources: RemoteInfo[] = [];
const socket = createSocket({
  type: `udp${family}`,
  recvBufferSize: BUFFER_BYTES,
  sendBufferSize: BUFFER_BYTES,
  lookup: (address, _options, callback) => callback(null, address, family),
});
socket.on('message', (request, from) => {
  if (sources.length === 0) setImmediate(sendAll);
  request.copy(answers[sources.length]!, 4, 4, HEADER_LENGTH);
  if (sources.push(from) === MOST) sendAll();
});
socket.bind(Number(listeningPort), ip);

function sendAll(): void {
  for (const [index, { port, address }] of sources.entries()) socket.send(answers[index]!, port, address);
  sources.length = 0;
}
