/**
 * A DNS64 (RFC 6147) of one network: `dns64-agent.ts ADDRESS PREFIX NAME=IPV4...` answers at port 53 for
 * those names and for ipv4only.arpa, and says `ready`.
 */
import { createSocket } from 'node:dgram';
import { parseIpAddress } from '../../shared/address.ts';
import { IPV4_ONLY_NAME, parseNat64Prefix, synthesizeAddress } from '../../shared/nat64.ts';

const TYPE_A = 1;
const TYPE_AAAA = 28;
const HEADER_BYTES = 12;
/** A response; recursion is available. */
const ANSWER_FLAGS = 0x8180;
/** The name of the question, which begins behind the header (RFC 1035 §4.1.4). */
const POINTER_TO_NAME = 0xc00c;

const [address, prefixText, ...named] = process.argv.slice(2);
const prefix = parseNat64Prefix(prefixText!)!;
const names = new Map<string, string[]>([[IPV4_ONLY_NAME, ['192.0.0.170', '192.0.0.171']]]);
for (const text of named) {
  const [name, ipv4] = text.split('=') as [string, string];
  names.set(name, [ipv4]);
}

const socket = createSocket({ type: 'udp6', ipv6Only: true });
socket.on('message', (query, { port, address: from }) => socket.send(answerTo(query), port, from));
socket.bind(53, address, () => process.stdout.write('ready\n'));

function answerTo(query: Buffer): Buffer {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  const questionEnd = at + 5;
  const records = recordsOf(labels.join('.'), query.readUInt16BE(at + 1));
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(query.readUInt16BE(0), 0);
  header.writeUInt16BE(ANSWER_FLAGS, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(HEADER_BYTES, questionEnd), ...records]);
}

/** No records for a name of another network: it has none of that type. */
function recordsOf(name: string, type: number): Buffer[] {
  const addresses = names.get(name) ?? [];
  if (type === TYPE_A) return addresses.map((ipv4) => record(type, ipv4));
  return type === TYPE_AAAA ? addresses.map((ipv4) => record(type, synthesizeAddress(prefix, ipv4))) : [];
}

function record(type: number, text: string): Buffer {
  const bytes = parseIpAddress(text)!;
  const head = Buffer.alloc(12);
  head.writeUInt16BE(POINTER_TO_NAME, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(60, 6);
  head.writeUInt16BE(bytes.length, 10);
  return Buffer.concat([head, bytes]);
}
