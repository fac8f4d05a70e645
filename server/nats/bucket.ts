/** The bucket of JetStream's key-value store with the names that brokers hold: made if it isn't there, and found again. */
import { jetstream, JetStreamApiError } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { messageOf } from '../../shared/thrown.ts';
import type { Log } from '../log.ts';
import { areFewServers, isLone, NAMES_STREAM, REPLICAS, Replicas } from './replicas.ts';

/** What JetStream calls a bucket begins so. */
const PREFIX = 'KV_';
/**
 * What it is where NATS is one server, of no cluster. One that becomes a member of a cluster keeps what it
 * has, unseen by the others: under the same name its names would differ from theirs, and stay so.
 */
export const LONE_NAMES_STREAM = `${NAMES_STREAM}-alone`;
/** What isn't written again in this time is nobody's any more. */
export const NAMES_LAST_MS = 45_000;
/** A cluster that has only begun to start may still become one of so many. */
const FEWER_AFTER_MS = 5000;
/** Two lose it when one of them ends, as the one does, and that twice as often. */
const FEWER_REPLICAS = 1;
/** A leader takes milliseconds to answer, and a new one some seconds to be elected. */
const TIMEOUT_MS = 1500;
const RETRY_MS = 500;
/** So often it is looked whether it is still there. */
const LOOK_MS = 2000;

/** Error of JetStream's API, by its own numbers. */
const WRONG_SEQUENCE: readonly number[] = [10071, 10164];

/** Whether somebody else has written that key in the meantime. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && WRONG_SEQUENCE.includes(error.code);
}

export class NamesBucket {
  private readonly connected: Promise<NatsConnection>;
  private readonly log: Log;
  private readonly replicas: Replicas;
  private bucket: Promise<KV> | undefined;
  private told = '';
  private isThere = false;
  private isClosed = false;

  constructor(connected: Promise<NatsConnection>, log: Log) {
    this.connected = connected;
    this.log = log;
    this.replicas = new Replicas(log);
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

  /** Looks for it from now on, again and again, though nobody wants anything of it, and whether it is on enough servers. */
  watch(): void {
    const look = async (): Promise<void> => {
      try {
        await this.with((bucket) => bucket.get('none'));
        if (!this.isClosed) await this.replicas.raise(await this.connected);
      } catch {
        // It is made again at the next look.
      }
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
    let areFewSince: number | undefined;
    for (;;) {
      try {
        const areFew = areFewSince !== undefined && performance.now() - areFewSince >= FEWER_AFTER_MS;
        const bucket = await createBucket(connection, areFew ? FEWER_REPLICAS : REPLICAS);
        this.isThere = true;
        if (this.told !== '') this.log('info', 'NATS: JetStream has the names of peers again');
        this.told = '';
        return bucket;
      } catch (error) {
        this.isThere = false;
        areFewSince = areFewServers(error) ? (areFewSince ?? performance.now()) : undefined;
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

async function createBucket(connection: NatsConnection, replicas: number): Promise<KV> {
  const kvm = new Kvm(jetstream(connection, { timeout: TIMEOUT_MS }));
  const options = {
    history: 1,
    ttl: NAMES_LAST_MS,
    // Another server of NATS might still have what was there before.
    allow_direct: false,
    description: 'Names of peers and rooms that natprobed holds',
  };
  try {
    return await kvm.create(NAMES_STREAM.slice(PREFIX.length), { ...options, replicas });
  } catch (error) {
    if (!isLone(error)) throw error;
    return kvm.create(LONE_NAMES_STREAM.slice(PREFIX.length), { ...options, replicas: 1 });
  }
}
