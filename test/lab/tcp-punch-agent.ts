/** One side of a punch over TCP inside a namespace: told by lines of JSON what a broker would say, and answers so. */
import { createInterface } from 'node:readline';
import type { Socket } from 'node:net';
import { runTcpPuncher } from '../../probe/drive/run-tcp-puncher.ts';
import { openTcpPorts, type TcpPorts } from '../../probe/drive/tcp-ports.ts';
import { type Endpoint, familyOf } from '../../shared/endpoint.ts';
import type { PunchPlan } from '../../shared/punch/plan.ts';

export type Told =
  | { readonly kind: 'register'; readonly server: Endpoint }
  | { readonly kind: 'plan'; readonly plan: PunchPlan; readonly key: string };

export type Said =
  | { readonly kind: 'registered'; readonly public: Endpoint; readonly private: readonly Endpoint[] }
  | { readonly kind: 'renew'; readonly attempt: number }
  | {
      readonly kind: 'open';
      readonly strategy: string;
      readonly path: string;
      readonly tookMs: number;
      readonly attempt: number;
      readonly remote: string;
    }
  /** What came through the connection to its end. */
  | { readonly kind: 'carried'; readonly text: string }
  | { readonly kind: 'failed'; readonly code: string; readonly tookMs: number }
  | { readonly kind: 'error'; readonly text: string };

const NONCE = '00'.repeat(16);
let ports: TcpPorts | undefined;

const puncher = runTcpPuncher({
  onRenew: (attempt) => say({ kind: 'renew', attempt }),
  onOpen: (socket, { strategy, path, tookMs, attempt, remote }) => {
    say({ kind: 'open', strategy, path, tookMs, attempt, remote: remote.address });
    exchange(socket);
  },
  onFailed: ({ reason, tookMs }) => say({ kind: 'failed', code: reason.code, tookMs }),
  onError: (error) => say({ kind: 'error', text: String(error) }),
});

for await (const line of createInterface({ input: process.stdin })) {
  const told = JSON.parse(line) as Told;
  if (told.kind === 'plan') puncher.begin(told.plan, Buffer.from(told.key, 'hex'), ports!);
  else await register(told.server);
}
puncher.stop();

async function register(server: Endpoint): Promise<void> {
  try {
    ports = await openTcpPorts({ servers: { [familyOf(server.address)]: server }, nonce: NONCE });
    const { tcp, private: own } = ports.candidates;
    say({ kind: 'registered', public: tcp[0]!.mapped, private: own });
  } catch (error) {
    say({ kind: 'error', text: String(error) });
  }
}

/** Both write at once, and end. */
function exchange(socket: Socket): void {
  let text = '';
  socket.on('error', (error) => say({ kind: 'error', text: String(error) }));
  socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  socket.on('end', () => say({ kind: 'carried', text }));
  socket.resume();
  socket.end(`from port ${socket.localPort}`);
}

function say(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
