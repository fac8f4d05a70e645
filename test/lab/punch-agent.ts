/**
 * Runs inside a namespace and punches with the library's own parts: one JSON command a line on standard
 * input, one JSON event a line on standard output (the unions below). Who tells it to has the broker's part.
 */
import type { Socket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { type MainSockets, openMainSockets, type OwnCandidates } from '../../probe/drive/main-sockets.ts';
import { type Punching, startPunching } from '../../probe/drive/punching.ts';
import type { Addresses } from '../../probe/drive/resolve.ts';
import { openUdpSocket } from '../../probe/drive/udp.ts';
import type { Hole, PunchReport } from '../../probe/hole.ts';
import { classify, type Report } from '../../probe/index.ts';
import type { Plan } from '../../shared/broker/messages.ts';
import type { Family } from '../../shared/endpoint.ts';

export type PunchCommand =
  | { kind: 'classify'; punch: number; server: string; families: Family[] }
  /** Fresh main sockets. */
  | { kind: 'register'; punch: number; servers: Addresses; nonce: string }
  /** With the sockets that were registered last. */
  | { kind: 'plan'; punch: number; plan: Plan; key: string }
  | { kind: 'send'; punch: number; text: string }
  | { kind: 'stop'; punch: number };

export type PunchAgentEvent = { punch: number } & (
  | { kind: 'classified'; report: Report }
  | { kind: 'registered'; candidates: OwnCandidates }
  | { kind: 'renew'; attempt: number }
  | { kind: 'open'; report: PunchReport }
  | { kind: 'failed'; report: PunchReport }
  | { kind: 'received'; text: string }
  | { kind: 'error'; text: string }
);

interface Punch {
  mains?: MainSockets<Socket>;
  punching?: Punching<Socket>;
  hole?: Hole<Socket>;
}

const punches = new Map<number, Punch>();

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line) as PunchCommand;
    carryOut(command).catch((error: unknown) => fail(command.punch, error));
  })
  .on('close', () => process.exit());

async function carryOut(command: PunchCommand): Promise<void> {
  const id = command.punch;
  const punch = punches.get(id) ?? {};
  punches.set(id, punch);
  switch (command.kind) {
    case 'classify': {
      const { server, families } = command;
      tell({ kind: 'classified', punch: id, report: await classify({ server, families, full: true }) });
      return;
    }
    case 'register': {
      const { servers, nonce } = command;
      punch.mains = await openMainSockets({ servers, nonce, open: openUdpSocket });
      tell({ kind: 'registered', punch: id, candidates: punch.mains.candidates });
      return;
    }
    case 'plan': {
      const mains = punch.mains!;
      const start = { plan: command.plan, key: Buffer.from(command.key, 'hex'), mains };
      if (punch.punching !== undefined) punch.punching.begin(start);
      else
        punch.punching = startPunching(start, {
          open: openUdpSocket,
          onRenew: (attempt) => tell({ kind: 'renew', punch: id, attempt }),
          onOpen: (hole) => {
            punch.hole = hole;
            hole.on('message', (bytes) =>
              tell({ kind: 'received', punch: id, text: Buffer.from(bytes).toString() }),
            );
            tell({ kind: 'open', punch: id, report: hole.report });
          },
          onFailed: (report) => tell({ kind: 'failed', punch: id, report }),
          onError: (error) => fail(id, error),
        });
      // The punch has them now.
      mains.close();
      return;
    }
    case 'send':
      punch.hole?.send(Buffer.from(command.text));
      return;
    case 'stop':
      punch.punching?.stop();
      punches.delete(id);
      return;
  }
}

function fail(punch: number, error: unknown): void {
  tell({
    kind: 'error',
    punch,
    text: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
}

function tell(event: PunchAgentEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}
