/** A lane: the thread that answers what comes to its sockets, until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Family } from '../../../shared/endpoint.ts';
import { SERVER_ROLES, type ServerRole } from '../../../shared/role.ts';
import { AnswerCore } from '../../answer/answer-core.ts';
import { AnswerGuard } from '../../answer/answer-guard.ts';
import { relayedAnswer } from '../../answer/relayed-answer.ts';
import { formatSourceAddress } from '../../answer/source-address.ts';
import { WitnessMaker } from '../../answer/witness.ts';
import { recogniseIce } from '../../ice/recognise.ts';
import { WitnessKeys } from '../../witness/witness-keys.ts';
import { monotonicMs } from '../limits.ts';
import { LaneSockets, type RelayOutgoing, type TakeDatagram } from './lane-sockets.ts';
import { LaneState } from './lane-state.ts';
import type { LaneMessage, LaneOrder, LaneTask } from './lane-task.ts';
import { PollSet } from './poll-set.ts';
import { loadSystemCalls } from './system-calls.ts';

/** How long it sleeps at most where nothing comes. */
const POLL_TIMEOUT_MS = 200;
/** After as long it looks for messages, and lets Node clear away what is no longer used. */
const SLICE_MS = 100;
/** Batches from one socket before the others have their turn. */
const BATCHES_A_TURN = 8;
/** More than browsers that are measured ever send at a time. */
const MOST_HANDOVERS = 1024;

interface Waiting {
  readonly sockets: LaneSockets;
  readonly role: ServerRole;
  readonly take: TakeDatagram | undefined;
}

const { lane, lanes, families, state: buffers, key, partner, wake, limits } = workerData as LaneTask;
const port = parentPort!;
const calls = await loadSystemCalls();
const state = new LaneState(lanes, families.length, buffers);
const keys = new WitnessKeys(key);
const witness = new WitnessMaker(keys, Date.now);
const guard = limits && new AnswerGuard(limits);

const cores: AnswerCore[] = [];
const waiting = families.flatMap(({ answers, sockets, tapped }, family): Waiting[] => {
  const tally = state.tally(lane, family);
  const core = new AnswerCore({ ...answers, witness, counters: tally.answers, ...(guard && { guard }) });
  cores.push(core);
  const relay: RelayOutgoing = (...outgoing) => relayAnswer(answers.family, core, ...outgoing);
  const own = new LaneSockets({ calls, family: answers.family, sockets, core, sends: tally.sends, relay });
  const take: TakeDatagram = (...datagram) => handOver(family, ...datagram);
  return SERVER_ROLES.filter((role) => sockets[role] !== undefined).map((role) => ({
    sockets: own,
    role,
    take: tapped ? take : undefined,
  }));
});
const polled = new PollSet(
  calls,
  families.flatMap(({ sockets }) => [...sockets.filter((socket) => socket !== undefined)]).concat(wake),
);

if (partner !== undefined) obey({ kind: 'partner', partner });
port.on('message', obey);
/** When it last began to work. */
let awakeAt = performance.now();
tell({ kind: 'ready' });
answerOn();

function answerOn(): void {
  let now = performance.now();
  const until = now + SLICE_MS;
  do {
    state.busyMs[lane]! += now - awakeAt;
    const ready = polled.poll(POLL_TIMEOUT_MS);
    awakeAt = performance.now();
    if (state.isStopping) {
      // Nothing else keeps this thread alive.
      port.close();
      return;
    }
    if (ready === 0) break;
    for (const [index, socket] of waiting.entries()) if (polled.isReady(index)) answerSocket(socket);
    now = performance.now();
  } while (now < until);
  setImmediate(answerOn);
}

function answerSocket({ sockets, role, take }: Waiting): void {
  const tap = state.isTapped ? take : undefined;
  for (let batch = 0; batch < BATCHES_A_TURN; batch++) {
    if (guard !== undefined) guard.now = monotonicMs();
    if (!sockets.answerBatch(role, tap)) return;
  }
}

function obey(order: LaneOrder): void {
  if (order.kind === 'key') keys.rotate(order.key);
  else for (const core of cores) core.usePartner(order.partner?.[core.family]);
}

/** What another host is to send goes to the main thread, which has the connection to it. */
function relayAnswer(
  family: Family,
  { outgoing }: AnswerCore,
  ...[count, source, role]: Parameters<RelayOutgoing>
): boolean {
  if (!state.beginHandover(lane, MOST_HANDOVERS)) return false;
  const from = { address: formatSourceAddress(source), port: source.port };
  tell({ kind: 'relay', answer: relayedAnswer(outgoing, count, { family, source: from, role }) });
  return true;
}

/** What may be a browser's goes to the main thread, which answers it if it is none's. */
function handOver(family: number, ...[role, all, start, end, source]: Parameters<TakeDatagram>): boolean {
  const bytes = all.subarray(start, end);
  if (source.port === 0 || recogniseIce(bytes) === undefined) return false;
  if (!state.beginHandover(lane, MOST_HANDOVERS)) return false;
  const from = { address: formatSourceAddress(source), port: source.port };
  tell({ kind: 'datagram', family, role, bytes: bytes.slice(), source: from });
  return true;
}

function tell(message: LaneMessage): void {
  port.postMessage(message);
}
