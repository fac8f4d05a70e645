/** Opens UDP for all families: batched lanes where there can be any, else node:dgram. */
import { availableParallelism } from 'node:os';
import type { Family } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { messageOf } from '../../shared/thrown.ts';
import { type AnswerConfig, AnswerCore } from '../answer/answer-core.ts';
import type { AnswerCounts } from '../answer/answer-counters.ts';
import { AnswerGuard, type AnswerLimits } from '../answer/answer-guard.ts';
import type { PartnerEndpoints, RelayedAnswer } from '../answer/relayed-answer.ts';
import type { WitnessMaker } from '../answer/witness.ts';
import type { FamilyConfig } from '../config.ts';
import { isLoopback } from '../local-addresses.ts';
import type { Log } from '../log.ts';
import type { WitnessKeys } from '../witness/witness-keys.ts';
import type { SendCounts } from './answer-sender.ts';
import type { StartWorker } from './batched/lane.ts';
import { openDropReader } from './kernel-drops.ts';
import { openLimits } from './limits.ts';
import { SOCKET_BUFFER_BYTES } from './socket-buffers.ts';
import { type DatagramTap, openUdpLane, type RelaySender, type UdpLane } from './udp-lane.ts';

/** What answers UDP: a thread a lane, or with none the main thread by node:dgram. */
export type LaneCount = number | 'auto';

export interface UdpFamily {
  readonly config: FamilyConfig;
  readonly answers: Pick<AnswerConfig, 'family' | 'endpoints' | 'bound' | 'service'>;
}

export interface UdpOptions {
  readonly families: readonly UdpFamily[];
  readonly lanes: LaneCount;
  readonly witnessKeys: WitnessKeys;
  /** With these keys. */
  readonly witness: WitnessMaker;
  /** Sees the datagrams of one family before the answer core does. */
  readonly tap?: { readonly family: FamilyConfig; readonly tap: DatagramTap };
  /** How much is answered; all of it if absent. */
  readonly limits?: AnswerLimits;
  /** Takes answers that a partner is to send. */
  readonly relay?: (answer: RelayedAnswer) => void;
  readonly log: Log;
}

/** Counts of one family since the start. */
export interface UdpCounts extends AnswerCounts {
  readonly sends: Readonly<SendCounts>;
  /** Datagrams that the kernel dropped before they were read, where it tells. */
  readonly kernelDrops?: number;
}

export interface LaneStatus {
  readonly kind: 'batched' | 'dgram';
  readonly lanes: number;
  /** How often one of them has died and been started again. */
  readonly restarts: number;
  /** Of each of them. */
  readonly loads: readonly LaneLoad[];
}

/** What a lane has done since the start, for all families. */
export interface LaneLoad {
  /** For how long it has not been waiting for datagrams. */
  readonly busyMs: number;
  readonly datagrams: number;
  /** Datagrams that the kernel dropped before the lane read them. */
  readonly kernelDrops: number;
}

export interface OpenUdp {
  status(): LaneStatus;
  /** Of the family with that place in the options. */
  counts(family: number): UdpCounts;
  /** Of one socket, as the kernel has it. */
  receiveBufferBytes(): number;
  /** Where `relay` is: the partner's endpoints are AP and AA from now on, or with undefined there are none. */
  usePartner(partner: PartnerEndpoints | undefined): void;
  /** Where `relay` is: what sends, for a partner and after it, in that family; undefined where that is not served. */
  relayed(family: Family): RelaySender | undefined;
  /** Stops answering at once; resolves when all is closed. */
  close(): Promise<void>;
}

/** Rejects as openUdpLane, with all closed again. */
export async function openUdp(options: UdpOptions, startWorker?: StartWorker): Promise<OpenUdp> {
  const { lanes, log } = options;
  const opened =
    (lanes === 0 ? undefined : await tryLanes(options, startWorker)) ?? (await openDgram(options));
  const advice = adviseOnBuffers(opened.receiveBufferBytes(), options.families);
  if (advice !== undefined) log('warning', advice);
  return opened;
}

/** What to change where sockets have less room than was asked for; a trial on loopback can do without. */
export function adviseOnBuffers(
  receiveBufferBytes: number,
  families: readonly { readonly config: FamilyConfig }[],
): string | undefined {
  if (receiveBufferBytes >= SOCKET_BUFFER_BYTES) return undefined;
  if (families.every(({ config }) => isLoopback(config.bound[0].address))) return undefined;
  return (
    `a UDP socket has ${receiveBufferBytes >> 10} KiB for what waits to be answered, not ` +
    `${SOCKET_BUFFER_BYTES >> 10}, and bursts may be lost: raise net.core.rmem_max`
  );
}

/** Undefined, and said so in the log, where lanes can't be had. */
async function tryLanes(options: UdpOptions, startWorker?: StartWorker): Promise<OpenUdp | undefined> {
  const { lanes, log } = options;
  const count = lanes === 'auto' ? availableParallelism() : lanes;
  try {
    // Loaded where they are wanted: --lanes 0 needs nothing of koffi.
    const [{ loadSystemCalls }, { openBatchedLanes }] = await Promise.all([
      import('./batched/system-calls.ts'),
      import('./batched/batched-lanes.ts'),
    ]);
    const opened = await openBatchedLanes(await loadSystemCalls(), count, options, startWorker);
    log('info', `UDP is answered by ${count} batched lane${count === 1 ? '' : 's'}`, { lanes: count });
    return opened;
  } catch (error) {
    // A port in use, say, is so for node:dgram too.
    if (error instanceof NatprobeError) throw error;
    log(
      lanes === 'auto' ? 'info' : 'warning',
      `UDP is answered by node:dgram, not by batched lanes: ${messageOf(error)}`,
    );
    return undefined;
  }
}

async function openDgram({ families, witness, tap, limits, relay }: UdpOptions): Promise<OpenUdp> {
  const shared = openLimits(limits);
  const guard = shared && new AnswerGuard(shared);
  const opened: { readonly core: AnswerCore; readonly lane: UdpLane }[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(opened.map(({ lane }) => lane.close()));
  };
  try {
    for (const { config, answers } of families) {
      const core = new AnswerCore({ ...answers, witness, ...(guard && { guard }) });
      const own = tap?.family === config ? tap.tap : undefined;
      opened.push({
        core,
        lane: await openUdpLane(config, core, {
          ...(own && { tap: own }),
          ...(guard && { guard }),
          ...(relay && { relay }),
        }),
      });
    }
  } catch (error) {
    await close();
    throw error;
  }
  const readDrops = families.map(({ config }) => openDropReader(config));
  return {
    status: () => ({ kind: 'dgram', lanes: 0, restarts: 0, loads: [] }),
    counts(family) {
      const { core, lane } = opened[family]!;
      const kernelDrops = readDrops[family]!();
      return {
        ...core.counters.snapshot(),
        sends: { ...lane.sender.counts },
        ...(kernelDrops !== undefined && { kernelDrops }),
      };
    },
    receiveBufferBytes: () => opened[0]!.lane.receiveBufferBytes(),
    usePartner(partner) {
      for (const { core } of opened) core.usePartner(partner?.[core.family]);
    },
    relayed: (family) => opened.find(({ core }) => core.family === family)?.lane,
    close,
  };
}
