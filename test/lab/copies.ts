/** Files copied between clients of the lab: through a hole, and over a plain TCP connection for comparison. */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, createReadStream, openSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import type { Namespace } from './namespaces.ts';
import { runThroughHole } from './stream-pairs.ts';

const MEGABYTE = 1024 * 1024;

/** Fills a file with so many megabytes of noise. */
export function writeNoise(file: string, megabytes: number): void {
  const descriptor = openSync(file, 'w');
  for (let written = 0; written < megabytes; written += 1) writeFileSync(descriptor, randomBytes(MEGABYTE));
  closeSync(descriptor);
}

export async function hashOfFile(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/**
 * By `--pipe`: resolves with the milliseconds from the open hole to the end of both processes. Rejects if
 * one of them fails.
 */
export async function copyThroughHole(
  alice: Namespace,
  bob: Namespace,
  from: string,
  to: string,
): Promise<number> {
  const pipe = ['--pipe'];
  const [input, output] = [openSync(from, 'r'), openSync(to, 'w')];
  const ends = await runThroughHole(
    alice,
    bob,
    { alice: pipe, bob: pipe },
    { alice: [input, 'ignore'], bob: ['ignore', output] },
  );
  await Promise.all([ends.alice.said(/open by/), ends.bob.said(/open by/)]);
  const startedAt = performance.now();
  const codes = await Promise.all([ends.alice.ended, ends.bob.ended]);
  const tookMs = performance.now() - startedAt;
  closeSync(input);
  closeSync(output);
  if (codes.some((code) => code !== 0)) throw new Error(`${ends.alice.talk()}\n${ends.bob.talk()}`);
  return tookMs;
}

const RECEIVE = `
const { createServer } = require("node:net");
const { createWriteStream } = require("node:fs");
const server = createServer((connection) => {
  server.close();
  connection.pipe(createWriteStream(process.argv[1])).on("finish", () => connection.end("all"));
});
server.listen(0, process.argv[2], () => console.log(server.address().port));
`;

const SEND = `
const [file, host, port] = process.argv.slice(1);
const connection = require("node:net").connect({ port: Number(port), host, allowHalfOpen: true });
connection.once("connect", () => {
  const startedAt = performance.now();
  require("node:fs").createReadStream(file).pipe(connection);
  connection.resume().on("end", () => { console.log(performance.now() - startedAt); process.exit(); });
});
`;

/** To a client that connections reach: the milliseconds from the connection to the answer that all is written. */
export async function copyOverTcp(
  from: { readonly client: Namespace; readonly file: string },
  to: { readonly client: Namespace; readonly address: string; readonly file: string },
): Promise<number> {
  const receiver = to.client.spawn(process.execPath, ['-e', RECEIVE, to.file, to.address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [port] = (await once(createInterface({ input: receiver.stdout! }), 'line')) as [string];
  const sent = await from.client.run(process.execPath, ['-e', SEND, from.file, to.address, port]);
  return Number(sent.stdout);
}
