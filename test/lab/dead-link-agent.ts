/**
 * Runs inside a namespace: `ADDRESS PORT`. Opens connections that say nothing, that have begun a message, and that have
 * had an answer and begun the next message; says `up` when all stand, and keeps them.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { encodeMessage, transactionIdOf } from '../../shared/stun/message.ts';

const [address, port] = process.argv.slice(2) as [string, string];
const request = encodeMessage({
  class: 'request',
  transactionId: transactionIdOf(Buffer.from('dead link...')),
  attributes: [],
});
const part = request.subarray(0, 11);

for (const said of [[], [part], [request, part]]) {
  const socket = connect(Number(port), address);
  await once(socket, 'connect');
  for (const bytes of said) socket.write(bytes);
  if (said.includes(request)) await once(socket, 'data');
}
console.log('up');
