import type { Family } from '../../../shared/endpoint.ts';
import { classify } from '../../index.ts';
import { isClassified, type Report } from '../../../shared/report/report.ts';
import { EXIT } from '../exit-codes.ts';
import { renderReport, type SurveyRows } from '../render/verdict.ts';
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
      hairpin: settings.hairpin,
      ...(settings.also !== undefined && { also: settings.also }),
      onProgress: ({ family, verdict }) => progress.update(family, verdict),
    });
  } finally {
    progress.end();
  }
  process.stdout.write(
    settings.json ? `${JSON.stringify(report, undefined, 2)}\n` : await render(report, settings),
  );
  return report.verdict.type === 'inconclusive' ? EXIT.inconclusive : EXIT.verdict;
}

async function render(report: Report, { verbose, color }: Settings): Promise<string> {
  const style = decideStyle(color, process.env, process.stdout.isTTY);
  const summary = renderReport(report, style, await describeSurvey(report));
  if (!verbose) return summary;
  const details = FAMILIES.flatMap((family) => {
    const part = report.families[family];
    return isClassified(part) ? [renderDetails(family, part, style)] : [];
  });
  return [summary, ...details].join('\n');
}

async function describeSurvey({ families }: Report): Promise<SurveyRows> {
  const surveyed = FAMILIES.flatMap((family) => {
    const part = families[family];
    return isClassified(part) && part.axes !== undefined ? [[family, part.axes] as const] : [];
  });
  if (surveyed.length === 0) return {};
  // Loaded late: who only asks for the verdict doesn't wait for it.
  const { describeAxes } = await import('../../../shared/nat/axes.ts');
  return Object.fromEntries(surveyed.map(([family, axes]) => [family, describeAxes(axes)]));
}

const FAMILIES = ['ipv4', 'ipv6'] as const satisfies Family[];
