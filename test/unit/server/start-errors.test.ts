import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { NatprobeError } from '../../../shared/errors.ts';
import { formatEndpoint } from '../../../shared/endpoint.ts';
import { SERVICE } from '../../../shared/stun/attributes/natprobe.ts';
import { readAttribute } from '../../../shared/stun/message.ts';
import { AnswerCore } from '../../../server/answer/answer-core.ts';
import { SourceAddress } from '../../../server/answer/source-address.ts';
import { bindError } from '../../../server/bind-error.ts';
import type { ServerConfig } from '../../../server/config.ts';
import { testFamily } from '../../../server/self-test.ts';
import { startServer } from '../../../server/server.ts';
import { request } from '../answer/exchange.ts';
import { UdpClient, findFreePorts, loopbackConfig, loopbackFamily } from './loopback.ts';

/** The error's code and message; fails if the server starts. */
async function startError(config: ServerConfig): Promise<{ code: string; message: string }> {
  try {
    const server = await startServer(config);
    await server.stop();
  } catch (error) {
    if (error instanceof NatprobeError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('it started');
}

describe('a port in use', () => {
  for (const role of [0, 1, 2, 3] as const) {
    it(`over UDP at ${['PP', 'PA', 'AP', 'AA'][role]!}: named, and the rest is let go`, async () => {
      const config = await loopbackConfig();
      const taken = config.families[0]!.bound[role]!;
      const holder = createSocket('udp4');
      holder.bind(taken.port, taken.address);
      await once(holder, 'listening');
      const { code, message } = await startError(config);
      const flag = (role & 1) === 1 ? '--alt-port' : '--port';
      expect(code).toBe('ERR_PORT_IN_USE');
      expect(message).toContain(`${flag}: another program holds that port (UDP ${formatEndpoint(taken)})`);
      holder.close();
      await once(holder, 'close');
      const server = await startServer(config);
      await server.stop();
    });
  }

  it('over TCP', async () => {
    const config = await loopbackConfig();
    const taken = config.families[0]!.bound[3]!;
    const holder = createServer().listen(taken.port, taken.address);
    await once(holder, 'listening');
    const { code, message } = await startError(config);
    expect(code).toBe('ERR_PORT_IN_USE');
    expect(message).toContain(`--alt-port: another program holds that port (TCP ${formatEndpoint(taken)})`);
    holder.close();
  });

  it('for HTTP: an error if it was asked for, else a warning', async () => {
    const [port] = await findFreePorts('127.0.0.1');
    const holder = createServer().listen(port, '127.0.0.1');
    await once(holder, 'listening');
    const config = await loopbackConfig();
    const http = { host: '127.0.0.1', port };
    const { message } = await startError({ ...config, http: { ...http, required: true } });
    expect(message).toContain(`--http: another program holds that port (TCP 127.0.0.1:${port})`);
    const lines: string[] = [];
    const server = await startServer(
      { ...config, http: { ...http, required: false }, service: { scheme: 'http', port } },
      { log: (level, text) => lines.push(`${level}: ${text}`) },
    );
    expect(server.http).toBeUndefined();
    expect(lines).toEqual([expect.stringMatching(/^warning: HTTP is off: --http: another program holds/)]);
    // Nor are clients sent to that other program.
    const client = await UdpClient.open();
    client.send(request([SERVICE.of({ kind: 'asked' })]), config.families[0]!.bound[0]);
    const [answer] = await client.hear(1);
    expect(readAttribute(answer!.message, SERVICE)).toBeUndefined();
    client.close();
    await server.stop();
    holder.close();
  });
});

it('an address that this machine does not have', async () => {
  const [port, alternatePort] = await findFreePorts('127.0.0.1');
  const elsewhere = (usedPort: number): Endpoint => ({ address: '203.0.113.77', port: usedPort });
  const bound = [
    { address: '127.0.0.1', port },
    { address: '127.0.0.1', port: alternatePort },
    elsewhere(port),
    elsewhere(alternatePort),
  ] as const;
  const { code, message } = await startError({
    families: [{ family: 'ipv4', bound, advertised: bound }],
    selfTest: false,
  });
  expect(code).toBe('ERR_ADDRESS_NOT_LOCAL');
  expect(message).toContain(`--alt-ip: this machine does not have that address (UDP 203.0.113.77:${port})`);
});

it('a port below 1024 without the right to it', () => {
  const refusal = Object.assign(new Error('bind EACCES 192.0.2.1:80'), { code: 'EACCES' });
  const place = { addressFlag: '--ip', portFlag: '--port', endpoint: 'UDP 192.0.2.1:80' };
  expect(bindError(refusal, place).message).toBe(
    '--port: this user may not bind that port (UDP 192.0.2.1:80); use a port from 1024 up, or give the process CAP_NET_BIND_SERVICE',
  );
});

describe('the self-test', () => {
  it('names the endpoint that does not answer', async () => {
    const family = await loopbackFamily('127.0.0.1', '127.0.0.2');
    await expect(testFamily(family)).rejects.toThrow(
      `UDP ${formatEndpoint(family.bound[0])}: the server does not answer itself (no answer); check the firewall`,
    );
  });

  it('names the endpoint whose answer came from elsewhere', async () => {
    const family = await loopbackFamily('127.0.0.1', '127.0.0.2');
    const core = new AnswerCore({ family: 'ipv4', endpoints: family.bound });
    const source = new SourceAddress();
    // Answers everything from the socket that was asked, as servers do that ignore CHANGE-REQUEST.
    const sockets = family.bound.map((endpoint) => {
      const socket = createSocket('udp4');
      socket.bind(endpoint!.port, endpoint!.address);
      socket.on('message', (bytes, { address, port }) => {
        source.set(address, port);
        core.answer(bytes, 0, bytes.length, source, 0);
        socket.send(core.outgoing[0].buffer.slice(0, core.outgoing[0].length), port, address);
      });
      return socket;
    });
    const [pp, pa] = family.bound.map((endpoint) => endpoint && formatEndpoint(endpoint));
    await expect(testFamily(family)).rejects.toThrow(
      `UDP ${pa!} (through ${pp!} with CHANGE-REQUEST): the server does not answer itself (answered from ${pp!})`,
    );
    for (const socket of sockets) socket.close();
  });
});
