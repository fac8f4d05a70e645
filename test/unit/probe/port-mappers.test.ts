/** Port mappers on real sockets: a router on a loopback address is found, maps and removes. */
import { afterEach, describe, expect, it } from 'vitest';
import { findPortMappers, mappingHandle } from '../../../probe/drive/port-mappers.ts';
import type { PortMapper } from '../../../probe/classify/port-mappers/io.ts';
import { NatprobeError } from '../../../shared/errors.ts';
import type { PortMapperProtocol } from '../../../shared/nat/evidence.ts';
import type { MapRequest } from '../../../shared/portmap/mapping.ts';
import {
  HERE,
  type LoopbackRouter,
  ROUTER_OUTSIDE,
  type RouterSetting,
  startLoopbackRouter,
} from './loopback-router.ts';

const REQUEST: MapRequest = {
  transport: 'udp',
  internalAddress: HERE,
  internalPort: 41_000,
  externalPort: 45_678,
  lifetimeSeconds: 120,
};

const routers: LoopbackRouter[] = [];
afterEach(async () => {
  await Promise.all(routers.splice(0).map((router) => router.close()));
});

async function start(setting?: RouterSetting): Promise<LoopbackRouter> {
  const router = await startLoopbackRouter(setting);
  routers.push(router);
  return router;
}

async function find(router: LoopbackRouter, protocol: PortMapperProtocol): Promise<PortMapper> {
  const mappers = await findPortMappers({ gateway: router.address });
  return mappers.find(({ evidence }) => evidence.protocol === protocol)!;
}

async function codeOf(outcome: Promise<unknown>): Promise<string> {
  const error: unknown = await outcome.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof NatprobeError)) throw new Error(`not refused by an error of ours: ${String(error)}`);
  return error.code;
}

describe('findPortMappers', () => {
  it('finds all three protocols, tells of each as it answers, and maps nothing', async () => {
    const router = await start();
    const told: PortMapper[] = [];
    const mappers = await findPortMappers({
      gateway: router.address,
      onFound: (mapper) => told.push(mapper),
    });
    expect(
      mappers
        .map(({ evidence: { protocol, gateway, externalAddress, error } }) => [
          protocol,
          gateway,
          externalAddress,
          error,
        ])
        .sort(),
    ).toEqual(
      ['nat-pmp', 'pcp', 'upnp-igd'].map((protocol) => [protocol, router.address, ROUTER_OUTSIDE, undefined]),
    );
    expect(told).toEqual(mappers);
    expect(router.actions).toEqual(['GET', 'GetExternalIPAddress']);
    expect(router.datagrams.filter((hex) => !/^(0000|02010000(0{8}).*)$/.test(hex))).toEqual([]);
  });

  it('finds none where nothing is', async () => {
    const router = await start({ hasPort: false, hasUpnp: false });
    expect(await findPortMappers({ gateway: router.address })).toEqual([]);
  });

  it('finds UPnP where nothing else is', async () => {
    const router = await start({ hasPort: false });
    const mappers = await findPortMappers({ gateway: router.address });
    expect(mappers.map(({ evidence }) => evidence.protocol)).toEqual(['upnp-igd']);
  });

  it('is neither led astray nor brought down by what devices say of where they are described', async () => {
    const locations = [
      (own: string) => `http://%E0@${own}/`,
      (own: string) => `gopher://${own}/`,
      (own: string) => `http://${own}:99999/`,
      (own: string) => `http://${own}:1/nobody.xml`,
      () => `http://192.0.2.1/`,
      () => '\0',
    ];
    const honest = await start({ hasPort: false });
    const liars = await Promise.all(locations.map((location) => start({ hasPort: false, location })));
    const found = await Promise.all(liars.map(({ address }) => findPortMappers({ gateway: address })));
    expect(found.flat().filter(({ service }) => service !== undefined)).toEqual([]);
    // With all of them answering as well.
    expect((await find(honest, 'upnp-igd')).evidence.externalAddress).toBe(ROUTER_OUTSIDE);
  });

  it('stops on abort, at once and in between', async () => {
    const router = await start({ hasUpnp: false, deafFor: Infinity });
    expect(await codeOf(findPortMappers({ gateway: router.address, signal: AbortSignal.abort() }))).toBe(
      'ERR_ABORTED',
    );
    expect(router.datagrams).toEqual([]);
    const abort = new AbortController();
    const search = findPortMappers({ gateway: router.address, signal: abort.signal });
    await expect.poll(() => router.datagrams.length).toBeGreaterThan(0);
    abort.abort();
    expect(await codeOf(search)).toBe('ERR_ABORTED');
  });

  it('stops on an abort that comes while its socket is opened', async () => {
    const router = await start({ hasUpnp: false });
    const abort = new AbortController();
    const search = findPortMappers({ gateway: router.address, signal: abort.signal });
    abort.abort();
    expect(await codeOf(search)).toBe('ERR_ABORTED');
    expect(router.datagrams).toEqual([]);
  });
});

describe('mappingHandle', () => {
  it.each(['nat-pmp', 'pcp'] as const)('maps and removes by %s, by the same nonce', async (protocol) => {
    const router = await start({ hasUpnp: false });
    const handle = mappingHandle(await find(router, protocol), { gateway: router.address }, REQUEST);
    const before = router.datagrams.length;
    expect(await handle.add()).toEqual({
      kind: 'mapped',
      externalPort: 45_678,
      lifetimeSeconds: 120,
      ...(protocol === 'pcp' ? { externalAddress: ROUTER_OUTSIDE } : {}),
    });
    expect(await handle.remove()).toMatchObject({ kind: 'mapped', lifetimeSeconds: 0 });
    const [add, remove] = router.datagrams.slice(before);
    if (protocol === 'nat-pmp')
      expect([add, remove]).toEqual(['00010000a028b26e00000078', '00010000a028000000000000']);
    // Nonce, protocol and internal port.
    else expect(remove!.slice(48, 84)).toBe(add!.slice(48, 84));
  });

  it('maps and removes by UPnP, by the external port', async () => {
    const router = await start({ hasPort: false });
    const handle = mappingHandle(await find(router, 'upnp-igd'), { gateway: router.address }, REQUEST);
    expect(await handle.add()).toEqual({
      kind: 'mapped',
      externalPort: 45_678,
      lifetimeSeconds: 120,
      externalAddress: ROUTER_OUTSIDE,
    });
    expect(await handle.remove()).toEqual({ kind: 'mapped', externalPort: 45_678, lifetimeSeconds: 0 });
    expect(router.actions.slice(2)).toEqual([
      'GetSpecificPortMappingEntry 45678',
      'AddPortMapping 45678',
      'GetExternalIPAddress',
      'DeletePortMapping 45678',
    ]);
  });

  it('asks again until a router answers that hears the fourth request only', async () => {
    const router = await start({ hasUpnp: false, deafFor: 3 });
    const mapper: PortMapper = {
      evidence: { kind: 'port-mapper', protocol: 'nat-pmp', gateway: router.address, latencyMs: 1 },
    };
    const handle = mappingHandle(mapper, { gateway: router.address }, REQUEST);
    expect(await handle.add()).toMatchObject({ kind: 'mapped' });
    expect(new Set(router.datagrams)).toEqual(new Set(['00010000a028b26e00000078']));
    expect(router.datagrams).toHaveLength(4);
  });

  it('says silent where nobody listens, and stops on abort', async () => {
    const router = await start({ hasPort: false, hasUpnp: false });
    const mapper: PortMapper = {
      evidence: { kind: 'port-mapper', protocol: 'pcp', gateway: router.address, latencyMs: 1 },
    };
    const handle = mappingHandle(mapper, { gateway: router.address }, REQUEST);
    expect(await handle.add()).toEqual({ kind: 'refused', error: 'silent' });
    expect(await codeOf(handle.add(AbortSignal.abort()))).toBe('ERR_ABORTED');
  });
});
