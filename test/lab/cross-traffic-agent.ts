/**
 * The flows of another inside host: `cross-traffic-agent.ts FROM TO PORT FLOWS-PER-SECOND`. Each is
 * one packet from a fresh port, at exponential intervals, until the process is ended.
 */
import { createSocket } from 'node:dgram';

const [from, to, port, flowsPerSecond] = process.argv.slice(2);

function startFlow(): void {
  const socket = createSocket('udp4');
  socket.bind({ address: from!, port: 0, exclusive: true }, () => {
    socket.send('another flow', Number(port), to, () => socket.close());
  });
  setTimeout(startFlow, (-1000 / Number(flowsPerSecond)) * Math.log(1 - Math.random()));
}

startFlow();
