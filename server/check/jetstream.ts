/** Whether NATS can keep the names of peers that the brokers of several servers share. */
import { randomBytes } from 'node:crypto';
import {
  jetstreamManager,
  JetStreamApiError,
  type JetStreamManager,
  StorageType,
  type StreamInfo,
} from '@nats-io/jetstream';
import { type NatsConnection, RequestError } from '@nats-io/transport-node';
import { doubtful, fine, type Finding, wrong } from '../../shared/findings.ts';
import { messageOf } from '../../shared/thrown.ts';
import { isTooManyReplicas, NAMES_STREAM, REPLICAS } from '../nats/bucket.ts';

const CHECK = 'JetStream';
const TIMEOUT_MS = 2000;
/** `stream not found`, by JetStream's own numbers. */
const NOT_FOUND = 10059;
const MORE_SERVERS = `have ${REPLICAS} servers of NATS in one cluster, each with JetStream`;

/** Where there are no names yet it is tried with a stream in memory, which is deleted at once. */
export async function checkJetStream(connection: NatsConnection): Promise<Finding> {
  try {
    const manager = await jetstreamManager(connection, { timeout: TIMEOUT_MS });
    const names = await findNames(manager);
    return names === undefined ? await tryReplicas(manager) : judgeNames(names);
  } catch (error) {
    if (isAbsent(error))
      return wrong(
        CHECK,
        'this NATS has none, and brokers keep the names of peers there: nobody can join',
        "switch it on: jetstream { store_dir: … } in NATS's configuration, and for this user's account",
      );
    const reason = messageOf(error);
    return wrong(
      CHECK,
      `it does not do what brokers need: ${reason}`,
      'see that its servers have JetStream on, that more than half of them are up, and that this user may use it',
    );
  }
}

/** As NATS says it, and as nobody does who would have it. */
function isAbsent(error: unknown): boolean {
  if (error instanceof RequestError && error.isNoResponders()) return true;
  return error instanceof Error && /jetstream (is )?not enabled/i.test(error.message);
}

async function findNames(manager: JetStreamManager): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(NAMES_STREAM);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === NOT_FOUND) return undefined;
    throw error;
  }
}

function judgeNames({ config: { num_replicas: replicas }, cluster }: StreamInfo): Finding {
  const behind = (cluster?.replicas ?? []).filter(({ current, offline }) => !current || offline);
  if (behind.length > 0)
    return doubtful(
      CHECK,
      `the names of peers are not up to date on ${behind.map(({ name }) => name).join(', ')}, of ${replicas} servers`,
      'see that these servers of NATS are up, and reach the others',
    );
  if (replicas < REPLICAS)
    return doubtful(
      CHECK,
      `the names of peers are on ${replicas === 1 ? 'one server of NATS: nobody can join while it is down' : `${replicas} servers of NATS: nobody can join while one of them is down`}`,
      `${MORE_SERVERS}; then: nats stream edit ${NAMES_STREAM} --replicas ${REPLICAS}`,
    );
  return fine(CHECK, `the names of peers are on ${replicas} servers of NATS`);
}

async function tryReplicas(manager: JetStreamManager): Promise<Finding> {
  for (let replicas = REPLICAS; ; replicas--) {
    const name = `natprobed-check-${randomBytes(6).toString('hex')}`;
    try {
      const subjects = [`natprobe.check.${name}`];
      await manager.streams.add({ name, subjects, storage: StorageType.Memory, num_replicas: replicas });
    } catch (error) {
      if (replicas > 1 && isTooManyReplicas(error)) continue;
      throw error;
    }
    await manager.streams.delete(name);
    if (replicas === REPLICAS)
      return fine(CHECK, `it will have the names of peers on ${replicas} servers of NATS`);
    return doubtful(
      CHECK,
      `there ${replicas === 1 ? 'is one server' : `are ${replicas} servers`} of NATS to keep the names of peers, which will be on one: nobody can join while it is down`,
      MORE_SERVERS,
    );
  }
}
