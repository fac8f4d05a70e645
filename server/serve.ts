/** From flags to a server that runs until a signal: reads the machine, tells people, watches signals. */
import { isatty } from 'node:tty';
import { formatEndpoint } from '../shared/endpoint.ts';
import { type FamilyConfig, configureServer, describeEndpoints, FAMILY_LABELS } from './config.ts';
import type { Log } from './log.ts';
import { listLocalAddresses } from './machine.ts';
import type { PairSettings } from './pair/settings.ts';
import type { ProgramFlags } from './program.ts';
import { startServer } from './server.ts';

/** A stop takes no longer, whatever still holds on. Service managers wait for longer before they kill. */
const STOP_TIMEOUT_MS = 20_000;
const SIGNAL_EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type StopSignal = keyof typeof SIGNAL_EXIT_CODES;

/** Starts the server; rejects with a NatprobeError if it can't. It ends the process on a signal. */
export async function serve({ json = false, ...flags }: ProgramFlags, log: Log): Promise<void> {
  const config = configureServer(flags, listLocalAddresses());
  const { NATPROBED_TOKENS: tokens } = process.env;
  for (const family of config.families) announce(family, log, config.pair);
  for (const family of config.tls?.families ?? []) {
    log('info', `${labelOf(family)}: STUN over TLS on ${describeEndpoints(family)}`);
  }
  const server = await startServer({ ...config, ...(tokens !== undefined && { tokens }) }, { log });
  if (server.http !== undefined) {
    const scheme = config.tls === undefined ? 'http' : 'https';
    log('info', `HTTP on ${scheme}://${formatEndpoint(server.http)}`);
  }
  const stop = (): Promise<void> => server.stop();
  stopOnSignal(['SIGTERM', 'SIGINT'], stop, log);
  if (config.tls !== undefined) process.on('SIGHUP', () => void server.reload());
  // A terminal hangs up as it is closed; a service manager does so to have files read again.
  else if (isatty(0)) stopOnSignal(['SIGHUP'], stop, log);
  else process.on('SIGHUP', () => log('info', 'SIGHUP: there is no certificate to read again'));
  const endpoints = server.families.map(({ advertised }) =>
    advertised.flatMap((endpoint) => (endpoint === undefined ? [] : [formatEndpoint(endpoint)])),
  );
  const ready = `natprobed ready ${endpoints.flat().join(' ')}`;
  process.stdout.write(`${json ? JSON.stringify({ event: 'ready', endpoints: endpoints.flat() }) : ready}\n`);
}

/** Says what a family is served on, and with one address and no other host what that costs and how to get two. */
function announce(family: FamilyConfig, log: Log, pair: PairSettings | undefined): void {
  const label = labelOf(family);
  const oneAddress = family.bound[2] === undefined;
  const mode = oneAddress ? 'one-address' : 'two-address';
  log('info', `${label}, ${mode} mode: UDP and TCP on ${describeEndpoints(family)}`, {
    family: family.family,
    mode,
    endpoints: family.bound.filter((endpoint) => endpoint !== undefined).map(formatEndpoint),
  });
  if (!oneAddress || pair !== undefined) return;
  const { address } = family.bound[0];
  log(
    'warning',
    `${label} has one address, so clients cannot learn their NAT's filtering; give this machine a second ` +
      `address (ip address add ADDRESS dev INTERFACE) and start with --ip ${address} --alt-ip ADDRESS`,
  );
}

function labelOf({ family }: FamilyConfig): string {
  return FAMILY_LABELS[family];
}

/** The first signal stops the server, the second one ends the process. */
function stopOnSignal(signals: readonly StopSignal[], stop: () => Promise<void>, log: Log): void {
  let stopping = false;
  for (const signal of signals) {
    process.on(signal, () => {
      if (stopping) process.exit(SIGNAL_EXIT_CODES[signal]);
      stopping = true;
      log('info', `${signal}: stopping`);
      setTimeout(() => process.exit(0), STOP_TIMEOUT_MS).unref();
      void stop().then(() => process.exit(0));
    });
  }
}
