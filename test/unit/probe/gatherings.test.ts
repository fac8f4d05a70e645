/** Which sockets a member registers, on loopback: those of choice first, and the mapping of their port with them. */
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Gatherings, type GatheringOptions } from '../../../probe/drive/gatherings.ts';
import { openUdpSocket } from '../../../probe/drive/udp.ts';
import { findFreePorts, type LoopbackServer, startOnLoopback } from '../server/loopback.ts';
import type { Socket } from 'node:dgram';

const NONCE = '00'.repeat(16);
let running: LoopbackServer;
beforeAll(async () => {
  running = await startOnLoopback();
});
afterAll(() => running.server.stop());

const open: Gatherings<Socket>[] = [];
afterEach(() => {
  for (const gatherings of open.splice(0)) gatherings.end();
});

function start(options: Partial<GatheringOptions<Socket>>): Gatherings<Socket> {
  const servers = { ipv4: running.endpoints[0]! };
  const gatherings = new Gatherings<Socket>({
    servers,
    open: (family, port, towards, handlers) => openUdpSocket(family, port, towards, handlers),
    ...options,
  });
  open.push(gatherings);
  return gatherings;
}

function gather(gatherings: Gatherings<Socket>, gathering: number, isFresh = true) {
  return gatherings.gather({ kind: 'gather', gathering, isFresh, nonce: NONCE, transport: 'udp' });
}

it('the port of choice is that of the first punch, also where the broker wants fresh candidates for it', async () => {
  const [localPort] = await findFreePorts('127.0.0.1');
  const gatherings = start({ localPort });
  const portOf = async (gathering: number, isFresh?: boolean): Promise<number> =>
    (await gather(gatherings, gathering, isFresh)).public[0]!.mapped.port;
  expect(await portOf(1)).toBe(localPort);
  expect(await portOf(1, false)).toBe(localPort);
  expect(await portOf(2)).toBe(localPort);
  gatherings.mains(2);
  gatherings.release(2);
  // Its user has gone, and the registration has it still.
  expect(await portOf(1, false)).toBe(localPort);
  expect(await portOf(3)).not.toBe(localPort);
  gatherings.release(1);
});

it('the mapping of that port goes with it alone, and only under an address that is seen', async () => {
  const [localPort] = await findFreePorts('127.0.0.1');
  const mapped = { address: '127.0.0.1', port: 7 };
  const gatherings = start({ localPort, mapped });
  expect((await gather(gatherings, 1)).mapped).toEqual([mapped]);
  expect((await gather(gatherings, 1, false)).mapped).toEqual([mapped]);
  gatherings.mains(1);
  expect((await gather(gatherings, 2)).mapped).toEqual([]);
  gatherings.end();
  const elsewhere = start({ localPort, mapped: { address: '192.0.2.1', port: 7 } });
  expect((await gather(elsewhere, 1)).mapped).toEqual([]);
});

it('each later punch has another port that is mapped, until there is none', async () => {
  const [first, second] = await findFreePorts('127.0.0.1');
  const mapped = { address: '127.0.0.1', port: 7 };
  const next = [{ localPort: second, mapped: { ...mapped, port: 8 } }];
  const mapNext = (): Promise<(typeof next)[0] | undefined> => Promise.resolve(next.shift());
  const gatherings = start({ localPort: first, mapped, mapNext });
  const candidatesOf = async (gathering: number, isFresh?: boolean): Promise<number[]> => {
    const candidates = await gather(gatherings, gathering, isFresh);
    return [candidates.public[0]!.mapped.port, ...candidates.mapped.map(({ port }) => port)];
  };
  expect(await candidatesOf(1)).toEqual([first, 7]);
  gatherings.mains(1);
  expect(await candidatesOf(2)).toEqual([second, 8]);
  // Also where its broker wants fresh candidates, and when they are renewed.
  expect(await candidatesOf(3)).toEqual([second, 8]);
  expect(await candidatesOf(2, false)).toEqual([second, 8]);
  gatherings.mains(3);
  expect(await candidatesOf(4)).toHaveLength(1);
});

it('a gathering that is let go of while it is on its way is closed when it is there', async () => {
  const [localPort] = await findFreePorts('127.0.0.1');
  const gatherings = start({ localPort });
  const early = gather(gatherings, 1);
  gatherings.release(1);
  await expect(early).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  // The port is free, and still that of choice.
  expect((await gather(gatherings, 2)).public[0]!.mapped.port).toBe(localPort);
});
