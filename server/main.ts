#!/usr/bin/env node
/** natprobed: reads the command line, starts the server, stops it on a signal. */
import { networkInterfaces } from 'node:os';
import { Command, Option } from 'commander';
import { formatEndpoint } from '../shared/endpoint.ts';
import { NatprobeError } from '../shared/errors.ts';
import { VERSION } from '../shared/version.ts';
import {
  DEFAULT_ALTERNATE_PORT,
  DEFAULT_HTTP,
  DEFAULT_PORT,
  type FamilyConfig,
  type ServerFlags,
  configureServer,
  describeEndpoints,
} from './config.ts';
import type { LocalAddress } from './local-addresses.ts';
import { type Log, createLog } from './log.ts';

/** A stop takes no longer, whatever still holds on. */
const STOP_TIMEOUT_MS = 900;
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
const USAGE_EXIT_CODE = 2;

const HELP_END = `
Without --ip it serves, for each family, the machine's first address that others can reach, and as
second address the next one of the same interface; for a server that lasts, name them. With one
address it cannot answer from another one, so clients learn their mapping but not their filtering.

It answers on UDP and TCP at all four endpoints, tests itself, and writes one line to standard output
once it is ready: "natprobed ready", and where. The log goes to standard error. SIGTERM or
SIGINT stops it; a second one ends it at once.

Examples:
  natprobed --ip 192.0.2.1 --alt-ip 192.0.2.2
  natprobed --ip 192.0.2.1 --alt-ip 192.0.2.2 --ip 2001:db8::1 --alt-ip 2001:db8::2
  natprobed --ip 10.0.0.4 --alt-ip 10.0.0.5 --advertise 10.0.0.4=192.0.2.1 --advertise 10.0.0.5=192.0.2.2
  natprobed --ip 127.0.0.1 --alt-ip 127.0.0.2        on this machine alone (Linux)

Exit codes: 0 stopped by a signal; 1 a socket or the self-test failed; 2 a wrong option, address or port.`;

interface MainFlags extends ServerFlags {
  readonly json?: boolean;
}

function createProgram(): Command {
  const collect = (value: string, previous: readonly string[] = []): string[] => [...previous, value];
  return new Command('natprobed')
    .description('STUN server (RFC 8489, 5780, 3489) that tells clients which NAT is in front of them.')
    .addOption(new Option('--ip <address>', 'primary address, once a family').argParser(collect))
    .addOption(new Option('--alt-ip <address>', 'second address of the same family').argParser(collect))
    .option('--port <port>', `primary port (default: ${DEFAULT_PORT})`)
    .option('--alt-port <port>', `second port (default: ${DEFAULT_ALTERNATE_PORT})`)
    .addOption(
      new Option(
        '--advertise <private=public>',
        'behind 1:1 NAT: the public address that stands for a private one (repeatable)',
      ).argParser(collect),
    )
    .option('--http <host:port>', `where HTTP listens (default: ${formatEndpoint(DEFAULT_HTTP)}, if free)`)
    .option('--no-http', 'no HTTP')
    .option('--public-url <url>', 'where clients reach the HTTP API, if not at the STUN address')
    .option('--no-self-test', 'start although the server might not answer itself')
    .option('--json', 'log as NDJSON')
    .version(VERSION, '-v, --version')
    .helpOption('-h, --help', 'show this')
    .addHelpText('after', HELP_END)
    .allowExcessArguments(false)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : USAGE_EXIT_CODE));
}

async function main(): Promise<void> {
  // commander gives --no-http as http: false, and true where the option was not named.
  const { http, ...flags } = createProgram()
    .parse()
    .opts<Omit<MainFlags, 'http'> & { http: string | boolean }>();
  const log = createLog(
    flags.json === true,
    (line) => process.stderr.write(`${line}\n`),
    () => new Date(),
  );
  try {
    await serve({ ...flags, ...(http !== true && { http }) }, log);
  } catch (error) {
    if (!(error instanceof NatprobeError)) throw error;
    log('error', error.message, { code: error.code });
    process.exitCode = error.exitCode;
  }
}

async function serve(flags: MainFlags, log: Log): Promise<void> {
  const config = configureServer(flags, listLocalAddresses());
  for (const family of config.families) announce(family, log);
  const { startServer } = await import('./server.ts');
  const server = await startServer(config, { log });
  if (server.http !== undefined) log('info', `HTTP on http://${formatEndpoint(server.http)}`);
  stopOnSignal(() => server.stop(), log);
  const endpoints = server.families.map(({ advertised }) =>
    advertised.flatMap((endpoint) => (endpoint === undefined ? [] : [formatEndpoint(endpoint)])),
  );
  const ready = `natprobed ready ${endpoints.flat().join(' ')}`;
  process.stdout.write(
    `${flags.json === true ? JSON.stringify({ event: 'ready', endpoints: endpoints.flat() }) : ready}\n`,
  );
}

/** Says what a family is served on, and with one address what that costs and how to get two. */
function announce(family: FamilyConfig, log: Log): void {
  const label = family.family === 'ipv4' ? 'IPv4' : 'IPv6';
  const oneAddress = family.bound[2] === undefined;
  const mode = oneAddress ? 'one-address' : 'two-address';
  log('info', `${label}, ${mode} mode: UDP and TCP on ${describeEndpoints(family)}`, {
    family: family.family,
    mode,
    endpoints: family.bound.filter((endpoint) => endpoint !== undefined).map(formatEndpoint),
  });
  if (!oneAddress) return;
  const { address } = family.bound[0];
  log(
    'warning',
    `${label} has one address, so clients cannot learn their NAT's filtering; give this machine a second ` +
      `address (ip address add ADDRESS dev INTERFACE) and start with --ip ${address} --alt-ip ADDRESS`,
  );
}

/** The first signal stops the server, the second one ends the process. */
function stopOnSignal(stop: () => Promise<void>, log: Log): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(SIGNAL_EXIT_CODES[signal]);
      stopping = true;
      log('info', `${signal}: stopping`);
      setTimeout(() => process.exit(0), STOP_TIMEOUT_MS).unref();
      void stop().then(() => process.exit(0));
    });
  }
}

function listLocalAddresses(): LocalAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, infos]) =>
    (infos ?? []).map(({ family, address, cidr, internal }) => ({
      interface: name,
      family: family === 'IPv4' ? ('ipv4' as const) : ('ipv6' as const),
      address,
      prefixLength: Number(cidr?.split('/')[1]),
      loopback: internal,
    })),
  );
}

await main();
