/** The bucket of JetStream's key-value store with the names that brokers hold: made if it isn't there, and found again. */
import { jetstream, JetStreamApiError } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { messageOf } from '../../shared/thrown.ts';
import type { Log } from '../log.ts';

const BUCKET = 'natprobe-names';
/** What JetStream calls it. */
export const NAMES_STREAM = `KV_${BUCKET}`;
/** What isn't written again in this time is nobody's any more. */
export const NAMES_LAST_MS = 45_000;
/** Servers of NATS that have it, where there are so many: it outlives one of them. */
export const REPLICAS = 3;
/** A cluster that has only begun to start may still become one of so many. */
const FEWER_AFTER_MS = 5000;
/** Two lose it when one of them ends, as the one does, and that twice as often. */
const FEWER_REPLICAS = 1;
/** A leader takes milliseconds to answer, and a new one some seconds to be elected. */
const TIMEOUT_MS = 1500;
const RETRY_MS = 500;
/** So often it is looked whether it is still there. */
const LOOK_MS = 2000;

/** Errors of JetStream's API, by its own numbers. */
const CODES = { notClustered: 10074, fewPeers: 10005, wrongSequence: [10071, 10164] } as const;

/** Whether somebody else has written that key in the meantime. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && CODES.wrongSequence.includes(error.code as 10071);
}

/** Whether there are not so many servers of NATS to keep it: none besides one, or fewer just now. */
export function isTooManyReplicas(error: unknown): boolean {
  return isCode(error, CODES.notClustered) || isCode(error, CODES.fewPeers);
}

export class NamesBucket {
  private readonly connected: Promise<NatsConnection>;
  private readonly log: Log;
  private bucket: Promise<KV> | undefined;
  private told = '';
  private isThere = false;
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
      const done = await task(await bucket);
      this.isThere = true;
      return done;
    } catch (error) {
      // Anything else may mean that there is no such bucket, and to look costs one question.
      if (!isConflict(error) && this.bucket === bucket) {
        this.bucket = undefined;
        this.isThere = false;
      }
      throw error;
    }
  }

  /** Whether it was there when it was last asked, or looked for. */
  get wasThere(): boolean {
    return this.isThere;
  }

  /** Looks for it from now on, and again and again, though nobody wants anything of it. */
  watch(): void {
    const look = async (): Promise<void> => {
      await this.with((bucket) => bucket.get('none')).catch(() => undefined);
      if (!this.isClosed) setTimeout(() => void look(), LOOK_MS).unref();
    };
    void look();
  }

  close(): void {
    this.isClosed = true;
  }

  /** Tries until it is there. */
  private async open(): Promise<KV> {
    const connection = await this.connected;
    let replicas = REPLICAS;
    let areFewSince: number | undefined;
    for (;;) {
      try {
        const bucket = await createBucket(connection, replicas);
        this.isThere = true;
        if (this.told !== '') this.log('info', 'NATS: JetStream has the names of peers again');
        this.told = '';
        return bucket;
      } catch (error) {
        this.isThere = false;
        if (replicas > 1 && isCode(error, CODES.notClustered)) {
          replicas = 1;
          continue;
        }
        if (isCode(error, CODES.fewPeers)) {
          areFewSince ??= performance.now();
          if (performance.now() - areFewSince >= FEWER_AFTER_MS) replicas = FEWER_REPLICAS;
        }
        const reason = messageOf(error);
        if (reason !== this.told && !this.isClosed)
          this.log('warning', `NATS: no names of peers from JetStream, it goes on trying: ${reason}`);
        this.told = reason;
        if (this.isClosed) throw error;
        await new Promise((next) => setTimeout(next, RETRY_MS).unref());
      }
    }
  }
}

function createBucket(connection: NatsConnection, replicas: number): Promise<KV> {
  return new Kvm(jetstream(connection, { timeout: TIMEOUT_MS })).create(BUCKET, {
    replicas,
    history: 1,
    ttl: NAMES_LAST_MS,
    // Another server of NATS might still have what was there before.
    allow_direct: false,
    description: 'Names of peers and rooms that natprobed holds',
  });
}

function isCode(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}
