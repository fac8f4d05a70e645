/** Runs inside a namespace: opens a socket on one port again and again, `local-port-agent.ts PORT COUNT`. Fails as that does. */
import { openUdpSocket } from '../../probe/drive/udp.ts';

const [port = '', count = ''] = process.argv.slice(2);
const towards = { address: '127.0.0.1', port: 3478 };
const handlers = { onDatagram: () => undefined, onRefused: () => undefined };
for (let opened = 0; opened < Number(count); opened++)
  (await openUdpSocket('ipv4', Number(port), towards, handlers)).close();
