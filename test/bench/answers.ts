/**
 * `npm run bench:answers [-- --millions N]`: answers a second of the answer core alone
 * (no sockets), and what a million answers add to the heap after a collection.
 */
import type { Family } from '../../shared/endpoint.ts';
import { CHANGE_REQUEST, PADDING } from '../../shared/stun/attributes/behaviour.ts';
import { rawAttribute } from '../../shared/stun/attributes/attribute.ts';
import { RECEIPT_REQUEST, WITNESS } from '../../shared/stun/attributes/natprobe.ts';
import { SourceAddress } from '../../server/answer/source-address.ts';
import { number, readArguments } from '../support/arguments.ts';
import { CLASSIC_ID, CLIENTS, createCore, createWitnessMaker, request } from '../unit/answer/exchange.ts';

const MILLION = 1_000_000;
const WITNESS_ASKED = WITNESS.of({
  kind: 'asked',
  purpose: 'report',
  nonce: new Uint8Array(16),
  fillerLength: 72,
});
const CHANGE = CHANGE_REQUEST.of({ address: true, port: true });

const cases: readonly [name: string, family: Family, request: Uint8Array][] = [
  ['20 bytes', 'ipv4', request()],
  ['20 bytes', 'ipv6', request()],
  ['FINGERPRINT', 'ipv4', request([], { fingerprint: true })],
  ['RFC 3489', 'ipv4', request([], { id: CLASSIC_ID })],
  ['CHANGE-REQUEST', 'ipv4', request([CHANGE])],
  ['receipt', 'ipv4', request([CHANGE, RECEIPT_REQUEST.of(84)])],
  ['receipt', 'ipv6', request([CHANGE, RECEIPT_REQUEST.of(156)])],
  ['witness', 'ipv4', request([WITNESS_ASKED])],
  ['PADDING 1500', 'ipv4', request([PADDING.of(1500)])],
  ['420', 'ipv4', request([rawAttribute(0x7ffe, new Uint8Array(4))])],
  ['not STUN', 'ipv4', Buffer.from('ordinary bytes, no STUN at all')],
];

const { millions } = readArguments('bench:answers', { millions: number(5, { least: 0.01, step: 0 }) });
if (globalThis.gc === undefined) {
  console.error('start it with --expose-gc: otherwise the heap holds what has not been collected yet');
  process.exit(2);
}
const collect = globalThis.gc;

console.log(`Node ${process.version}, ${millions} million requests each, source address parsed for each\n`);
console.log('| request | family | answers a second | ns each | heap growth per million answers (bytes) |');
console.log('|---|---|---|---|---|');
// What is made once, by the first case or by the measuring itself, is not to be counted as growth.
measure('ipv4', request());
for (const [name, family, bytes] of cases) {
  const { perSecond, heapGrowth } = measure(family, bytes);
  const cells = [name, family, Math.round(perSecond), Math.round(1e9 / perSecond), Math.round(heapGrowth)];
  console.log(`| ${cells.join(' | ')} |`);
}

function measure(family: Family, bytes: Uint8Array): { perSecond: number; heapGrowth: number } {
  const core = createCore(family, { witness: createWitnessMaker() });
  const source = new SourceAddress();
  const { address, port } = CLIENTS[family];
  const answerMillion = (): void => {
    for (let i = 0; i < MILLION; i++) {
      // As the UDP lane does for each datagram.
      source.set(address, port);
      core.answer(bytes, 0, bytes.length, source, 0);
    }
  };
  // Compiles it, and fills whatever is made once.
  answerMillion();
  collect();
  const before = process.memoryUsage().heapUsed;
  const startedAt = performance.now();
  for (let i = 0; i < millions; i++) answerMillion();
  const seconds = (performance.now() - startedAt) / 1000;
  collect();
  const heapGrowth = (process.memoryUsage().heapUsed - before) / millions;
  return { perSecond: (millions * MILLION) / seconds, heapGrowth };
}
