/**
 * `IP PORT`: the least that a server does by node:dgram. It reads nothing, counts nothing, learns nothing of its sends,
 * and sends back as many bytes as natprobed's answer to 20 has, with the request's transaction id. What it reaches is
 * the ceiling of whatever answers by node:dgram; it is no server to run.
 */
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { BINDING_SUCCESS, HEADER_LENGTH } from '../../../shared/stun/registry.ts';

const [ip = '', port = ''] = process.argv.slice(2);
const family = isIPv6(ip) ? 6 : 4;
const BUFFER_BYTES = 4 << 20;

const answer = Buffer.alloc(family === 4 ? 68 : 92);
answer.writeUInt16BE(BINDING_SUCCESS, 0);
answer.writeUInt16BE(answer.length - HEADER_LENGTH, 2);
const socket = createSocket({
  type: `udp${family}`,
  recvBufferSize: BUFFER_BYTES,
  sendBufferSize: BUFFER_BYTES,
  lookup: (address, _options, callback) => callback(null, address, family),
});
socket.on('message', (request, from) => {
  request.copy(answer, 4, 4, HEADER_LENGTH);
  // A list, and no callback, take dgram the least.
  socket.send([answer], from.port, from.address);
});
socket.bind(Number(port), ip);
