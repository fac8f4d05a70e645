/**
 * Measures the lifetimes of kernel NATs whose conntrack forgets flows after 30, 60 and 180 s, all at
 * once, at the default resolution. Ends in 1 if one is not found to 5 s, or late. Takes about three minutes.
 *
 *     node test/bench/lifetime.ts [--seconds 30,60,180] [--loss 0]
 */
import { describeLifetime, type Lifetime, type LifetimeAxis } from '../../shared/nat/lifetime.ts';
import { conntrackLifetimeNat } from '../lab/axis-nats.ts';
import { inquire } from '../lab/inquire.ts';
import { openInternet, type Internet } from '../lab/internet.ts';
import { labMissing } from '../lab/namespaces.ts';
import { startNatprobed } from '../lab/natprobe.ts';
import { printTable } from '../lab/table.ts';
import { list, number, percent, readArguments } from '../support/arguments.ts';

const { seconds, loss } = readArguments('bench:lifetime', {
  seconds: list('30,60,180', number(30, { least: 1, most: 300 })),
  loss: percent(0),
});
const TOLERANCE_MS = 5000;
/** Contact, the exchanges of a stream, one step and its questions. */
const LATE_MS = 15_000;

async function measure(internet: Internet, trueS: number): Promise<{ row: string[]; isGood: boolean }> {
  const site = await internet.attach(conntrackLifetimeNat('port-restricted-cone', trueS, trueS).nat);
  await site.setLoss(loss);
  const { axis, tookMs } = await inquire<LifetimeAxis>(site, 'lifetime', { timeoutMs: 300_000 });
  await site.close();
  const isGood =
    [axis, axis.stream].every((lifetime) => isFound(lifetime, trueS * 1000)) &&
    axis.refreshedByInbound === 'inbound-too' &&
    tookMs <= trueS * 1000 + LATE_MS;
  const cells = [axis, axis.stream].map(boundsOf);
  return {
    row: [
      `${trueS} s`,
      ...cells,
      (tookMs / 1000).toFixed(1),
      isGood ? 'right' : 'WRONG',
      describeLifetime(axis),
    ],
    isGood,
  };
}

/** The middle of the bounds is what one would call the lifetime. */
function isFound({ value, atLeastMs, atMostMs = Infinity }: Lifetime, trueMs: number): boolean {
  return value === 'finite' && Math.abs((atLeastMs + atMostMs) / 2 - trueMs) <= TOLERANCE_MS;
}

function boundsOf({ atLeastMs, atMostMs = Infinity }: Lifetime): string {
  return `${(atLeastMs / 1000).toFixed(2)} to ${(atMostMs / 1000).toFixed(2)}`;
}

const missing = labMissing();
if (missing === undefined) {
  const internet = await openInternet();
  try {
    await startNatprobed(internet.server);
    const results = await Promise.all(seconds.map((trueS) => measure(internet, trueS)));
    printTable([
      ['conntrack', 'one exchange, s', 'stream, s', 'took, s', '', 'as said'],
      ...results.map(({ row }) => row),
    ]);
    process.exitCode = results.every(({ isGood }) => isGood) ? 0 : 1;
  } finally {
    await internet.close();
  }
} else {
  process.stderr.write(`the lab cannot run: ${missing}\n`);
  process.exitCode = 2;
}
