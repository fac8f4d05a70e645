/** To whom SERVICE is given: those who find HTTP where they asked STUN. Over real sockets of both families. */
import { once } from 'node:events';
import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askForService } from '../../../probe/drive/find-api.ts';
import { configureServer } from '../../../server/config.ts';
import { isServiceAt } from '../../../server/http/endpoint.ts';
import type { LocalAddress } from '../../../server/local-addresses.ts';
import { type RunningServer, startServer } from '../../../server/server.ts';
import { SERVICE } from '../../../shared/stun/attributes/natprobe.ts';
import { readAttribute } from '../../../shared/stun/message.ts';
import { request } from '../answer/exchange.ts';
import { findFreePorts, UdpClient } from './loopback.ts';

const LOOPBACK: readonly LocalAddress[] = [
  { interface: 'lo', family: 'ipv4', address: '127.0.0.1', prefixLength: 8, loopback: true },
  { interface: 'lo', family: 'ipv6', address: '::1', prefixLength: 128, loopback: true },
];
const [V4, V6] = ['192.0.2.1', '2001:db8::1'] as const;
const BOTH = { [V4]: true, [V6]: true };
const NONE = { [V4]: false, [V6]: false };

describe('is decided by where HTTP listens', () => {
  it.each([
    ['0.0.0.0', { [V4]: true, [V6]: false }],
    ['::', BOTH],
    [V4, { [V4]: true, [V6]: false }],
    ['2001:DB8:0::1', { [V4]: false, [V6]: true }],
    ['192.0.2.2', NONE],
    ['127.0.0.1', NONE],
    ['localhost', NONE],
    ['nat.example.org', NONE],
  ])('%s', (host, expected) => {
    expect(givenAt({ hosts: [host] })).toEqual(expected);
  });

  it('localhost is both loopback addresses, and no others', () => {
    const given = ['127.0.0.1', '::1', '127.0.0.2'].map((one) => isServiceAt(one, { hosts: ['localhost'] }));
    expect(given).toEqual([true, true, false]);
  });

  it.each([
    ['https://nat.example.org/', BOTH],
    ['https://192.0.2.9/', { [V4]: true, [V6]: false }],
    ['https://[2001:db8::9]:8443/', { [V4]: false, [V6]: true }],
  ])('or by the public URL alone: %s', (publicUrl, expected) => {
    expect(givenAt({ publicUrl, hosts: ['127.0.0.1'] })).toEqual(expected);
    expect(givenAt({ publicUrl })).toEqual(expected);
  });

  function givenAt(place: Parameters<typeof isServiceAt>[1]): Record<string, boolean> {
    return Object.fromEntries([V4, V6].map((address) => [address, isServiceAt(address, place)]));
  }
});

describe.each([
  ['0.0.0.0', ['127.0.0.1']],
  ['::', ['127.0.0.1', '::1']],
  ['localhost', await addressesOf('localhost')],
  ['127.0.0.1', ['127.0.0.1']],
  ['::1', ['::1']],
])('--http %s', (host, reached) => {
  let server: RunningServer;
  let ports: readonly [number, number];
  let httpPort: number;

  beforeAll(async () => {
    ports = await findFreePorts('127.0.0.1', '::1');
    [httpPort] = await findFreePorts('127.0.0.1', '::1');
    const config = configureServer(
      {
        ip: ['127.0.0.1', '::1'],
        port: String(ports[0]),
        altPort: String(ports[1]),
        http: host.includes(':') ? `[${host}]:${httpPort}` : `${host}:${httpPort}`,
        selfTest: false,
        lanes: '0',
      },
      LOOPBACK,
    );
    server = await startServer(config);
  });
  afterAll(() => server.stop());

  it('is told to whom a connection there is opened, and to nobody else', async () => {
    for (const address of ['127.0.0.1', '::1']) {
      const isReached = reached.includes(address);
      expect(await isOpen(address, httpPort), address).toBe(isReached);
      const service = isReached ? { kind: 'given', scheme: 'http', port: httpPort } : undefined;
      expect(await askAt(address, ports[0]), address).toEqual(service);
    }
  });

  it('is found by a probe that knows addresses of both families', async () => {
    const ipv4 = { address: '127.0.0.1', port: ports[0] };
    const ipv6 = { address: '::1', port: ports[0] };
    expect(await askForService({ ipv4, ipv6 })).toMatchObject({ scheme: 'http', port: httpPort });
  });
});

/** On this machine: of some it is IPv4 alone. */
async function addressesOf(name: string): Promise<string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}

async function isOpen(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** What is said to who asks for SERVICE. */
async function askAt(address: string, port: number): Promise<unknown> {
  const client = await UdpClient.open(address);
  try {
    client.send(request([SERVICE.of({ kind: 'asked' })]), { address, port });
    const [heard] = await client.hear(1);
    return readAttribute(heard!.message, SERVICE);
  } finally {
    client.close();
  }
}
