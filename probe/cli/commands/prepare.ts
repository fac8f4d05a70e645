import publicServers from '../../drive/public-servers.json' with { type: 'json' };
import { ERROR_CATALOGUE } from '../../../shared/errors.ts';
import { isSent, type ReportDelivery } from '../../../shared/report/report.ts';
import type { ClassifyOptions, ReportOptions } from '../../index.ts';
import { readConfigFile } from '../config-file.ts';
import { settle, type Flags, type Settings } from '../settings.ts';

/** The settings of a command that asks servers; says so if those are the unverified ones of the list. */
export function prepareSettings(flags: Flags): Settings {
  const file = readConfigFile(flags.config, process.env);
  const defaultServers = publicServers.servers.map(({ server }) => server);
  const settings = settle(flags, process.env, file, defaultServers);
  if (settings.serversFrom === 'default list') warnOfPublicServers(settings.servers);
  return settings;
}

/** What the library is asked with these settings. */
export function optionsOf(settings: Settings): ClassifyOptions {
  const { servers, alternate, families, localPort, timeoutMs, gentle } = settings;
  return {
    servers,
    families,
    gentle,
    ...(alternate !== undefined && { alternate }),
    ...(localPort !== undefined && { localPort }),
    ...(timeoutMs !== undefined && { timeoutMs }),
  };
}

/** How --report has the report handed over. */
export function reportOptionsOf({ api }: Settings): ReportOptions {
  return api === undefined ? {} : { api };
}

/** Tells on stderr that a report was not taken, and with which exit code that ends; else it is `exitCode`. */
export function exitCodeOfDelivery(delivery: ReportDelivery, exitCode: number): number {
  if (isSent(delivery)) return exitCode;
  const { code, text } = delivery.failed;
  process.stderr.write(`natprobe: error: the report was not sent: ${text}\n`);
  return ERROR_CATALOGUE[code].exitCode;
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
