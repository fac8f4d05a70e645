/** On how many servers of NATS the names of peers are: raised where its cluster has grown, never lowered. */
import {
  jetstreamManager,
  JetStreamApiError,
  type JetStreamManager,
  type StreamInfo,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { messageOf } from '../../shared/thrown.ts';
import type { Log } from '../log.ts';

/** What JetStream calls the bucket of names. */
export const NAMES_STREAM = 'KV_natprobe-names';
/** Servers of NATS that have it, where there are so many: it outlives one of them. */
export const REPLICAS = 3;
/** Between two looks, half of it to one and a half, so that not all natprobed look at once. */
const LOOK_MS = 10_000;
const TIMEOUT_MS = 1500;

/** Errors of JetStream's API, by its own numbers. */
const CODES = { notClustered: 10074, fewPeers: 10005, streamNotFound: 10059 } as const;

/** Whether this is no cluster, and so has one server. */
export function isLone(error: unknown): boolean {
  return isCode(error, CODES.notClustered);
}

/** Whether there are not so many servers in the cluster, or just now. */
export function areFewServers(error: unknown): boolean {
  return isCode(error, CODES.fewPeers);
}

/** Undefined where there is none. */
export async function findStream(manager: JetStreamManager, name: string): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(name);
  } catch (error) {
    if (isCode(error, CODES.streamNotFound)) return undefined;
    throw error;
  }
}

/** Raises them again and again, but not more often than every `lookMs` or so, and tells the log. */
export class Replicas {
  private readonly log: Log;
  private readonly lookMs: number;
  private nextAt = 0;
  private refused = '';
  private told = '';

  constructor(log: Log, lookMs = LOOK_MS) {
    this.log = log;
    this.lookMs = lookMs;
  }

  /** Never rejects. */
  async raise(connection: NatsConnection): Promise<void> {
    if (performance.now() < this.nextAt) return;
    this.nextAt = performance.now() + this.lookMs * (0.5 + Math.random());
    try {
      if ((await raiseReplicas(connection)) === 'raised')
        this.log('info', `NATS: the names of peers are on ${REPLICAS} servers from now on`);
      this.refused = '';
      this.told = '';
    } catch (error) {
      if (!connection.isClosed()) this.tell(messageOf(error));
    }
  }

  /** A leader that changes just then refuses once. */
  private tell(reason: string): void {
    if (reason === this.refused && reason !== this.told) {
      this.told = reason;
      this.log(
        'warning',
        `NATS: the names of peers stay on fewer than ${REPLICAS} servers, and it goes on trying: ${reason}; ` +
          `let natprobed's user update ${NAMES_STREAM}, or: nats stream edit ${NAMES_STREAM} --replicas ${REPLICAS}`,
      );
    }
    this.refused = reason;
  }
}

/**
 * Where there are enough servers for it by now the names go to REPLICAS of them. To ask twice, or by
 * several at once, is to ask once. Rejects with what JetStream refuses it for.
 */
async function raiseReplicas(connection: NatsConnection): Promise<'raised' | 'as-it-was'> {
  const manager = await jetstreamManager(connection, { timeout: TIMEOUT_MS, checkAPI: false });
  const names = await findStream(manager, NAMES_STREAM);
  if (names === undefined || names.config.num_replicas >= REPLICAS) return 'as-it-was';
  try {
    await manager.streams.update(NAMES_STREAM, { num_replicas: REPLICAS });
    return 'raised';
  } catch (error) {
    if (isLone(error) || areFewServers(error)) return 'as-it-was';
    throw error;
  }
}

function isCode(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}
