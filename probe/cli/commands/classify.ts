import { classify } from '../../index.ts';
import { isClassified, type Report } from '../../../shared/report/report.ts';
import publicServers from '../../drive/public-servers.json' with { type: 'json' };
import { readConfigFile } from '../config-file.ts';
import { EXIT } from '../exit-codes.ts';
import { renderReport } from '../render/verdict.ts';
import { renderDetails } from '../render/details.ts';
import { showProgress, type Progress } from '../render/progress.ts';
import { decideStyle } from '../render/style.ts';
import { settle, type Flags, type Settings } from '../settings.ts';

/** `natprobe`: names the NAT, prints it, and returns the exit code. Rejects with a NatprobeError. */
export async function classifyCommand(flags: Flags): Promise<number> {
  const file = readConfigFile(flags.config, process.env);
  const defaultServers = publicServers.servers.map(({ server }) => server);
  const settings = settle(flags, process.env, file, defaultServers);
  if (settings.serversFrom === 'default list') warnOfPublicServers(settings.servers);

  const progress = showProgress(process.stderr);
  process.once('SIGINT', () => {
    progress.end();
    process.exit(EXIT.interrupted);
  });
  const report = await classifyWith(settings, progress);
  process.stdout.write(
    settings.json ? `${JSON.stringify(report, undefined, 2)}\n` : render(report, settings),
  );
  return report.verdict.type === 'inconclusive' ? EXIT.inconclusive : EXIT.verdict;
}

async function classifyWith(settings: Settings, progress: Progress): Promise<Report> {
  const { servers, alternate, families, localPort, timeoutMs, gentle } = settings;
  try {
    return await classify({
      servers,
      families,
      gentle,
      ...(alternate !== undefined && { alternate }),
      ...(localPort !== undefined && { localPort }),
      ...(timeoutMs !== undefined && { timeoutMs }),
      onProgress: ({ family, verdict }) => progress.update(family, verdict),
    });
  } finally {
    progress.end();
  }
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

function warnOfPublicServers(servers: readonly string[]): void {
  process.stderr.write(
    [
      'natprobe: no --server given, so these public servers are asked; none is verified:',
      ...servers.map((server) => `  ${server}`),
      '',
    ].join('\n'),
  );
}
