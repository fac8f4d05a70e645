/** A NATS that grows: the names of peers go to three servers of it, whoever made them on one, and outlive one of those. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import type { BusInput, NameClaim } from '../../../server/broker/bus/bus.ts';
import { checkJetStream } from '../../../server/check/jetstream.ts';
import type { Log } from '../../../server/log.ts';
import { type BrokerBus, openBrokerBus } from '../../../server/nats/broker-bus.ts';
import { NamesBucket } from '../../../server/nats/bucket.ts';
import { type NatsLink, openNats } from '../../../server/nats/open.ts';
import { NAMES_STREAM, Replicas } from '../../../server/nats/replicas.ts';
import { natsMissing, startNats, type TestNats, type TestNatsOptions } from '../../support/nats-server.ts';
import { describeIf } from '../../support/requirements.ts';

/** Leaders are elected within seconds, also on a busy machine. */
const PATIENCE = { timeout: 30_000, interval: 200 };

let nats: TestNats;
let credentials: { readonly credentialsFile?: string } = {};
const links: NatsLink[] = [];
const toClose: (Pick<BrokerBus, 'close'> | NamesBucket)[] = [];
const said: string[] = [];
const log: Log = (level, message) => said.push(`${level}: ${message}`);

function link(): NatsLink {
  const made = openNats({ servers: [nats.servers[0]!.url], ...credentials }, () => undefined);
  links.push(made);
  return made;
}

/** With the names in it, once something could be written. */
async function openBucket(): Promise<{ bucket: NamesBucket; at: NatsLink }> {
  const at = link();
  const bucket = new NamesBucket(at.connected, log);
  toClose.push(bucket);
  await bucket.with((names) => names.put('some', 'name'));
  return { bucket, at };
}

async function manage(at: NatsLink): Promise<JetStreamManager> {
  return jetstreamManager(await at.connected, { timeout: 1500, checkAPI: false });
}

/** 0 where it can't be told just now. */
async function replicasOf(at: NatsLink): Promise<number> {
  const info = await (await manage(at)).streams.info(NAMES_STREAM).catch(() => undefined);
  return info?.config.num_replicas ?? 0;
}

/** Whether all that are to have them do. */
async function areCurrent(at: NatsLink): Promise<boolean> {
  const { cluster } = await (await manage(at)).streams.info(NAMES_STREAM);
  return cluster?.replicas?.length === 2 && cluster.replicas.every(({ current }) => current);
}

/** Its names, while they can be had. */
function readName(bucket: NamesBucket): Promise<string | undefined> {
  return bucket
    .with((names) => names.get('some'))
    .then(
      (entry) => entry?.string(),
      () => undefined,
    );
}

const CLAIM: NameClaim = {
  room: 'Lobby',
  name: 'Ann',
  type: 'symmetric',
  roomKeyHash: undefined,
  heldTokenHash: undefined,
  tokenHash: 'aa'.repeat(32),
};

async function startPair(options: TestNatsOptions = {}): Promise<{ bucket: NamesBucket; at: NatsLink }> {
  nats = await startNats({ servers: 2, ...options });
  const opened = await openBucket();
  expect(await replicasOf(opened.at)).toBe(1);
  return opened;
}

describeIf(natsMissing())('names of a NATS that grows', () => {
  afterEach(async () => {
    for (const one of toClose.splice(0)) void one.close();
    await Promise.all(links.splice(0).map((one) => one.close()));
    await nats.remove();
    said.length = 0;
    credentials = {};
  });

  it('go from one server to three, whoever asks for it and how many do at once', async () => {
    const { bucket, at } = await startPair();
    await nats.grow(3);
    await expect.poll(() => replicasOf(at), PATIENCE).toBe(1);
    const looks = (): Promise<string> => at.connected.then(checkJetStream).then(({ seen }) => seen);
    await expect
      .poll(looks, PATIENCE)
      .toBe('the names of peers are on one server of NATS, and could be on 3');
    const several = [link(), link(), link()];
    const raise = async (): Promise<number> => {
      await Promise.all(several.map(async ({ connected }) => new Replicas(log, 0).raise(await connected)));
      return replicasOf(at);
    };
    await expect.poll(raise, PATIENCE).toBe(3);
    expect(said).toContain('info: NATS: the names of peers are on 3 servers from now on');
    await expect.poll(() => areCurrent(at), PATIENCE).toBe(true);
    expect(await looks()).toBe('the names of peers are on 3 servers of NATS');
    expect(await readName(bucket)).toBe('name');
    // It lasts 45 s from here.
    await bucket.with((names) => names.put('some', 'name'));
    await nats.servers[0]!.kill();
    await expect.poll(() => readName(bucket), PATIENCE).toBe('name');
    // Fewer servers than they are on: nothing is taken back.
    await raise();
    await expect.poll(() => replicasOf(at), PATIENCE).toBe(3);
  }, 120_000);

  it('do so by themselves while natprobed runs, and those of a lone server are written anew', async () => {
    nats = await startNats();
    const at = link();
    const heard: BusInput[] = [];
    const bus = openBrokerBus(at, 'one', log);
    toClose.push(bus);
    bus.open((input) => heard.push(input));
    const list = async (): Promise<BusInput | undefined> => {
      bus.perform({ kind: 'list', request: 2, room: 'lobby' });
      await expect.poll(() => heard.some(({ kind }) => kind === 'listed'), PATIENCE).toBe(true);
      return heard.splice(
        heard.findIndex(({ kind }) => kind === 'listed'),
        1,
      )[0];
    };
    bus.perform({ kind: 'claim', request: 1, claim: CLAIM });
    await expect.poll(() => heard.length, PATIENCE).toBe(1);
    const [claimed] = heard.splice(0);
    if (claimed?.kind !== 'claimed' || claimed.end.kind !== 'new') throw new Error(JSON.stringify(claimed));
    const { number } = claimed.end;
    const held = { room: 'lobby', name: 'ann', number, type: 'symmetric', listedForMs: 120_000 } as const;
    bus.perform({ kind: 'hold', held });
    await nats.grow(3);
    await expect.poll(() => replicasOf(at), PATIENCE).toBe(3);
    const peers = [{ number, name: 'Ann', type: 'symmetric' }];
    await expect.poll(list, PATIENCE).toMatchObject({ peers });
    await expect.poll(() => areCurrent(at), PATIENCE).toBe(true);
    await nats.servers[0]!.kill();
    await expect.poll(list, PATIENCE).toMatchObject({ peers });
  }, 120_000);

  it('stay where they are if natprobed may not change that, which it says once, with what to do', async () => {
    const rights = 'permissions { publish { allow: ">", deny: "$JS.API.STREAM.UPDATE.>" } }';
    const folder = mkdtempSync(join(tmpdir(), 'natprobe-replicas-'));
    credentials = { credentialsFile: join(folder, 'credentials') };
    writeFileSync(join(folder, 'credentials'), 'ann:secret\n');
    const users = `authorization { users: [{ user: ann, password: secret, ${rights} }] }`;
    const { bucket, at } = await startPair({ lines: [users] });
    await nats.grow(3);
    await expect.poll(() => replicasOf(at), PATIENCE).toBe(1);
    const replicas = new Replicas(log, 0);
    for (let turn = 0; turn < 4; turn++) await replicas.raise(await at.connected);
    const refusals = said.filter((line) => line.includes('stay on fewer'));
    expect(refusals).toEqual([
      expect.stringMatching(/^warning: .*: nats stream edit KV_natprobe-names --replicas 3$/),
    ]);
    expect(await readName(bucket)).toBe('name');
    rmSync(folder, { recursive: true });
  }, 120_000);
});
