/** The bucket of JetStream's key-value store with the names that brokers hold: made if it isn't there, and found again. */
import { jetstream, JetStreamApiError } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Log } from '../log.ts';

const BUCKET = 'natprobe-names';
/** What isn't written again in this time is nobody's any more. */
export const NAMES_LAST_MS = 45_000;
/** Servers of NATS that have it, where there are so many: it outlives one of them. */
const REPLICAS = 3;
/** A leader takes milliseconds to answer, and a new one some seconds to be elected. */
const TIMEOUT_MS = 1500;
const RETRY_MS = 500;

/** Errors of JetStream's API, by its own numbers. */
const CODES = { notClustered: 10074, wrongSequence: [10071, 10164] } as const;

/** Whether somebody else has written that key in the meantime. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && CODES.wrongSequence.includes(error.code as 10071);
}

export class NamesBucket {
  private readonly connected: Promise<NatsConnection>;
  private readonly log: Log;
  private bucket: Promise<KV> | undefined;
  private told = '';
  private isClosed = false;

  constructor(connected: Promise<NatsConnection>, log: Log) {
    this.connected = connected;
    this.log = log;
  }

  /** Rejects as `task` does. A bucket that is no more is made again for the next one. */
  async with<T>(task: (bucket: KV) => Promise<T>): Promise<T> {
    this.bucket ??= this.open();
    const { bucket } = this;
    try {
      return await task(await bucket);
    } catch (error) {
      // Anything else may mean that there is no such bucket, and to look costs one question.
      if (!isConflict(error) && this.bucket === bucket) this.bucket = undefined;
      throw error;
    }
  }

  close(): void {
    this.isClosed = true;
  }

  /** Tries until it is there. */
  private async open(): Promise<KV> {
    const connection = await this.connected;
    for (;;) {
      try {
        const bucket = await createBucket(connection);
        if (this.told !== '') this.log('info', 'NATS: JetStream has the names of peers again');
        this.told = '';
        return bucket;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== this.told && !this.isClosed)
          this.log('warning', `NATS: no names of peers from JetStream, it goes on trying: ${reason}`);
        this.told = reason;
        if (this.isClosed) throw error;
        await new Promise((next) => setTimeout(next, RETRY_MS).unref());
      }
    }
  }
}

async function createBucket(connection: NatsConnection): Promise<KV> {
  const kvm = new Kvm(jetstream(connection, { timeout: TIMEOUT_MS }));
  const create = (replicas: number): Promise<KV> =>
    kvm.create(BUCKET, {
      replicas,
      history: 1,
      ttl: NAMES_LAST_MS,
      // Another server of NATS might still have what was there before.
      allow_direct: false,
      description: 'Names of peers and rooms that natprobed holds',
    });
  try {
    return await create(REPLICAS);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === CODES.notClustered) return create(1);
    throw error;
  }
}
