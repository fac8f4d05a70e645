/** Answers over UDP on several cores: lanes that receive and send many datagrams a system call (Linux). */
import { AnswerCore } from '../../answer/answer-core.ts';
import { AnswerGuard } from '../../answer/answer-guard.ts';
import type { PartnerEndpoints } from '../../answer/relayed-answer.ts';
import { openLimits } from '../limits.ts';
import type { LaneLoad, OpenUdp, UdpOptions } from '../open-udp.ts';
import { Lane, type StartWorker } from './lane.ts';
import { LaneState, addSends, sumTallies } from './lane-state.ts';
import type { LaneMessage } from './lane-task.ts';
import { MainThread } from './main-thread.ts';
import {
  bindLaneSockets,
  closeSockets,
  readDrops,
  readReceiveBufferBytes,
  type RoleSockets,
} from './sockets.ts';
import { EFD_FLAGS, type SystemCalls, systemError } from './system-calls.ts';

/**
 * Binds the sockets of `count` lanes and starts those, each with sockets of all families. Rejects as
 * openUdpLane, or with what went wrong where a lane doesn't start; all is closed again then.
 */
export async function openBatchedLanes(
  calls: SystemCalls,
  count: number,
  options: UdpOptions,
  startWorker?: StartWorker,
): Promise<OpenUdp> {
  const { families, tap, relay, witnessKeys, witness, log } = options;
  /** By family, then by lane. */
  const sockets: RoleSockets[][] = [];
  const lanes: Lane[] = [];
  const limits = openLimits(options.limits);
  let restarts = 0;
  /** By family, then by lane, once the sockets are closed. */
  let drops: readonly (readonly number[])[] | undefined;
  // What the main thread answers it counts as one lane more.
  const state = new LaneState(count + 1, families.length);
  const wake = calls.eventfd(0, EFD_FLAGS);
  if (wake < 0) throw systemError(calls, 'eventfd');
  /** By family, of those that the main thread has to do with. */
  const mains: (MainThread | undefined)[] = [];
  let partner: PartnerEndpoints | undefined;

  const close = async (): Promise<void> => {
    for (const main of mains) main?.sender.close();
    witnessKeys.onChange(undefined);
    state.stop();
    calls.write(wake, new Uint8Array(8).fill(1), 8);
    await Promise.all(lanes.map((lane) => lane.stop()));
    drops = readAllDrops();
    for (const opened of sockets.flat()) closeSockets(calls, opened);
    calls.close(wake);
  };
  try {
    for (const { config } of families) sockets.push(bindLaneSockets(calls, config, count));
    for (const [index, { config }] of families.entries())
      mains.push(config === tap?.family || relay !== undefined ? createMain(index) : undefined);
    for (let lane = 0; lane < count; lane++) lanes.push(createLane(lane));
    witnessKeys.onChange((key) => {
      for (const lane of lanes) lane.useKey(key);
    });
    await Promise.all(lanes.map((lane) => lane.start()));
  } catch (error) {
    await close();
    throw error;
  }

  return {
    status: () => ({ kind: 'batched', lanes: count, restarts, loads: readLoads() }),
    counts(family) {
      const tallies = Array.from({ length: count + 1 }, (_, lane) => state.tally(lane, family));
      const { sends, ...answers } = sumTallies(tallies);
      const own = mains[family]?.sender.counts;
      return {
        ...answers,
        sends: own === undefined ? sends : addSends(sends, own),
        kernelDrops: sum((drops ?? readAllDrops())[family]!),
      };
    },
    receiveBufferBytes: () => readReceiveBufferBytes(calls, sockets[0]![0]![0]!),
    usePartner(next) {
      partner = next;
      for (const lane of lanes) lane.usePartner(next);
      for (const [index, main] of mains.entries())
        main?.core.usePartner(next?.[families[index]!.config.family]);
    },
    relayed: (family) => mains[families.findIndex(({ config }) => config.family === family)],
    close,
  };

  function createMain(index: number): MainThread {
    const { config, answers } = families[index]!;
    const guard = limits && new AnswerGuard(limits);
    const core = new AnswerCore({
      ...answers,
      witness,
      counters: state.tally(count, index).answers,
      ...(guard && { guard }),
    });
    const own = config === tap?.family ? tap.tap : undefined;
    const main = new MainThread(calls, sockets[index]![0]!, core, {
      ...(own && { tap: own }),
      ...(guard && { guard }),
      ...(relay && { relay: { family: config.family, relay } }),
    });
    own?.attach(
      (role, to, bytes) => main.sender.sendOwn(role, to, bytes, 'ice'),
      (awaits) => (state.isTapped = awaits),
    );
    return main;
  }

  function readAllDrops(): number[][] {
    return sockets.map((ofFamily) =>
      ofFamily.map((ofLane) => {
        const descriptors = ofLane.filter((socket) => socket !== undefined);
        return sum(descriptors.map((socket) => readDrops(calls, socket)));
      }),
    );
  }

  function readLoads(): LaneLoad[] {
    const dropped = drops ?? readAllDrops();
    return Array.from({ length: count }, (_, lane) => ({
      busyMs: state.busyMs[lane]!,
      datagrams: sum(families.map((_family, family) => state.tally(lane, family).answers.messages)),
      kernelDrops: sum(dropped.map((ofFamily) => ofFamily[lane]!)),
    }));
  }

  function createLane(lane: number): Lane {
    const task = {
      lane,
      lanes: count + 1,
      families: families.map(({ config, answers }, index) => ({
        answers,
        sockets: sockets[index]![lane]!,
        tapped: config === tap?.family,
      })),
      state: state.buffers,
      key: witnessKeys.current,
      partner,
      wake,
      limits,
    };
    const onMessage = (message: LaneMessage): void => {
      if (message.kind === 'ready') return;
      state.endHandover(lane);
      if (message.kind === 'relay') relay?.(message.answer);
      else mains[message.family]?.handleDatagram(message);
    };
    const onDeath = (reason: string, restartMs: number): void => {
      restarts++;
      state.forgetHandovers(lane);
      log('error', `UDP lane ${lane + 1} died and is started again in ${restartMs} ms: ${reason}`);
    };
    return new Lane(task, { onMessage, onDeath }, startWorker);
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
