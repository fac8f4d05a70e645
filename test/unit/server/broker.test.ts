/** A running natprobed brings two peers together that it has seen itself, by STUN and over the broker. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeServerMessage } from '../../../shared/broker/decode.ts';
import type { ClientMessage, ServerMessage } from '../../../shared/broker/messages.ts';
import type { GivenWitness } from '../../../shared/report/witnesses.ts';
import { WITNESS, type WitnessPurpose } from '../../../shared/stun/attributes/natprobe.ts';
import { XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { readAttribute } from '../../../shared/stun/message.ts';
import { helloOf } from '../../support/broker.ts';
import { ID, request } from '../answer/exchange.ts';
import { type LoopbackServer, startOnLoopback, UdpClient } from './loopback.ts';

/** Makes the request as long as the answer. */
const FILLER_LENGTH = 72;

let running: LoopbackServer;
beforeAll(async () => {
  running = await startOnLoopback({ http: { host: '127.0.0.1', port: 0, required: true } });
});
afterAll(() => running.server.stop());

/** A peer with a UDP socket, and a connection to the broker. */
class Peer {
  readonly heard: ServerMessage[] = [];
  private readonly udp: UdpClient;
  private readonly socket: WebSocket;

  private constructor(udp: UdpClient) {
    this.udp = udp;
    this.socket = new WebSocket(`ws://127.0.0.1:${running.server.http!.port}/broker`);
    this.socket.addEventListener('message', ({ data }) => this.heard.push(decodeServerMessage(String(data))));
  }

  static async open(): Promise<Peer> {
    const peer = new Peer(await UdpClient.open());
    await new Promise((resolve) => peer.socket.addEventListener('open', resolve));
    return peer;
  }

  get endpoint() {
    return this.udp.endpoint;
  }

  say(message: ClientMessage): void {
    this.socket.send(JSON.stringify(message));
  }

  async hear<Kind extends ServerMessage['kind']>(kind: Kind): Promise<ServerMessage & { kind: Kind }> {
    const find = () =>
      this.heard.find((message): message is ServerMessage & { kind: Kind } => message.kind === kind);
    await expect.poll(find, { timeout: 5000 }).toBeDefined();
    return find()!;
  }

  /** From the server, by a Binding request under that nonce. */
  async fetchWitness(nonce: string, purpose: WitnessPurpose = 'broker'): Promise<GivenWitness> {
    const [to] = running.endpoints;
    const asked = {
      kind: 'asked',
      purpose,
      nonce: Buffer.from(nonce, 'hex'),
      fillerLength: FILLER_LENGTH,
    } as const;
    const before = this.udp.heard.length;
    this.udp.send(request([WITNESS.of(asked)]), to!);
    const { message } = (await this.udp.hear(before + 1)).at(-1)!;
    const mapped = readAttribute(message, XOR_MAPPED_ADDRESS);
    const witness = readAttribute(message, WITNESS);
    if (mapped === undefined || witness?.kind !== 'given') throw new Error('no witness');
    const { keyId, madeAtMs, mac } = witness;
    return { transactionId: ID, to: to!, mapped, keyId, madeAtMs, mac: Buffer.from(mac).toString('hex') };
  }

  async register(name: string): Promise<void> {
    this.say(helloOf(name));
    const { nonce } = await this.hear('welcome');
    this.say({ kind: 'candidates', public: [await this.fetchWitness(nonce)], private: [], mapped: [] });
    expect((await this.hear('registered')).public).toEqual([this.endpoint]);
  }

  close(): void {
    this.socket.close();
    this.udp.close();
  }
}

describe('natprobed', () => {
  it('introduces peers by the endpoints that it has answered to', async () => {
    const [ann, bob] = [await Peer.open(), await Peer.open()];
    await Promise.all([ann.register('ann'), bob.register('bob')]);
    ann.say({ kind: 'introduce', id: 1, peer: 'bob' });
    const [toAnn, toBob] = await Promise.all([ann.hear('plan'), bob.hear('plan')]);
    expect(toAnn.plan.peer.candidates).toEqual([{ kind: 'public', endpoint: bob.endpoint }]);
    expect(toBob.plan.peer.candidates).toEqual([{ kind: 'public', endpoint: ann.endpoint }]);
    ann.close();
    bob.close();
  });

  it('takes no witness that it gave for a report', async () => {
    const eve = await Peer.open();
    eve.say(helloOf('eve'));
    const { nonce } = await eve.hear('welcome');
    const witness = await eve.fetchWitness(nonce, 'report');
    eve.say({ kind: 'candidates', public: [witness], private: [], mapped: [] });
    expect(await eve.hear('error')).toMatchObject({ code: 'ERR_CANDIDATE' });
    eve.close();
  });
});
