/** A router with port mappers, on a loopback address of its own: it grants what it is asked, and keeps what it heard. */
import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PORT_MAPPER_PORT } from '../../../shared/portmap/mapping.ts';
import { GATEWAY_DEVICES, SSDP_ENDPOINT } from '../../../shared/portmap/ssdp.ts';
import { parseIpAddress } from '../../../shared/address.ts';
import { toHex } from '../../vectors/hex.ts';

export const ROUTER_OUTSIDE = '192.0.2.129';
/** This machine's, towards any loopback address. */
export const HERE = '127.0.0.1';

export interface RouterSetting {
  /** Datagrams to its port that it doesn't answer, from the first. */
  readonly deafFor?: number;
  /** Whether it has that port at all. */
  readonly hasPort?: boolean;
  /** Where it says that its description is, for its address; if not given, the right URL. */
  readonly location?: (address: string) => string;
  readonly hasUpnp?: boolean;
}

export interface LoopbackRouter {
  readonly address: string;
  /** NAT-PMP and PCP requests, in hexadecimal. */
  readonly datagrams: readonly string[];
  /** UPnP: `GET`, or an action with the external port that it names. */
  readonly actions: readonly string[];
  close(): Promise<void>;
}

export async function startLoopbackRouter(setting: RouterSetting = {}): Promise<LoopbackRouter> {
  const { deafFor = 0, hasPort = true, hasUpnp = true } = setting;
  // So that tests that run at the same time don't meet.
  const address = `127.${randomInt(1, 255)}.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const datagrams: string[] = [];
  const actions: string[] = [];
  const sockets: Socket[] = [];

  async function bind(port: number, to: string): Promise<Socket> {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    sockets.push(socket);
    socket.bind(port, to);
    await once(socket, 'listening');
    return socket;
  }

  if (hasPort) {
    const socket = await bind(PORT_MAPPER_PORT, address);
    socket.on('message', (bytes, from) => {
      datagrams.push(toHex(bytes));
      const answer = answerTo(bytes);
      if (datagrams.length > deafFor) socket.send(answer, from.port, from.address);
    });
  }
  const server = hasUpnp ? await startHttp(address, actions) : undefined;
  if (server !== undefined) {
    const { port } = server.address() as AddressInfo;
    const group = await bind(SSDP_ENDPOINT.port, SSDP_ENDPOINT.address);
    group.addMembership(SSDP_ENDPOINT.address, HERE);
    const answering = await bind(0, address);
    const location = setting.location?.(address) ?? `http://${address}:${port}/root.xml`;
    group.on('message', (bytes, from) => {
      const device = /^ST: (.*)\r$/m.exec(bytes.toString('latin1'))?.[1];
      if (device !== GATEWAY_DEVICES[0]) return;
      const answer = `HTTP/1.1 200 OK\r\nST: ${device}\r\nLOCATION: ${location}\r\n\r\n`;
      answering.send(answer, from.port, from.address);
    });
  }
  return {
    address,
    datagrams,
    actions,
    async close() {
      for (const socket of sockets) socket.close();
      server?.closeAllConnections();
      server?.close();
      if (server !== undefined) await once(server, 'close');
    },
  };
}

/** RFC 6886 §3.2, §3.3; RFC 6887 §11.3. */
function answerTo(request: Buffer): Buffer {
  if (request[0] === 2) return pcpAnswerTo(request);
  const isMap = request[1] !== 0;
  const answer = Buffer.alloc(isMap ? 16 : 12);
  answer[1] = request[1]! + 128;
  if (isMap) request.copy(answer, 8, 4, 12);
  else answer.set(parseIpAddress(ROUTER_OUTSIDE)!, 8);
  return answer;
}

function pcpAnswerTo(request: Buffer): Buffer {
  const answer = Buffer.from(request);
  answer[1]! |= 0x80;
  answer.fill(0, 8, 24);
  answer.set(parseIpAddress(`::ffff:${ROUTER_OUTSIDE}`)!, 44);
  return answer;
}

async function startHttp(address: string, actions: string[]): Promise<Server> {
  const service = 'urn:schemas-upnp-org:service:WANIPConnection:1';
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
    request.on('end', () => {
      if (request.method === 'GET') {
        actions.push('GET');
        response.end(`<service><serviceType>${service}</serviceType><controlURL>/ctl</controlURL></service>`);
        return;
      }
      const action = /#(\w+)"$/.exec(String(request.headers['soapaction']))?.[1];
      const port = /<NewExternalPort>(\d+)</.exec(body)?.[1];
      actions.push([action, port].filter(Boolean).join(' '));
      if (action === 'GetSpecificPortMappingEntry') response.statusCode = 500;
      response.end(
        action === 'GetSpecificPortMappingEntry'
          ? '<errorCode>714</errorCode>'
          : `<NewExternalIPAddress>${ROUTER_OUTSIDE}</NewExternalIPAddress>`,
      );
    });
  });
  server.listen(0, address);
  await once(server, 'listening');
  return server;
}
