/** What a peer is registered with, against a natprobed on loopback and servers of other manners. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type MainSockets, openMainSockets } from '../../../probe/drive/main-sockets.ts';
import { openUdpSocket } from '../../../probe/drive/udp.ts';
import { checkBrokerWitness } from '../../../server/witness/check-witnesses.ts';
import { readKeyFile } from '../../../server/witness-key-source.ts';
import { WitnessKeys } from '../../../server/witness/witness-keys.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { decodeMessage, encodeMessage } from '../../../shared/stun/message.ts';
import { type ReportService, startReportService } from '../../support/report-service.ts';
import { type LoopbackServer, startOnLoopback } from '../server/loopback.ts';

const NONCE = '00112233445566778899aabbccddeeff';
const OTHER_NONCE = 'ff112233445566778899aabbccddeeff';

let service: ReportService;
let stun: LoopbackServer;
let server: Endpoint;
const open: { close(): unknown }[] = [];
beforeAll(async () => {
  service = await startReportService();
  stun = await startOnLoopback({ witnessKeyFile: service.keyFile });
  server = stun.endpoints[0]!;
});
afterAll(async () => {
  await Promise.all([stun.server.stop(), service.stop()]);
});
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** Whether the server's keys made every public candidate's witness under that nonce. */
function areGood(candidates: MainSockets<Socket>['candidates'], nonce: string): boolean[] {
  const keys = new WitnessKeys(...readKeyFile(service.keyFile));
  return candidates.public.map(
    (witness) => checkBrokerWitness(witness, nonce, keys, Date.now()) !== undefined,
  );
}

/** A forwarder that drops the first so many datagrams on their way to the server. */
async function lossyWay(to: Endpoint, drops: number): Promise<Endpoint> {
  const socket = createSocket('udp4');
  open.push(socket);
  let dropped = 0;
  let asker: Endpoint | undefined;
  socket.on('message', (bytes, from) => {
    if (from.port === to.port) socket.send(bytes, asker!.port, asker!.address);
    else if (dropped++ >= drops) {
      asker = from;
      socket.send(bytes, to.port, to.address);
    }
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { address: '127.0.0.1', port: socket.address().port };
}

/** One that answers as any STUN server does. */
async function plainServer(): Promise<Endpoint> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  open.push(socket);
  socket.on('message', (bytes, from) => {
    const decoded = decodeMessage(bytes);
    if (decoded.kind !== 'message') return;
    const { transactionId } = decoded.message;
    const attributes = [XOR_MAPPED_ADDRESS.of({ address: from.address, port: from.port })];
    socket.send(encodeMessage({ class: 'success', transactionId, attributes }), from.port, from.address);
  });
  await once(socket, 'listening');
  return { address: '127.0.0.1', port: socket.address().port };
}

describe('openMainSockets', () => {
  it('has its socket witnessed for the broker, under the nonce, and again from the same one', async () => {
    const mains = await openMainSockets({ servers: { ipv4: server }, nonce: NONCE, open: openUdpSocket });
    open.push(mains);
    const [witness] = mains.candidates.public;
    expect(areGood(mains.candidates, NONCE)).toEqual([true]);
    expect(areGood(mains.candidates, OTHER_NONCE)).toEqual([false]);
    const renewed = await mains.renew(OTHER_NONCE);
    expect(areGood(renewed, OTHER_NONCE)).toEqual([true]);
    expect(renewed.public[0]!.mapped).toEqual(witness!.mapped);
    expect(renewed.public[0]!.transactionId).not.toBe(witness!.transactionId);
    expect(mains.candidates).toEqual(renewed);
  });

  it('asks again where a request is lost', async () => {
    const towards = await lossyWay(server, 3);
    const mains = await openMainSockets({ servers: { ipv4: towards }, nonce: NONCE, open: openUdpSocket });
    open.push(mains);
    expect(mains.candidates.public).toHaveLength(1);
  });

  it('leaves out a family that is not answered, and does not wait for it long', async () => {
    const startedAt = performance.now();
    const silent = createSocket('udp6').bind(0, '::1');
    open.push(silent);
    await once(silent, 'listening');
    const servers = { ipv4: server, ipv6: { address: '::1', port: silent.address().port } };
    const mains = await openMainSockets({ servers, nonce: NONCE, open: openUdpSocket });
    open.push(mains);
    expect(Object.keys(mains.servers)).toEqual(['ipv4']);
    expect(mains.candidates.public).toHaveLength(1);
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  it('says that nothing answers, that what answers is no natprobed of ours, or that the port is taken', async () => {
    const mute = createSocket('udp4').bind(0, '127.0.0.1');
    open.push(mute);
    await once(mute, 'listening');
    const nobody = { address: '127.0.0.1', port: mute.address().port };
    const ask = (to: Endpoint, localPort?: number) =>
      openMainSockets({
        servers: { ipv4: to },
        nonce: NONCE,
        open: openUdpSocket,
        timeoutMs: 300,
        ...(localPort !== undefined && { localPort }),
      });
    await expect(ask(nobody)).rejects.toMatchObject({ code: 'ERR_UNREACHABLE' });
    await expect(ask(server, nobody.port)).rejects.toMatchObject({ code: 'ERR_LOCAL_PORT' });
    await expect(ask(await plainServer())).rejects.toMatchObject({ code: 'ERR_NO_WITNESS' });
  });

  it('stops when it is told to', async () => {
    const stop = new AbortController();
    const mute = await lossyWay(server, Infinity);
    const opening = openMainSockets({
      servers: { ipv4: mute },
      nonce: NONCE,
      open: openUdpSocket,
      signal: stop.signal,
    });
    setTimeout(() => stop.abort(), 50);
    await expect(opening).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  });

  it('keeps the sockets open until their last user has closed them', async () => {
    const mains = await openMainSockets({ servers: { ipv4: server }, nonce: NONCE, open: openUdpSocket });
    const heard: string[] = [];
    const use = (name: string) =>
      mains.use(() => ({
        onDatagram: (_, bytes) => heard.push(`${name} ${Buffer.from(bytes).toString()}`),
        onRefused: () => undefined,
      })).ipv4!;
    const [one, other] = [use('one'), use('other')];
    const sendsToItself = async (): Promise<string[]> => {
      heard.length = 0;
      const asker = createSocket('udp4');
      asker.send('x', one.local.port, '127.0.0.1');
      await new Promise((resolve) => setTimeout(resolve, 30));
      asker.close();
      return heard;
    };
    mains.close();
    expect(await sendsToItself()).toEqual(['one x', 'other x']);
    one.close();
    one.close();
    expect(await sendsToItself()).toEqual(['other x']);
    other.close();
    expect(await sendsToItself()).toEqual([]);
    expect(() => use('late')).toThrow(/closed/);
  });
});
