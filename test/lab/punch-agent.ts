/**
 * Runs inside a namespace: a member of a room, through the library. One JSON command a line on standard
 * input, one JSON event a line on standard output (the unions below).
 */
import type { Socket } from 'node:dgram';
import { createInterface } from 'node:readline';
import type { Hole, PunchReport } from '../../probe/hole.ts';
import {
  classify,
  join,
  type Membership,
  NatprobeError,
  PunchFailedError,
  type Report,
} from '../../probe/index.ts';
import type { Family } from '../../shared/endpoint.ts';

export type PunchCommand =
  /** Measures and goes into the room. */
  | {
      kind: 'join';
      server: string;
      name: string;
      families: Family[];
      lowPorts: boolean;
      /** That the router is to map; until the room is left, unless it is to be kept. */
      mapPort?: number;
      keepMapping?: boolean;
    }
  | { kind: 'punch'; peer: string }
  /** Through the hole with that peer. */
  | { kind: 'send'; peer: string; text: string }
  | { kind: 'close'; peer: string }
  | { kind: 'leave' };

export type PunchAgentEvent =
  | { kind: 'joined'; report: Report }
  /** How a punch with that peer ended, whoever asked for it. */
  | { kind: 'punched'; peer: string; report: PunchReport }
  | { kind: 'lost'; peer: string }
  | { kind: 'reopened'; peer: string; report: PunchReport }
  | { kind: 'received'; peer: string; text: string }
  | { kind: 'left' }
  | { kind: 'error'; text: string };

/** The broker wants its members to wait where they ask too often. */
const PATIENCE_MS = 1000;

const holes = new Map<string, Hole<Socket>>();
let member: Membership;

createInterface({ input: process.stdin })
  .on('line', (line) => void carryOut(JSON.parse(line) as PunchCommand).catch(fail))
  .on('close', () => process.exit());

async function carryOut(command: PunchCommand): Promise<void> {
  switch (command.kind) {
    case 'join': {
      const { server, families, name, lowPorts, mapPort, keepMapping = false } = command;
      const report = await classify({ server, families, forPunch: true });
      member = await join({
        server,
        families,
        name,
        report,
        lowPorts,
        ...(mapPort !== undefined && { localPort: mapPort, mapPort: true, keepMapping }),
        onEvent: (event) => {
          if (event.kind === 'hole') use(event.hole);
          if (event.kind === 'failed')
            tell({ kind: 'punched', peer: event.report.peer.name, report: event.report });
        },
      });
      tell({ kind: 'joined', report });
      return;
    }
    case 'punch':
      use(await punch(command.peer));
      return;
    case 'send':
      holes.get(command.peer)?.send(Buffer.from(command.text));
      return;
    case 'close':
      await holes.get(command.peer)?.close();
      return;
    case 'leave':
      await member.leave();
      tell({ kind: 'left' });
      return;
  }
}

async function punch(peer: string): Promise<Hole<Socket> | undefined> {
  try {
    return await member.punch(peer);
  } catch (error) {
    if (error instanceof PunchFailedError) tell({ kind: 'punched', peer, report: error.report });
    else if (error instanceof NatprobeError && error.code === 'ERR_INTRODUCTIONS') {
      await new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
      return punch(peer);
    } else throw error;
    return undefined;
  }
}

function use(hole: Hole<Socket> | undefined): void {
  if (hole === undefined) return;
  const peer = hole.peer.name;
  holes.set(peer, hole);
  hole
    .on('message', (bytes) => tell({ kind: 'received', peer, text: Buffer.from(bytes).toString() }))
    .on('lost', () => tell({ kind: 'lost', peer }))
    .on('reopened', (report) => tell({ kind: 'reopened', peer, report }))
    .on('closed', () => holes.delete(peer))
    .on('failed', () => holes.delete(peer));
  tell({ kind: 'punched', peer, report: hole.report });
}

function fail(error: unknown): void {
  tell({ kind: 'error', text: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

function tell(event: PunchAgentEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}
