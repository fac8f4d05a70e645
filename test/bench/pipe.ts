/**
 * Measures what `--pipe` carries through a hole between two port-restricted NATs, beside a plain TCP copy
 * through as many hops, in turns, with all files compared. TCP goes once as it is, in segments of up to
 * 64 KiB that the lab's devices pass on (and lose) whole, and once in packets of 1500 bytes, as they are on
 * a wire and as the hole has them. Needs the lab (root).
 *
 *     npm run bench:pipe -- [--megabytes 100] [--loss 0,2] [--runs 3]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyOverTcp, copyThroughHole, hashOfFile, writeNoise } from '../lab/copies.ts';
import { openInternet } from '../lab/internet.ts';
import { labMissing } from '../lab/namespaces.ts';
import { labNat } from '../lab/nats.ts';
import { startBroker } from '../lab/punches.ts';
import { printTable } from '../lab/table.ts';
import { list, number, percent, readArguments } from '../support/arguments.ts';

const { megabytes, loss, runs } = readArguments('bench:pipe', {
  megabytes: number(100, { least: 1 }),
  loss: list('0,2', percent(0)),
  runs: number(3, { least: 1 }),
});
const MS_PER_S = 1000;

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

const rateText = (megabytesPerS: number): string => `${megabytesPerS.toFixed(1)} MB/s`;

async function measure(megabytes: number, losses: readonly number[], runs: number): Promise<string[][]> {
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-pipe-'));
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  const internet = await openInternet();
  try {
    await startBroker(internet);
    const [alice, bob, open] = await Promise.all(
      ['port-restricted-cone', 'port-restricted-cone', 'open'].map((name) => internet.attach(labNat(name))),
    );
    writeNoise(from, megabytes);
    const hash = await hashOfFile(from);
    const rateOf = async (tookMs: number): Promise<number> => {
      if ((await hashOfFile(to)) !== hash) throw new Error('what came out is not what went in');
      return megabytes / (tookMs / MS_PER_S);
    };
    const rows: string[][] = [];
    for (const loss of losses) {
      await alice!.setLoss(loss);
      const rates: Record<'pipe' | 'packets' | 'segments', number[]> = {
        pipe: [],
        packets: [],
        segments: [],
      };
      for (let run = 0; run < runs; run += 1) {
        rates.pipe.push(await rateOf(await copyThroughHole(alice!.client, bob!.client, from, to)));
        const target = { client: open!.client, address: open!.clientAddress.ipv4, file: to };
        const source = { client: alice!.client, file: from };
        rates.segments.push(await rateOf(await copyOverTcp(source, target)));
        await alice!.client.script('ip link set net gso_max_segs 1');
        rates.packets.push(await rateOf(await copyOverTcp(source, target)));
        await alice!.client.script('ip link set net gso_max_segs 65535');
      }
      const pipe = median(rates.pipe);
      rows.push([
        `${loss} %`,
        `${megabytes} MB`,
        rateText(pipe),
        ...[rates.packets, rates.segments].flatMap((beside) => [
          rateText(median(beside)),
          (pipe / median(beside)).toFixed(2),
        ]),
      ]);
    }
    return rows;
  } finally {
    await internet.close();
    rmSync(folder, { recursive: true });
  }
}

const missing = labMissing();
if (missing === undefined) {
  const rows = await measure(megabytes, loss, runs);
  printTable([
    ['loss each way', 'size', '--pipe', 'TCP in packets', 'ratio', 'TCP in segments', 'ratio'],
    ...rows,
  ]);
} else {
  console.error(`no bench here: ${missing}`);
  process.exitCode = 2;
}
