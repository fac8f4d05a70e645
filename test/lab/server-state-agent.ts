/** Runs inside a namespace: `ADDRESS PORT HTTP-PORT`; says whether natprobed answers there over UDP and TCP, and is ready. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { encodeMessage, transactionIdOf } from '../../shared/stun/message.ts';

export interface ServerState {
  readonly udp: boolean;
  readonly tcp: boolean;
  /** The status of /readyz. */
  readonly ready: number;
}

const TIMEOUT_MS = 1500;
const [address, port, httpPort] = process.argv.slice(2) as [string, string, string];
const request = encodeMessage({
  class: 'request',
  transactionId: transactionIdOf(Buffer.from('state agent.')),
  attributes: [],
});

const socket = createSocket('udp4');
socket.send(request, Number(port), address, () => undefined);
const connection = connect(Number(port), address);
connection.write(request);
const [udp, tcp] = await Promise.all([happens(once(socket, 'message')), happens(once(connection, 'data'))]);
const { status: ready } = await fetch(`http://127.0.0.1:${httpPort}/readyz`);
process.stdout.write(JSON.stringify({ udp, tcp, ready } satisfies ServerState));
process.exit();

function happens(event: Promise<unknown>): Promise<boolean> {
  const timeout = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), TIMEOUT_MS));
  const heard = event.then(
    () => true,
    () => false,
  );
  return Promise.race([heard, timeout]);
}
