/** Runs inside a namespace: sends datagrams through one socket as a punch does, some with a low TTL: `ttl-agent.ts ADDRESS PORT TTL COUNT`. */
import { openUdpSocket } from '../../probe/drive/udp.ts';
import { familyOf } from '../../shared/endpoint.ts';

const [address = '', port = '', ttl = '', count = ''] = process.argv.slice(2);
const to = { address, port: Number(port) };
const socket = await openUdpSocket(familyOf(address), 0, to, {
  onDatagram: () => undefined,
  onRefused: () => undefined,
});
// In bursts within one turn of the loop, where the one's TTL could become the other's.
for (let sent = 0; sent < Number(count); sent++) {
  socket.send(to, Buffer.from('high'));
  socket.send(to, Buffer.from('low'), Number(ttl));
  if (sent % 10 === 9) await new Promise((resolve) => setTimeout(resolve, 1));
}
socket.close();
