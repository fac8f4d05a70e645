import { describe, expect, it } from 'vitest';
import { encodeBindingRequest } from '../../probe/classify/requests.ts';
import { formatEndpoint, type Endpoint } from '../../shared/endpoint.ts';
import type { Change } from '../../shared/nat/evidence.ts';
import { attributeName } from '../../shared/stun/registry.ts';
import { decodeMessage, readAttribute, type TransactionId } from '../../shared/stun/message.ts';
import { CHANGED_ADDRESS, OTHER_ADDRESS } from '../../shared/stun/attributes/address.ts';
import { Host } from './host.ts';
import { Network } from './network.ts';
import { endpoint } from './recorder.ts';
import { SimulatedServer, type SimulatedServerOptions } from './server.ts';
import { connectTcp } from './tcp.ts';

const ID = '0102030405060708090a0b0c' as TransactionId;
const TWO: SimulatedServerOptions = { addresses: ['192.0.2.1', '192.0.2.2'] };
const ONE: SimulatedServerOptions = { addresses: ['192.0.2.1'] };
const BOTH: Change = { address: true, port: true };
const PORT: Change = { address: false, port: true };

interface Heard {
  readonly from: string;
  readonly class: string;
  readonly attributes: string[];
  readonly other: Endpoint | undefined;
}

/** What a client without NAT hears from the server after one Binding request to `to`. */
function ask(options: SimulatedServerOptions, change?: Change, to = '192.0.2.1:3478'): Heard[] {
  const network = new Network(1);
  new SimulatedServer(network, options);
  const heard: Heard[] = [];
  const client = new Host(network.internet, ['203.0.113.5']);
  const socket = client.openSocket(endpoint('203.0.113.5:4000'), {
    onDatagram(bytes, from) {
      const decoded = decodeMessage(bytes);
      if (decoded.kind !== 'message') throw new Error('not STUN');
      const { message } = decoded;
      expect(message.transactionId).toBe(ID);
      heard.push({
        from: formatEndpoint(from),
        class: message.class,
        attributes: message.attributes.map(({ type }) => attributeName(type)),
        other: readAttribute(message, OTHER_ADDRESS) ?? readAttribute(message, CHANGED_ADDRESS),
      });
    },
  })!;
  socket.send(endpoint(to), encodeBindingRequest('ipv4', ID, change === undefined ? {} : { change }));
  network.run(1000);
  return heard;
}

const MODERN = ['MAPPED-ADDRESS', 'XOR-MAPPED-ADDRESS', 'RESPONSE-ORIGIN', 'OTHER-ADDRESS'];
const CLASSIC = ['MAPPED-ADDRESS', 'SOURCE-ADDRESS', 'CHANGED-ADDRESS'];
const RECEIPT = { class: 'indication', attributes: ['RECEIPT', 'XOR-MAPPED-ADDRESS'], other: undefined };
const AA = endpoint('192.0.2.2:3479');

describe('the simulated server', () => {
  it('natprobed: answers from the asked corner, then gives the receipt from the endpoint that was asked', () => {
    expect(ask(TWO)).toEqual([{ from: '192.0.2.1:3478', class: 'success', attributes: MODERN, other: AA }]);
    expect(ask(TWO, BOTH)).toEqual([
      { from: '192.0.2.2:3479', class: 'success', attributes: MODERN, other: AA },
      { from: '192.0.2.1:3478', ...RECEIPT },
    ]);
    expect(ask(TWO, PORT, '192.0.2.2:3478')).toEqual([
      { from: '192.0.2.2:3479', class: 'success', attributes: MODERN, other: endpoint('192.0.2.1:3479') },
      { from: '192.0.2.2:3478', ...RECEIPT },
    ]);
  });

  it('natprobed with one address: no OTHER-ADDRESS, and only the port changes', () => {
    const attributes = MODERN.slice(0, 3);
    expect(ask(ONE)).toEqual([{ from: '192.0.2.1:3478', class: 'success', attributes, other: undefined }]);
    expect(ask(ONE, PORT)).toEqual([
      { from: '192.0.2.1:3479', class: 'success', attributes, other: undefined },
      { from: '192.0.2.1:3478', ...RECEIPT },
    ]);
    expect(ask(ONE, BOTH).map((heard) => [heard.from, heard.class, heard.attributes])).toEqual([
      ['192.0.2.1:3478', 'error', ['ERROR-CODE', 'UNKNOWN-ATTRIBUTES']],
    ]);
  });

  it('rfc5780: the same without receipts', () => {
    const kind = 'rfc5780';
    expect(ask({ ...TWO, kind }, BOTH)).toEqual([
      { from: '192.0.2.2:3479', class: 'success', attributes: MODERN, other: AA },
    ]);
    expect(ask({ ...ONE, kind }, PORT).map((heard) => heard.class)).toEqual(['error']);
  });

  it('rfc3489: its own attributes, and the transaction id back as it came', () => {
    expect(ask({ ...TWO, kind: 'rfc3489' }, BOTH)).toEqual([
      { from: '192.0.2.2:3479', class: 'success', attributes: CLASSIC, other: AA },
    ]);
  });

  it('fixed-other-address: names its second address to everybody', () => {
    const kind = 'fixed-other-address';
    expect(ask({ ...TWO, kind }, undefined, '192.0.2.2:3479')[0]!.other).toEqual(AA);
    expect(ask(TWO, undefined, '192.0.2.2:3479')[0]!.other).toEqual(endpoint('192.0.2.1:3478'));
  });

  it('ignores-change-request: answers from where it was asked', () => {
    expect(ask({ ...TWO, kind: 'ignores-change-request' }, BOTH)).toEqual([
      { from: '192.0.2.1:3478', class: 'success', attributes: MODERN, other: AA },
    ]);
  });

  it('names what it is told to', () => {
    const wrong = endpoint('10.9.9.9:3479');
    const advertised = { 2: endpoint('10.9.9.9:3478'), 3: wrong };
    const [response, receipt] = ask({ ...TWO, advertised }, BOTH);
    expect([response!.from, response!.other]).toEqual(['192.0.2.2:3479', wrong]);
    expect(receipt!.class).toBe('indication');
  });

  it('answers over TCP, hangs up, refuses or is silent', () => {
    const outcomes = (['answers', 'closes', 'refuses', 'silent'] as const).map((tcp) => {
      const network = new Network(1);
      const server = new SimulatedServer(network, { ...TWO, tcp });
      const heard: string[] = [];
      const client = new Host(network.internet, ['203.0.113.5']);
      connectTcp(client, server.primary, encodeBindingRequest('ipv4', ID, {}), (outcome) => {
        heard.push(outcome.kind);
        if (outcome.kind === 'answered') expect(decodeMessage(outcome.bytes).kind).toBe('message');
      });
      network.run(10_000);
      return heard;
    });
    expect(outcomes).toEqual([['connected', 'answered'], ['connected', 'closed'], ['refused'], []]);
  });
});
