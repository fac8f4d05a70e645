import { describeLifetime } from '../../../shared/nat/lifetime.ts';
import { measureLifetime, type LifetimeReport } from '../../lifetime.ts';
import { EXIT } from '../exit-codes.ts';
import { layoutRow } from '../render/layout.ts';
import { showShare } from '../render/progress.ts';
import { decideStyle, type Style } from '../../../shared/style.ts';
import type { LifetimeFlags } from '../settings.ts';
import { prepareSettings } from './prepare.ts';

/**
 * `natprobe lifetime`: measures how long a mapping lives, prints it, and returns the exit code. Ctrl-C
 * prints what is known by then. Rejects with a NatprobeError.
 */
export async function lifetimeCommand(flags: LifetimeFlags): Promise<number> {
  const settings = prepareSettings(flags);
  const interrupt = new AbortController();
  const progress = showShare(process.stderr);
  process.once('SIGINT', () => interrupt.abort());
  let report: LifetimeReport;
  try {
    const [family] = settings.families.length === 1 ? settings.families : [];
    report = await measureLifetime({
      server: settings.servers[0]!,
      ...(family !== undefined && { family }),
      ...(flags.max !== undefined && { maxMs: flags.max * 1000 }),
      ...(flags.resolution !== undefined && { resolutionMs: flags.resolution * 1000 }),
      concludeSignal: interrupt.signal,
      onProgress: (share) => progress.update(share),
    });
  } finally {
    progress.end();
  }
  const style = decideStyle(settings.color, process.env, process.stdout.isTTY);
  process.stdout.write(
    settings.json ? `${JSON.stringify(report, undefined, 2)}\n` : renderLifetime(report, style),
  );
  if (interrupt.signal.aborted) return EXIT.interrupted;
  return report.lifetime.value === 'unknown' ? EXIT.inconclusive : EXIT.verdict;
}

/** The first line is `Mapping lifetime: <how long>`. Ends with a newline. */
export function renderLifetime({ lifetime, server, timing }: LifetimeReport, style: Style): string {
  const reasons = [...lifetime.reasons, ...lifetime.stream.reasons].map(({ text }) => text);
  const rows = [
    ...layoutRow('Why', [...new Set(reasons)].join('\n'), style.dim),
    ...layoutRow('Server', server, style.dim),
    ...layoutRow('Took', `${(timing.totalMs / 1000).toFixed(0)} s`, style.dim),
  ];
  return [`${style.bold('Mapping lifetime:')} ${describeLifetime(lifetime)}`, '', ...rows, ''].join('\n');
}
