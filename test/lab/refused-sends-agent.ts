/** Runs inside a namespace: `ADDRESS PORT COUNT`; sends so many requests, a burst a turn, and ends when they have been sent. */
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeMessage, transactionIdOf } from '../../shared/stun/message.ts';

const BURST = 50;
const PAUSE_MS = 20;
const [address, port, count] = process.argv.slice(2) as [string, string, string];
const request = encodeMessage({
  class: 'request',
  transactionId: transactionIdOf(Buffer.from('refused send')),
  attributes: [],
});

const socket = createSocket('udp4');
for (let sent = 0; sent < Number(count); sent += BURST) {
  const burst = Array.from(
    { length: BURST },
    () => new Promise((resolve) => socket.send(request, Number(port), address, resolve)),
  );
  await Promise.all(burst);
  await sleep(PAUSE_MS);
}
socket.close();
