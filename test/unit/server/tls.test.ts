/** STUN over TLS and HTTPS, with certificates that change. */
import { once } from 'node:events';
import { copyFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { configureServer, roleEndpoints, type ServerConfig } from '../../../server/config.ts';
import type { Log } from '../../../server/log.ts';
import type { RunningServer } from '../../../server/server.ts';
import { DEFAULT_CONNECTION_LIMITS } from '../../../server/tcp/connection-limits.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import {
  OTHER_ADDRESS,
  RESPONSE_ORIGIN,
  XOR_MAPPED_ADDRESS,
} from '../../../shared/stun/attributes/address.ts';
import { SERVICE } from '../../../shared/stun/attributes/natprobe.ts';
import { StreamFramer } from '../../../shared/stun/framing.ts';
import { decodeMessage, readAttribute, type StunMessage } from '../../../shared/stun/message.ts';
import {
  createCertificate,
  createCertificateDirectory,
  type TestCertificate,
} from '../../support/certificates.ts';
import { askHttps } from '../../support/https.ts';
import { describeIf } from '../../support/requirements.ts';
import { missingPrograms } from '../../support/system-programs.ts';
import { request } from '../answer/exchange.ts';
import { findFreePorts, loopbackFamily, startOnLoopback } from './loopback.ts';

const LOG: { level: string; message: string }[] = [];
const log: Log = (level, message) => {
  if (message.startsWith('TLS: ')) LOG.push({ level, message });
};

describeIf(missingPrograms('openssl'))('TLS', () => {
  const directory = createCertificateDirectory();
  // As certbot has it: links that are replaced.
  const certFile = join(directory.path, 'live.pem');
  const keyFile = join(directory.path, 'live.key');
  let first: TestCertificate;
  let second: TestCertificate;
  let server: RunningServer;
  let endpoints: readonly Endpoint[];

  beforeAll(async () => {
    first = createCertificate(directory.path, 'first');
    second = createCertificate(directory.path, 'second');
    pointTo(first);
    const family = await loopbackFamily('127.0.0.1', '127.0.0.2');
    const [port, alternatePort] = await findFreePorts('127.0.0.1', '127.0.0.2');
    const bound = roleEndpoints('127.0.0.1', '127.0.0.2', port, alternatePort);
    endpoints = bound.filter((endpoint) => endpoint !== undefined);
    const config: Partial<ServerConfig> = {
      families: [family],
      http: { host: '127.0.0.1', port: 0, required: true },
      service: { scheme: 'https', port: 443 },
      selfTest: true,
      tls: { certFile, keyFile, families: [{ family: 'ipv4', bound, advertised: bound }] },
    };
    ({ server } = await startOnLoopback(config, {
      log,
      connectionLimits: { ...DEFAULT_CONNECTION_LIMITS, perSource: 8, messageTimeoutMs: 300 },
    }));
  });
  afterAll(async () => {
    await server.stop();
    directory.remove();
  });

  function pointTo(files: TestCertificate): void {
    for (const [from, to] of [
      [files.certFile, certFile],
      [files.keyFile, keyFile],
    ] as const) {
      symlinkSync(from, `${to}.new`);
      renameSync(`${to}.new`, to);
    }
  }

  async function open(to: Endpoint, ca: string): Promise<TlsClient> {
    const client = new TlsClient(connect({ host: to.address, port: to.port, ca }));
    await once(client.socket, 'secureConnect');
    return client;
  }

  function connections(): { accepted: number; timedOut: number; refused: number } {
    return server.counts()[0]!.tls!.connections;
  }

  it('answers STUN at each of the four endpoints', async () => {
    for (const [role, endpoint] of endpoints.entries()) {
      const client = await open(endpoint, first.cert);
      expect(['TLSv1.2', 'TLSv1.3']).toContain(client.socket.getProtocol());
      client.socket.write(Buffer.concat([request(), request([SERVICE.of({ kind: 'asked' })])]));
      const [answer, another] = await client.receive(2);
      const { address, port } = client.socket.address() as Endpoint;
      expect(readAttribute(answer!, XOR_MAPPED_ADDRESS)).toEqual({ address, port });
      expect(readAttribute(answer!, RESPONSE_ORIGIN)).toEqual(endpoint);
      expect(readAttribute(answer!, OTHER_ADDRESS)).toEqual(endpoints[role ^ 3]);
      expect(readAttribute(another!, SERVICE)).toEqual({ kind: 'given', scheme: 'https', port: 443 });
      client.socket.destroy();
    }
  });

  it('takes no older version than 1.2', async () => {
    const { address: host, port } = endpoints[0]!;
    const old = connect({
      host,
      port,
      ca: first.cert,
      maxVersion: 'TLSv1.1',
      minVersion: 'TLSv1.1',
      ciphers: 'ALL:@SECLEVEL=0',
    });
    const [error] = (await once(old, 'error')) as [NodeJS.ErrnoException];
    expect(error.message).toMatch(/alert protocol version|unsupported protocol|no protocols available/);
  });

  it('ends connections that never speak TLS, or stop speaking, and counts them off again', async () => {
    const { address, port } = endpoints[0]!;
    const before = connections();
    const silent = [1, 2, 3].map(() => connectTcp(port, address));
    const plain = connectTcp(port, address, () => plain.write(request()));
    await Promise.all([...silent, plain].map(closeOf));
    expect(connections().timedOut - before.timedOut).toBe(3);
    // One after the other, more than there may be at once.
    for (let i = 0; i < 12; i++) {
      const client = await open(endpoints[0]!, first.cert);
      client.socket.write(request());
      await client.receive(1);
      client.socket.destroy();
      await closeOf(client.socket);
    }
  });

  it('serves HTTPS, and tells browsers to keep to it', async () => {
    const { status, headers, subject } = await askHttps(server.http!, first.cert, '/healthz');
    expect(status).toBe(200);
    expect(headers['strict-transport-security']).toBe('max-age=15552000');
    expect(subject).toBe('first');
  });

  it('uses a renewed certificate for new connections, and keeps those that stand', async () => {
    const standing = await open(endpoints[3]!, first.cert);
    pointTo(second);
    await server.reload();
    expect((await askHttps(server.http!, second.cert, '/healthz')).subject).toBe('second');
    const client = await open(endpoints[3]!, second.cert);
    expect(client.socket.getPeerCertificate().subject.CN).toBe('second');
    for (const { socket } of [client, standing]) socket.write(request());
    await Promise.all([client.receive(1), standing.receive(1)]);
    for (const { socket } of [client, standing]) socket.destroy();
    expect(LOG.at(-1)).toMatchObject({
      level: 'info',
      message: expect.stringContaining('changed') as string,
    });
  });

  it('keeps the old one where the new one is none, and says so once', async () => {
    copyFileSync(second.certFile, join(directory.path, 'third.pem'));
    writeFileSync(join(directory.path, 'third.key'), first.key);
    pointTo({
      ...first,
      certFile: join(directory.path, 'third.pem'),
      keyFile: join(directory.path, 'third.key'),
    });
    const before = LOG.length;
    await server.reload();
    await server.reload();
    expect(LOG.slice(before)).toEqual([
      {
        level: 'error',
        message: expect.stringMatching(
          /^TLS: the certificate stays as it was: --tls-cert, --tls-key: .*key values mismatch/,
        ) as string,
      },
    ]);
    expect((await askHttps(server.http!, second.cert, '/healthz')).subject).toBe('second');
    pointTo(first);
    await server.reload();
    expect((await askHttps(server.http!, first.cert, '/healthz')).subject).toBe('first');
  });

  it('says at the start what is wrong with the files', async () => {
    const families = [await loopbackFamily('127.0.0.1', undefined)];
    const start = (cert: string, key: string): Promise<unknown> =>
      startOnLoopback({ families, tls: { certFile: cert, keyFile: key, families } });
    await expect(start('/nonexistent.pem', keyFile)).rejects.toThrow(
      /^--tls-cert: the certificate and its key cannot be used \(\/nonexistent\.pem: ENOENT\)/,
    );
    await expect(start(certFile, second.keyFile)).rejects.toThrow(/^--tls-cert, --tls-key: .*mismatch/);
    await expect(start(keyFile, keyFile)).rejects.toMatchObject({ code: 'ERR_TLS' });
  });

  it('is configured on ports of its own', () => {
    const local = [
      { interface: 'lo', family: 'ipv4', address: '127.0.0.1', prefixLength: 8, loopback: true },
    ] as const;
    const configure = (flags: object): ServerConfig =>
      configureServer({ ip: ['127.0.0.1'], ...flags }, local);
    const files = { tlsCert: 'c', tlsKey: 'k' };
    const { tls, service } = configure(files);
    expect(tls?.families[0]!.bound.map((endpoint) => endpoint?.port)).toEqual([
      5349,
      5350,
      undefined,
      undefined,
    ]);
    expect(service).toEqual({ scheme: 'https', port: 8478 });
    expect(configure({ ...files, tlsPort: '443' }).tls?.families[0]!.advertised[1]).toMatchObject({
      port: 444,
    });
    expect(configure({}).tls).toBeUndefined();
    expect(() => configure({ tlsCert: 'c' })).toThrow(/^--tls-cert: .*it takes --tls-key too/);
    expect(() => configure({ tlsKey: 'k' })).toThrow(/^--tls-key: .*it takes --tls-cert too/);
    expect(() => configure({ tlsPort: '443' })).toThrow(/^--tls-port: .*it takes --tls-cert and --tls-key/);
    expect(() => configure({ ...files, tlsPort: '3478' })).toThrow(/^--tls-port: .*3478 and 3479/);
    expect(() => configure({ ...files, tlsPort: '65535' })).toThrow(/^--tls-port: not a port/);
    expect(() => configure({ ...files, tlsPort: 'x' })).toThrow(/^--tls-port: not a port/);
  });
});

/** However it ends. */
function closeOf(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  return new Promise((resolve) => socket.on('close', () => resolve()));
}

/** Keeps the messages that it gets. */
class TlsClient {
  readonly messages: StunMessage[] = [];
  readonly socket: TLSSocket;

  constructor(socket: TLSSocket) {
    this.socket = socket;
    const framer = new StreamFramer(65_535);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      framer.push(chunk);
      for (let bytes = framer.next(); bytes !== undefined; bytes = framer.next()) {
        const decoded = decodeMessage(bytes);
        if (decoded.kind === 'message') this.messages.push(decoded.message);
      }
    });
  }

  async receive(count: number): Promise<readonly StunMessage[]> {
    const signal = AbortSignal.timeout(5000);
    while (this.messages.length < count) await once(this.socket, 'data', { signal });
    return this.messages;
  }
}
