/** The bucket of names over real NATS servers: made with as many replicas as can be had, and watched. */
import { jetstreamManager } from '@nats-io/jetstream';
import { afterEach, expect, it } from 'vitest';
import { LONE_NAMES_STREAM, NamesBucket } from '../../../server/nats/bucket.ts';
import { type NatsLink, openNats } from '../../../server/nats/open.ts';
import { NAMES_STREAM } from '../../../server/nats/replicas.ts';
import { natsMissing, startNats, type TestNats } from '../../support/nats-server.ts';
import { describeIf } from '../../support/requirements.ts';

let nats: TestNats;
let link: NatsLink;
let bucket: NamesBucket;

async function openOver(servers: number): Promise<void> {
  nats = await startNats({ servers });
  link = openNats({ servers: nats.servers.map(({ url }) => url) }, () => undefined);
  bucket = new NamesBucket(link.connected, () => undefined);
}

/** How many servers have it, once something could be written. */
async function replicasOf(): Promise<number> {
  await bucket.with((names) => names.put('some', 'name'));
  const manager = await jetstreamManager(await link.connected);
  const name = nats.servers.length === 1 ? LONE_NAMES_STREAM : NAMES_STREAM;
  return (await manager.streams.info(name)).config.num_replicas;
}

describeIf(natsMissing())('the bucket of names', () => {
  afterEach(async () => {
    bucket.close();
    await link.close();
    await nats.remove();
  });

  it.each([
    [1, 1],
    [2, 1],
    [3, 3],
  ])(
    'of %i servers has %i',
    async (servers, replicas) => {
      await openOver(servers);
      expect(await replicasOf()).toBe(replicas);
    },
    60_000,
  );

  it('is known to be gone and to be back, though nobody wants anything of it', async () => {
    await openOver(1);
    expect(bucket.wasThere).toBe(false);
    bucket.watch();
    const wasThere = (): boolean => bucket.wasThere;
    await expect.poll(wasThere, { timeout: 10_000 }).toBe(true);
    const manager = await jetstreamManager(await link.connected);
    await manager.streams.delete(LONE_NAMES_STREAM);
    // Missed at the next look, and then made again.
    const isMadeAgain = async (): Promise<boolean> =>
      (await manager.streams.info(LONE_NAMES_STREAM).catch(() => undefined)) !== undefined;
    await expect.poll(isMadeAgain, { timeout: 10_000 }).toBe(true);
    await nats.servers[0]!.kill();
    await expect.poll(wasThere, { timeout: 20_000 }).toBe(false);
    await nats.servers[0]!.restart();
    await expect.poll(wasThere, { timeout: 20_000 }).toBe(true);
  }, 60_000);
});
