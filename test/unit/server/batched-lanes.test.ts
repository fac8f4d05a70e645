/** What batched lanes do when something happens to them; udp-lane.test.ts holds what they answer. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, it, vi } from 'vitest';
import { WITNESS } from '../../../shared/stun/attributes/natprobe.ts';
import { readAttribute } from '../../../shared/stun/message.ts';
import { WitnessMaker } from '../../../server/answer/witness.ts';
import { type FamilyConfig, roleEndpoints } from '../../../server/config.ts';
import type { StartWorker } from '../../../server/udp/batched/lane.ts';
import { adviseOnBuffers, type LaneCount, openUdp, type OpenUdp } from '../../../server/udp/open-udp.ts';
import { WitnessKeys, witnessKeyOf } from '../../../server/witness/witness-keys.ts';
import { batchedLanesMissing } from '../../support/batched-lanes.ts';
import { describeIf } from '../../support/requirements.ts';
import { request } from '../answer/exchange.ts';
import { findFreePorts, loopbackFamily, UdpClient } from './loopback.ts';

const keyOf = (byte: number): ReturnType<typeof witnessKeyOf> => witnessKeyOf(new Uint8Array(32).fill(byte));
/** A loaded machine takes long to start threads. */
const PATIENCE = { timeout: 20_000, interval: 20 };

const opened: OpenUdp[] = [];
const children: ChildProcess[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((udp) => udp.close()));
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Started {
  readonly udp: OpenUdp;
  readonly family: FamilyConfig;
  readonly keys: WitnessKeys;
  readonly logged: string[];
  readonly workers: Worker[];
}

async function start(lanes: LaneCount, given?: FamilyConfig, startWorker?: StartWorker): Promise<Started> {
  const family = given ?? (await loopbackFamily('127.0.0.1', '127.0.0.2'));
  const keys = new WitnessKeys(keyOf(1));
  const logged: string[] = [];
  const workers: Worker[] = [];
  const keep: StartWorker = (module, options) => {
    const worker = startWorker?.(module, options) ?? new Worker(module, options);
    workers.push(worker);
    return worker;
  };
  const answers = { family: family.family, endpoints: family.advertised };
  const udp = await openUdp(
    {
      families: [{ config: family, answers }],
      lanes,
      witnessKeys: keys,
      witness: new WitnessMaker(keys, Date.now),
      log: (level, message) => logged.push(`${level}: ${message}`),
    },
    keep,
  );
  opened.push(udp);
  return { udp, family, keys, logged, workers };
}

describeIf(batchedLanesMissing)('batched lanes', () => {
  it('are started again when one dies, and answer what came meanwhile', async () => {
    const { udp, family, logged, workers } = await start(2);
    const clients = await Promise.all(Array.from({ length: 16 }, () => UdpClient.open()));
    void workers[0]!.terminate();
    await vi.waitFor(() => expect(udp.status().restarts).toBe(1), PATIENCE);
    for (const client of clients) client.send(request(), family.bound[3]!);
    await vi.waitFor(() => {
      expect(clients.map(({ heard }) => heard.length)).toEqual(clients.map(() => 1));
    }, PATIENCE);
    for (const client of clients) client.close();
    expect(workers).toHaveLength(3);
    expect(udp.counts(0).answers.binding.AA).toBe(16);
    expect(logged[1]).toBe('error: UDP lane 1 died and is started again in 100 ms: its thread ended with 1');
  });

  it('stop while one of them is dead', async () => {
    const { udp, workers } = await start(2);
    void workers[1]!.terminate();
    await vi.waitFor(() => expect(udp.status().restarts).toBe(1), PATIENCE);
    await opened.pop()!.close();
    expect(workers).toHaveLength(2);
  });

  it('leave no address to a second server, though they share it among themselves', async () => {
    const { family } = await start(2);
    await expect(start(2, family)).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' });
    await expect(start(0, family)).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' });
  });

  it('let go of all sockets where one can’t be had', async () => {
    const family = await loopbackFamily('127.0.0.1', '127.0.0.2');
    const taken = family.bound[3]!;
    const holder = createSocket('udp4').bind(taken.port, taken.address);
    await once(holder, 'listening');
    await expect(start(3, family)).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' });
    holder.close();
    await once(holder, 'close');
    await start(3, family);
  });

  it('make witnesses with the key of the hour, one that is started again too', async () => {
    const { udp, family, keys, workers } = await start(1);
    const asked = WITNESS.of({
      kind: 'asked',
      purpose: 'report',
      nonce: new Uint8Array(16),
      fillerLength: 72,
    });
    const keyIdGiven = async (): Promise<number | undefined> => {
      const client = await UdpClient.open();
      client.send(request([asked]), family.bound[0]);
      const [answer] = await client.hear(1);
      client.close();
      const witness = readAttribute(answer!.message, WITNESS);
      return witness?.kind === 'given' ? witness.keyId : undefined;
    };
    expect(await keyIdGiven()).toBe(keyOf(1).id);
    keys.rotate(keyOf(2));
    await vi.waitFor(async () => expect(await keyIdGiven()).toBe(keyOf(2).id), PATIENCE);
    void workers[0]!.terminate();
    await vi.waitFor(() => expect(udp.status().restarts).toBe(1), PATIENCE);
    await vi.waitFor(async () => expect(await keyIdGiven()).toBe(keyOf(2).id), PATIENCE);
  });

  it('tell how many datagrams the kernel dropped', async () => {
    // A lane that hears nothing.
    const idle = `import { parentPort, workerData } from 'node:worker_threads';
      const flags = new Int32Array(workerData.state.flags);
      setInterval(() => { if (Atomics.load(flags, 0) === 1) process.exit(); }, 10);
      parentPort.postMessage({ kind: 'ready' });`;
    const { udp, family } = await start(1, undefined, (_module, options) => {
      return new Worker(new URL(`data:text/javascript,${encodeURIComponent(idle)}`), options);
    });
    await flood(family);
    await vi.waitFor(() => expect(udp.counts(0).kernelDrops).toBeGreaterThan(0), PATIENCE);
    // Some wait in the socket; all others are accounted for.
    expect(udp.counts(0).kernelDrops).toBeLessThan(FLOOD_DATAGRAMS);
  });

  it('give way to node:dgram where no thread can be had, which is said', async () => {
    const { udp, logged } = await start(1, undefined, () => {
      return new Worker(new URL(`data:text/javascript,throw new Error('no memory left')`));
    });
    expect(udp.status()).toEqual({ kind: 'dgram', lanes: 0, restarts: 0, loads: [] });
    expect(logged).toEqual(['warning: UDP is answered by node:dgram, not by batched lanes: no memory left']);
  });
});

it('node:dgram tells how many datagrams the kernel dropped', async (context) => {
  if (process.platform !== 'linux') context.skip('only Linux tells');
  const { udp, family } = await start(0);
  expect(udp.counts(0).kernelDrops).toBe(0);
  // Within one turn of the event loop nothing is read.
  await flood(family);
  expect(udp.counts(0).kernelDrops).toBeGreaterThan(0);
});

it('less room in sockets than asked for is told, but on loopback', () => {
  const bound = (address: string): { config: FamilyConfig } => {
    const endpoints = roleEndpoints(address, undefined, 3478, 3479);
    return { config: { family: 'ipv4', bound: endpoints, advertised: endpoints } };
  };
  const [local, other] = [bound('127.0.0.1'), bound('192.0.2.1')];
  expect(adviseOnBuffers(212_992, [local, other])).toMatch(
    /^a UDP socket has 208 KiB .* not 4096, .*rmem_max$/,
  );
  expect(adviseOnBuffers(212_992, [local])).toBeUndefined();
  expect(adviseOnBuffers(4 << 20, [other])).toBeUndefined();
});

it.each([
  [[], 'natprobed: UDP is answered by node:dgram, not by batched lanes: koffi does not load: not there'],
  [
    ['--lanes', '2'],
    'natprobed: warning: UDP is answered by node:dgram, not by batched lanes: koffi does not load: not there',
  ],
  [['--lanes', '0'], undefined],
])('natprobed without koffi, with %j', async (flags, line) => {
  const [port, alternatePort] = await findFreePorts('127.0.0.1', '127.0.0.2');
  const hooks = `import { registerHooks } from 'node:module';
    registerHooks({ resolve(name, context, next) {
      if (name === 'koffi') throw new Error('not there');
      return next(name, context);
    } });`;
  const child = spawn(
    process.execPath,
    [
      ...['--import', `data:text/javascript,${encodeURIComponent(hooks)}`, MAIN, '--no-http'],
      ...[
        '--ip',
        '127.0.0.1',
        '--alt-ip',
        '127.0.0.2',
        '--port',
        `${port}`,
        '--alt-port',
        `${alternatePort}`,
      ],
      ...flags,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  children.push(child);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  await once(child.stdout, 'data');
  const client = await UdpClient.open();
  client.send(request(), { address: '127.0.0.2', port });
  await client.hear(1);
  client.close();
  const [, ...lines] = stderr.trimEnd().split('\n');
  expect(lines).toEqual(line === undefined ? [] : [line]);
});

const MAIN = fileURLToPath(new URL('../../../server/main.ts', import.meta.url));
const FLOOD_DATAGRAMS = 1000;

/** More than any socket buffer holds, in one turn of the event loop. */
async function flood(family: FamilyConfig): Promise<void> {
  const socket = createSocket({
    type: 'udp4',
    lookup: (address, _options, callback) => callback(null, address, 4),
  });
  // Heard before it is asked for: with that lookup bind() reports at once.
  const listening = once(socket, 'listening');
  socket.bind(0, '127.0.0.1');
  await listening;
  const { port, address } = family.bound[0];
  const bytes = Buffer.alloc(60_000);
  for (let i = 0; i < FLOOD_DATAGRAMS; i++) socket.send(bytes, port, address);
  socket.close();
}
