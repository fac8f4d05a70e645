/**
 * How many bytes each kind of request draws from natprobed, beside coturn's and vovida's servers, over
 * IPv4 in the kernel lab: what a forged source makes each of them send to whom it names.
 *
 *     node test/bench/amplification.ts
 */
import { fileURLToPath } from 'node:url';
import type { AttributeValue } from '../../shared/stun/attributes/attribute.ts';
import { CHANGE_REQUEST, PADDING } from '../../shared/stun/attributes/behaviour.ts';
import { RECEIPT_REQUEST } from '../../shared/stun/attributes/natprobe.ts';
import { encodeMessage, type TransactionId } from '../../shared/stun/message.ts';
import { startStund, startTurnserver } from '../interop/peers.ts';
import { openInternet } from '../lab/internet.ts';
import { labMissing, type Namespace } from '../lab/namespaces.ts';
import { type RunningServer, startNatprobed } from '../lab/natprobe.ts';
import { labNat } from '../lab/nats.ts';
import { printTable } from '../lab/table.ts';
import { missingPrograms } from '../support/system-programs.ts';
import { readArguments } from '../support/arguments.ts';

readArguments('bench:amplification', {});

const MODERN = '000102030405060708090a0b' as TransactionId;
const CLASSIC = '000102030405060708090a0b0c0d0e0f' as TransactionId;
const BOTH = CHANGE_REQUEST.of({ address: true, port: true });

interface Kind {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const KINDS: readonly Kind[] = [
  kind('plain', []),
  kind('plain, RFC 3489', [], { id: CLASSIC }),
  kind('with FINGERPRINT', [], { fingerprint: true }),
  kind('CHANGE-REQUEST, both', [BOTH]),
  kind('the same, and a receipt', [BOTH, RECEIPT_REQUEST.of(84)]),
  kind('PADDING of 500', [PADDING.of(500)]),
  {
    name: 'unknown attribute',
    bytes: Buffer.from('000100042112a442000102030405060708090a0b7ffe0000', 'hex'),
  },
];

function kind(
  name: string,
  attributes: readonly AttributeValue[],
  { id = MODERN, fingerprint = false }: { id?: TransactionId; fingerprint?: boolean } = {},
): Kind {
  return { name, bytes: encodeMessage({ class: 'request', transactionId: id, attributes, fingerprint }) };
}

const AGENT = fileURLToPath(new URL('draw-agent.ts', import.meta.url));

async function drawFrom(client: Namespace, server: RunningServer): Promise<readonly number[]> {
  const requests = KINDS.map(({ bytes }) => Buffer.from(bytes).toString('hex'));
  const { stdout } = await client.run(process.execPath, [AGENT, ...requests]);
  await server.stop();
  return JSON.parse(stdout) as number[];
}

const missing = labMissing() ?? missingPrograms('turnserver', 'stund', 'ss');
if (missing !== undefined) throw new Error(`the lab cannot run: ${missing}`);
const internet = await openInternet();
try {
  const { client } = await internet.attach(labNat('open'));
  const columns: string[][] = [];
  for (const start of [startNatprobed, startTurnserver, startStund]) {
    const drawn = await drawFrom(client, await start(internet.server));
    columns.push(
      drawn.map((bytes, index) => `${bytes} (${(bytes / KINDS[index]!.bytes.length).toFixed(2)})`),
    );
  }
  printTable([
    ['request', 'bytes', 'natprobed', 'coturn', 'vovida'],
    ...KINDS.map(({ name, bytes }, index) => [
      name,
      String(bytes.length),
      ...columns.map((column) => column[index]!),
    ]),
  ]);
} finally {
  await internet.close();
}
