import publicServers from '../../drive/public-servers.json' with { type: 'json' };
import type { ClassifyOptions } from '../../index.ts';
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

function warnOfPublicServers(servers: readonly string[]): void {
  process.stderr.write(
    [
      'natprobe: no --server given, so these public servers are asked; none is verified:',
      ...servers.map((server) => `  ${server}`),
      '',
    ].join('\n'),
  );
}
