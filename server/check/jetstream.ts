/** Whether NATS can keep the names of peers that the brokers of several servers share. */
import { randomBytes } from 'node:crypto';
import { jetstreamManager, type JetStreamManager, StorageType, type StreamInfo } from '@nats-io/jetstream';
import { type NatsConnection, RequestError } from '@nats-io/transport-node';
import { doubtful, fine, type Finding, wrong } from '../../shared/findings.ts';
import { messageOf } from '../../shared/thrown.ts';
import { LONE_NAMES_STREAM } from '../nats/bucket.ts';
import { areFewServers, findStream, isLone, NAMES_STREAM, REPLICAS } from '../nats/replicas.ts';

const CHECK = 'JetStream';
const TIMEOUT_MS = 2000;

/** Where there are no names yet it is tried with a stream in memory, which is deleted at once. */
export async function checkJetStream(connection: NatsConnection): Promise<Finding> {
  try {
    const manager = await jetstreamManager(connection, { timeout: TIMEOUT_MS });
    const names = (await findStream(manager, NAMES_STREAM)) ?? (await findStream(manager, LONE_NAMES_STREAM));
    const behind = names && findBehind(names);
    if (behind !== undefined) return behind;
    const kept = names?.config.num_replicas ?? 0;
    return kept < REPLICAS
      ? judgePossible(await tryReplicas(manager), kept)
      : fine(CHECK, `the names of peers are on ${kept} servers of NATS`);
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

function findBehind({ config: { num_replicas: replicas }, cluster }: StreamInfo): Finding | undefined {
  const behind = (cluster?.replicas ?? []).filter(({ current, offline }) => !current || offline);
  if (behind.length === 0) return undefined;
  return doubtful(
    CHECK,
    `the names of peers are not up to date on ${behind.map(({ name }) => name).join(', ')}, of ${replicas} servers`,
    'see that these servers of NATS are up, and reach the others',
  );
}

/** On how many servers a stream can be, up to REPLICAS. */
async function tryReplicas(manager: JetStreamManager): Promise<number> {
  for (let replicas = REPLICAS; ; replicas--) {
    const name = `natprobed-check-${randomBytes(6).toString('hex')}`;
    try {
      const subjects = [`natprobe.check.${name}`];
      await manager.streams.add({ name, subjects, storage: StorageType.Memory, num_replicas: replicas });
    } catch (error) {
      if (replicas > 1 && (isLone(error) || areFewServers(error))) continue;
      throw error;
    }
    await manager.streams.delete(name);
    return replicas;
  }
}

/** `kept`: on how many servers the names are by now, fewer than REPLICAS. */
function judgePossible(possible: number, kept: number): Finding {
  if (possible === REPLICAS)
    return kept === 0
      ? fine(CHECK, `it will have the names of peers on ${possible} servers of NATS`)
      : doubtful(
          CHECK,
          `the names of peers are on ${countServers(kept)} of NATS, and could be on ${possible}`,
          'natprobed puts them there within 20 s while it runs: start it, or see in its log what hinders it',
        );
  const where = kept === 0 ? 'will be on one server' : `are on ${countServers(kept)}`;
  return doubtful(
    CHECK,
    `the names of peers ${where} of NATS, of ${possible} that can be had: nobody can join while ${kept > 1 ? 'one of them' : 'it'} is down`,
    `have ${REPLICAS} servers of NATS in one cluster, each with JetStream; natprobed then puts the names on all of them by itself`,
  );
}

function countServers(count: number): string {
  return count === 1 ? 'one server' : `${count} servers`;
}
