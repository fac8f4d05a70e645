import type { Family } from '../../../shared/endpoint.ts';
import { classify } from '../../index.ts';
import { isClassified, type Report } from '../../../shared/report/report.ts';
import { EXIT } from '../exit-codes.ts';
import { renderReport, type Extras } from '../render/verdict.ts';
import { renderDetails } from '../render/details.ts';
import { showProgress } from '../render/progress.ts';
import { decideStyle } from '../../../shared/style.ts';
import type { Flags, Settings } from '../settings.ts';
import { interruptibly } from './interrupt.ts';
import { exitCodeOfDelivery, optionsOf, prepareSettings, reportOptionsOf } from './prepare.ts';

/** `natprobe`: names the NAT, prints it, and returns the exit code. Rejects with a NatprobeError. */
export async function classifyCommand(flags: Flags): Promise<number> {
  const settings = prepareSettings(flags);
  return interruptibly(async (signal) => print(await classifyWithProgress(settings, signal), settings));
}

async function classifyWithProgress(settings: Settings, signal: AbortSignal): Promise<Report> {
  const progress = showProgress(process.stderr);
  try {
    return await classify({
      ...optionsOf(settings),
      full: settings.full,
      hairpin: settings.hairpin,
      ...(settings.also !== undefined && { also: settings.also }),
      ...(settings.mapPort !== undefined && { mapPort: settings.mapPort }),
      keepMapping: settings.keepMapping,
      report: settings.report && reportOptionsOf(settings),
      signal,
      onProgress: ({ family, verdict }) => progress.update(family, verdict),
    });
  } finally {
    progress.end();
  }
}

async function print(report: Report, settings: Settings): Promise<number> {
  process.stdout.write(
    settings.json ? `${JSON.stringify(report, undefined, 2)}\n` : await render(report, settings),
  );
  const exitCode = isAnswered(report) ? EXIT.verdict : EXIT.inconclusive;
  return report.report === undefined ? exitCode : exitCodeOfDelivery(report.report, exitCode);
}

/** Whether all that was asked has come to a good end; that the NAT is a hard one is no bad end. */
function isAnswered({ verdict, portMapping }: Report): boolean {
  if (verdict.type === 'inconclusive') return false;
  return (
    portMapping === undefined ||
    (portMapping.outcome === 'mapped' && portMapping.verification.value === 'reachable')
  );
}

async function render(report: Report, { verbose, color }: Settings): Promise<string> {
  const style = decideStyle(color, process.env, process.stdout.isTTY);
  const summary = renderReport(report, style, await describeExtras(report));
  if (!verbose) return summary;
  const details = FAMILIES.flatMap((family) => {
    const part = report.families[family];
    return isClassified(part) ? [renderDetails(family, part, style)] : [];
  });
  return [summary, ...details].join('\n');
}

/** What says it is loaded late: who only asks for the verdict doesn't wait for it. */
async function describeExtras({ families, portMapping }: Report): Promise<Extras> {
  const surveyed = FAMILIES.flatMap((family) => {
    const part = families[family];
    return isClassified(part) && part.axes !== undefined ? [[family, part.axes] as const] : [];
  });
  const { describeAxes } = surveyed.length > 0 ? await import('../../../shared/nat/axes.ts') : {};
  const { describePortMapping } = portMapping ? await import('../render/port-mapping.ts') : {};
  return {
    ...(describeAxes && {
      survey: Object.fromEntries(surveyed.map(([family, axes]) => [family, describeAxes(axes)])),
    }),
    ...(portMapping && describePortMapping && { portMapping: describePortMapping(portMapping) }),
  };
}

const FAMILIES = ['ipv4', 'ipv6'] as const satisfies Family[];
