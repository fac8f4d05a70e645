import { classify } from '../../index.ts';
import { isClassified, type Report } from '../../../shared/report/report.ts';
import { EXIT } from '../exit-codes.ts';
import { renderReport } from '../render/verdict.ts';
import { renderDetails } from '../render/details.ts';
import { showProgress } from '../render/progress.ts';
import { decideStyle } from '../render/style.ts';
import type { Flags, Settings } from '../settings.ts';
import { optionsOf, prepareSettings } from './prepare.ts';

/** `natprobe`: names the NAT, prints it, and returns the exit code. Rejects with a NatprobeError. */
export async function classifyCommand(flags: Flags): Promise<number> {
  const settings = prepareSettings(flags);
  const progress = showProgress(process.stderr);
  process.once('SIGINT', () => {
    progress.end();
    process.exit(EXIT.interrupted);
  });
  let report: Report;
  try {
    report = await classify({
      ...optionsOf(settings),
      full: settings.full,
      onProgress: ({ family, verdict }) => progress.update(family, verdict),
    });
  } finally {
    progress.end();
  }
  process.stdout.write(
    settings.json ? `${JSON.stringify(report, undefined, 2)}\n` : render(report, settings),
  );
  return report.verdict.type === 'inconclusive' ? EXIT.inconclusive : EXIT.verdict;
}

function render(report: Report, { verbose, color }: Settings): string {
  const style = decideStyle(color, process.env, process.stdout.isTTY);
  const summary = renderReport(report, style);
  if (!verbose) return summary;
  const details = (['ipv4', 'ipv6'] as const).flatMap((family) => {
    const part = report.families[family];
    return isClassified(part) ? [renderDetails(family, part, style)] : [];
  });
  return [summary, ...details].join('\n');
}
