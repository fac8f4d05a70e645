/** natprobed's command line: what it takes and says. Loads nothing else, so that --help is quick. */
import { Command, CommanderError, Option } from 'commander';
import { usageErrorOf } from '../shared/command-line.ts';
import { NatprobeError } from '../shared/errors.ts';
import { VERSION } from '../shared/version.ts';
import { FILTERINGS, MAPPINGS, NAT_TYPES } from '../shared/nat/behaviour.ts';
import { DEFAULT_BROKER_LIMITS } from './broker/limits.ts';
import type { ServerFlags } from './config.ts';
import type { ExportFlags } from './export.ts';
import { EXPORT_FORMATS } from './reports/render-export.ts';
import { REPORT_SOURCES } from './reports/report-store.ts';
import {
  DEFAULT_ALTERNATE_PORT,
  DEFAULT_HTTP_PORT,
  DEFAULT_PORT,
  DEFAULT_TLS_PORT,
} from '../shared/default-ports.ts';
import { DEFAULT_ANSWER_RATE } from './answer/limit-defaults.ts';
import { DEFAULT_HTTP_HOST } from './default-http.ts';
import { DEFAULT_LOGGED_ADDRESSES, DEFAULT_POST_RATE, DEFAULT_READ_RATE } from './http/defaults.ts';
import { DEFAULT_LOG_LEVEL, LOG_LEVELS, type LogFlags } from './log.ts';
import { DEFAULT_ROOM_AUDIENCE } from './peering/settings.ts';
import { DEFAULT_ADDRESSES, DEFAULT_KEEP } from './reports/defaults.ts';
import type { TopFlags } from './top/settings.ts';
import { DEFAULT_INTERVAL_SECONDS } from './top/defaults.ts';

export type ProgramFlags = ServerFlags & LogFlags;

/** What is to be done, with which flags. */
export type CommandLine =
  | { readonly command: 'serve'; readonly flags: ProgramFlags }
  | { readonly command: 'export'; readonly flags: ExportFlags }
  | { readonly command: 'top'; readonly flags: TopFlags }
  /** With the options that the server would be started with. */
  | { readonly command: 'check'; readonly flags: ProgramFlags };

/** Undefined where help or version was all that was wanted. Throws ERR_USAGE or ERR_FLAGS. */
export function parseCommandLine(args: readonly string[]): CommandLine | undefined {
  let parsed: CommandLine | undefined;
  const program = createProgram((command) => (parsed = command));
  try {
    program.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const shown = usageErrorOf(error, program);
    if (shown !== undefined) throw shown;
    return undefined;
  }
  if (parsed?.command === 'serve' || parsed?.command === 'check') refuseBoth(args);
  return parsed;
}

/** commander takes the last of them, whatever was meant. */
function refuseBoth(args: readonly string[]): void {
  for (const flag of ['--http', '--rate-limit']) {
    const none = flag.replace('--', '--no-');
    if (args.includes(none) && args.some((word) => word === flag || word.startsWith(`${flag}=`)))
      throw new NatprobeError('ERR_FLAGS', `${flag} and ${none}`, 'choose one of them');
  }
}

const HELP_END = `
Without --ip it serves, for each family, the machine's first address that
others can reach, and as second address the next one of the same interface; for
a server that lasts, name them. With one address it cannot answer from another
one, so clients learn their mapping but not their filtering.

It answers on UDP and TCP at all its endpoints, tests itself, and once it is
ready writes one line to standard output: "natprobed ready", and where. The log
goes to standard error. SIGTERM or SIGINT stops it, once the requests under way
are answered; a second one ends it at once.

Examples:
  natprobed --ip 192.0.2.1 --alt-ip 192.0.2.2
  natprobed --ip 192.0.2.1 --alt-ip 192.0.2.2 \\
            --ip 2001:db8::1 --alt-ip 2001:db8::2
  natprobed --ip 10.0.0.4 --alt-ip 10.0.0.5 \\
            --advertise 10.0.0.4=192.0.2.1 --advertise 10.0.0.5=192.0.2.2
  natprobed --ip 127.0.0.1 --alt-ip 127.0.0.2   (this machine alone, Linux)
  natprobed export --data /var/lib/natprobed --format csv > reports.csv
  natprobed top                                 (what it does, live)
  natprobed check --ip 192.0.2.1 --alt-ip 192.0.2.2   (what is wrong here)

Exit codes:
  0  stopped by a signal
  1  a socket, the self-test or the store failed; check: something is wrong
  2  a wrong option, address, port or directory
  3  top: no natprobed answers there
`;

function createProgram(parsed: (command: CommandLine) => void): Command {
  const program = commonSettings(new Command('natprobed'))
    .description('STUN server (RFC 8489, 5780 and 3489) that shows clients which NAT is in front of them.')
    .usage('[options]')
    .version(VERSION, '-v, --version', 'print the version')
    .addHelpText('after', HELP_END);
  addServerOptions(program)
    .option('--json', 'NDJSON, for the log and for the line that says that it is ready')
    .action(() => parsed({ command: 'serve', flags: flagsOf(program) }));
  // So that `export` has options of its own with the same names.
  program.enablePositionalOptions();
  program.addCommand(createExportCommand((flags) => parsed({ command: 'export', flags })));
  program.addCommand(createTopCommand((flags) => parsed({ command: 'top', flags })));
  program.addCommand(createCheckCommand(program, (flags) => parsed({ command: 'check', flags })));
  return program;
}

/** commander has true where an option was not named that `--no-` can turn off, and then false. */
type TypedFlags = Omit<ProgramFlags, 'http' | 'rateLimit'> & {
  readonly http: string | boolean;
  readonly rateLimit: string | boolean;
};

function flagsOf(command: Command): ProgramFlags {
  const { http, rateLimit, ...flags } = command.opts<TypedFlags>();
  return { ...flags, ...(http !== true && { http }), ...(rateLimit !== true && { rateLimit }) };
}

/** All that says how the server is to be. */
function addServerOptions(command: Command): Command {
  command.option('--no-self-test', 'start although the server might not answer itself');
  for (const addOptions of [
    addStunOptions,
    addHttpOptions,
    addTlsOptions,
    addPeeringOptions,
    addNatsOptions,
    addReportOptions,
    addLogOptions,
  ]) {
    addOptions(command);
  }
  return command;
}

function addStunOptions(program: Command): void {
  program
    .optionsGroup('STUN:')
    .addOption(
      repeatable('--ip <address>', 'primary address, once a family (default: one that others can reach)'),
    )
    .addOption(
      repeatable(
        '--alt-ip <address>',
        'second address of the same family (default, without --ip: the next one of that interface)',
      ),
    )
    .option('--port <port>', `primary port (default: ${DEFAULT_PORT})`)
    .option('--alt-port <port>', `second port (default: ${DEFAULT_ALTERNATE_PORT})`)
    .addOption(
      repeatable(
        '--advertise <private=public>',
        'behind 1:1 NAT: the public address that stands for a private one (repeatable)',
      ),
    )
    .option(
      '--lanes <number>',
      'threads that answer UDP many datagrams at a time, on Linux; 0 for none (default: one a core)',
    )
    .option(
      '--answer-rate <number>',
      `answers a second that one IPv4 address or IPv6 /56 draws over UDP, a /24 four times as many (default: ${DEFAULT_ANSWER_RATE}); not with --no-rate-limit`,
    )
    .option(
      '--amplification <factor>',
      'at most so many bytes out for each that came in; 1 leaves short requests without an answer (default: no such limit)',
    )
    .option(
      '--witness-key-file <file>',
      'keys of witnesses that servers share, a line of 64 hexadecimal digits each; the first makes them (default: keys of its own)',
    );
}

function addHttpOptions(program: Command): void {
  program
    .optionsGroup('HTTP:')
    .option(
      '--http <host:port>',
      `where HTTP listens (default: ${DEFAULT_HTTP_HOST}:${DEFAULT_HTTP_PORT}, if free)`,
    )
    .option('--no-http', 'no HTTP')
    .option('--public-url <url>', 'where clients reach the HTTP API, if not at the STUN address')
    .addOption(
      repeatable(
        '--trust-proxy <range>',
        'proxies whose X-Forwarded-For is believed: 10.0.0.0/8 (repeatable)',
      ),
    )
    .addOption(repeatable('--cors <origin>', 'pages of this origin may use the API; * for all (repeatable)'))
    .option(
      '--rate-limit <number>',
      `POST requests a minute from one IPv4 address or IPv6 /56 (default: ${DEFAULT_POST_RATE})`,
    )
    .option('--read-rate-limit <number>', `other requests likewise (default: ${DEFAULT_READ_RATE})`)
    .option('--no-rate-limit', 'no such limits, and none of UDP answers')
    .option(
      '--token-file <file>',
      'tokens, one a line, with which reports are listed and exported and metrics read from elsewhere than this machine; or NATPROBED_TOKENS',
    )
    .option('--metrics-public', 'let everybody read /metrics');
}

function addTlsOptions(program: Command): void {
  program
    .optionsGroup('TLS:')
    .option('--tls-cert <file>', 'certificate with its chain: HTTPS, and STUN over TLS')
    .option('--tls-key <file>', 'its key; both are read again when they change, and on SIGHUP')
    .option(
      '--tls-port <port>',
      `first port of STUN over TLS, the second is the next one (default: ${DEFAULT_TLS_PORT})`,
    );
}

function addPeeringOptions(program: Command): void {
  program
    .optionsGroup('Punching:')
    .addOption(
      repeatable(
        '--relay <uri>',
        'a TURN server for peers between which no punch works: turn:HOST:PORT, or turns:, and ?transport=udp or tcp (repeatable)',
      ),
    )
    .option(
      '--relay-secret-file <file>',
      'the secret that those share with natprobed for credentials that hold a day (coturn: use-auth-secret)',
    )
    .option(
      '--room-jwt-key <file>',
      'who joins a room needs a token (JWT) signed with this: a public key as PEM, or a secret of 32 or more characters for HS256',
    )
    .option(
      '--room-jwt-audience <text>',
      `whom a token with an audience has to be for (default: ${DEFAULT_ROOM_AUDIENCE})`,
    )
    .option('--peers <number>', `connections of peers (default: ${DEFAULT_BROKER_LIMITS.connections})`)
    .option(
      '--peers-per-client <number>',
      `of those, from one IPv4 address or IPv6 /56 (default: ${DEFAULT_BROKER_LIMITS.connectionsPerClient})`,
    );
}

function addNatsOptions(program: Command): void {
  program
    .optionsGroup('Many servers:')
    .addOption(
      repeatable(
        '--nats <url>',
        'a NATS server, over which natprobed works with others: nats://HOST:4222 (repeatable)',
      ),
    )
    .option(
      '--nats-credentials <file>',
      "who this is to NATS: its tools' .creds file, USER:PASSWORD, or a token",
    )
    .option(
      '--pair <name>',
      'two hosts with this name, one address each and the same --witness-key-file, answer as one server with two addresses',
    );
}

function addReportOptions(program: Command): void {
  program
    .optionsGroup('Reports:')
    .option('--data <dir>', 'where reports are kept (default: in memory, until it stops)')
    .addOption(databaseOption())
    .addOption(databasePasswordOption())
    .option('--keep <duration>', `how long reports are kept: 12h, 90d (default: ${DEFAULT_KEEP})`)
    .option(
      '--addresses <how-much>',
      `what reports keep of client addresses: full, prefix (/24 and /48) or none (default: ${DEFAULT_ADDRESSES})`,
    );
}

function databaseOption(): Option {
  return new Option(
    '--database <url>',
    'in place of a directory, a PostgreSQL database, which servers may share: postgres://USER@HOST/NAME (password: PGPASSWORD)',
  );
}

function databasePasswordOption(): Option {
  return new Option('--database-password-file <file>', 'its password, in the first line');
}

function addLogOptions(program: Command): void {
  program
    .optionsGroup('Log:')
    .option('--log-level <level>', `the least: ${LOG_LEVELS.join(', ')} (default: ${DEFAULT_LOG_LEVEL})`)
    .option('--log-format <format>', 'text or json (default: text)')
    .option(
      '--log-addresses <how-much>',
      `what the log keeps of client addresses, as --addresses (default: ${DEFAULT_LOGGED_ADDRESSES})`,
    );
}

function repeatable(flags: string, description: string): Option {
  const collect = (value: string, previous: readonly string[] = []): string[] => [...previous, value];
  return new Option(flags, description).argParser(collect);
}

function createExportCommand(parsed: (flags: ExportFlags) => void): Command {
  const choice = (flags: string, description: string, choices: readonly string[]): Option =>
    new Option(flags, description).choices(choices);
  const command = commonSettings(new Command('export'));
  return command
    .description('Writes the reports of a directory or database to standard output, the oldest first.')
    .option('--data <dir>', 'the directory, as the server has it; it may be running')
    .addOption(databaseOption())
    .addOption(databasePasswordOption())
    .addOption(choice('--format <format>', 'JSON, a report a line, or CSV', EXPORT_FORMATS).default('ndjson'))
    .addOption(choice('--type <type>', 'only reports of this type', NAT_TYPES))
    .addOption(choice('--mapping <mapping>', 'of this mapping', MAPPINGS))
    .addOption(choice('--filtering <filtering>', 'of this filtering', FILTERINGS))
    .addOption(choice('--family <family>', 'of this address family', ['ipv4', 'ipv6']))
    .addOption(choice('--source <source>', 'made by the probe or by the page', REPORT_SOURCES))
    .option('--since <time>', 'received then or later: 2026-01-31, 2026-01-31T12:00:00Z')
    .option('--until <time>', 'received before then')
    .action(() => parsed(command.opts<ExportFlags>()));
}

function createTopCommand(parsed: (flags: TopFlags) => void): Command {
  const command = commonSettings(new Command('top'));
  return command
    .description(
      'Shows what a running natprobed does: what comes and is answered or not, how busy its lanes are, TCP, ' +
        'HTTP, the broker, memory; from its /metrics, again and again, until q or Ctrl-C. ' +
        'Where it is no terminal that is written to, the same as plain text.',
    )
    .option(
      '--http <host:port>',
      `where its HTTP is, or its URL (default: ${DEFAULT_HTTP_HOST}:${DEFAULT_HTTP_PORT})`,
    )
    .option(
      '--token-file <file>',
      'a token of the server, for metrics from elsewhere than its own machine; or NATPROBED_TOKENS',
    )
    .option('--interval <seconds>', `between two looks (default: ${DEFAULT_INTERVAL_SECONDS})`)
    .option('--once', 'look for one interval, print that as text, and end')
    .option('--json', 'a JSON document, natprobed/top@1, for each interval, on a line')
    .option('--no-color', 'no colours; NO_COLOR says so too')
    .action(() => parsed(command.opts<TopFlags>()));
}

function createCheckCommand(program: Command, parsed: (flags: ProgramFlags) => void): Command {
  const command = commonSettings(new Command('check'));
  addServerOptions(
    command
      .description(
        'Looks at a deployment from inside, with the options of the server, and says what to change: addresses, ' +
          'ports, room in sockets, files, certificate, reports, NATS, relays, HTTP. Where nothing runs there yet ' +
          'a server is tried for a moment. It ends in 1 if something is wrong.',
      )
      .option('--json', 'a JSON document, natprobe/check@1'),
  ).action(() => {
    const early = program.options.find(
      (option) => program.getOptionValueSource(option.attributeName()) === 'cli',
    );
    if (early !== undefined)
      throw new NatprobeError('ERR_USAGE', early.long ?? early.flags, 'it goes behind `check`');
    parsed(flagsOf(command));
  });
  return command;
}

/** What all have: errors are printed in one place, with their remedy. */
function commonSettings(command: Command): Command {
  return command
    .helpOption('-h, --help', 'print this help')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ helpWidth: 80 });
}
