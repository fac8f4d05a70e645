/** natprobed's command line: what it takes and says. Loads nothing else, so that --help is quick. */
import { Command, CommanderError, Option } from 'commander';
import { NatprobeError } from '../shared/errors.ts';
import { VERSION } from '../shared/version.ts';
import type { ServerFlags } from './config.ts';
import { DEFAULT_ALTERNATE_PORT, DEFAULT_HTTP_PORT, DEFAULT_PORT } from '../shared/default-ports.ts';
import { DEFAULT_HTTP_HOST } from './default-http.ts';
import { DEFAULT_ADDRESSES, DEFAULT_KEEP } from './reports/defaults.ts';

export interface ProgramFlags extends ServerFlags {
  readonly json?: boolean;
}

/** The flags, or undefined where help or version was all that was wanted. Throws ERR_USAGE. */
export function parseCommandLine(args: readonly string[]): ProgramFlags | undefined {
  const program = createProgram();
  try {
    program.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ');
    throw new NatprobeError('ERR_USAGE', 'command line', message);
  }
  // commander has http true where the option was not named, and false for --no-http.
  const { http, ...flags } = program.opts<Omit<ProgramFlags, 'http'> & { http: string | boolean }>();
  return { ...flags, ...(http !== true && { http }) };
}

const HELP_END = `
Without --ip it serves, for each family, the machine's first address that
others can reach, and as second address the next one of the same interface; for
a server that lasts, name them. With one address it cannot answer from another
one, so clients learn their mapping but not their filtering.

It answers on UDP and TCP at all its endpoints, tests itself, and once it is
ready writes one line to standard output: "natprobed ready", and where. The log
goes to standard error. SIGTERM or SIGINT stops it; a second one ends it at
once.

Examples:
  natprobed --ip 192.0.2.1 --alt-ip 192.0.2.2
  natprobed --ip 192.0.2.1 --alt-ip 192.0.2.2 \\
            --ip 2001:db8::1 --alt-ip 2001:db8::2
  natprobed --ip 10.0.0.4 --alt-ip 10.0.0.5 \\
            --advertise 10.0.0.4=192.0.2.1 --advertise 10.0.0.5=192.0.2.2
  natprobed --ip 127.0.0.1 --alt-ip 127.0.0.2   (this machine alone, Linux)

Exit codes:
  0  stopped by a signal
  1  a socket or the self-test failed
  2  a wrong option, address or port
`;

function createProgram(): Command {
  const collect = (value: string, previous: readonly string[] = []): string[] => [...previous, value];
  return (
    new Command('natprobed')
      .description('STUN server (RFC 8489, 5780 and 3489) that shows clients which NAT is in front of them.')
      .usage('[options]')
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
      .option(
        '--http <host:port>',
        `where HTTP listens (default: ${DEFAULT_HTTP_HOST}:${DEFAULT_HTTP_PORT}, if free)`,
      )
      .option('--no-http', 'no HTTP')
      .option('--public-url <url>', 'where clients reach the HTTP API, if not at the STUN address')
      .option(
        '--witness-key-file <file>',
        'keys of witnesses that servers share, a line of 64 hexadecimal digits each; the first makes them (default: keys of its own)',
      )
      .option('--data <dir>', 'where reports are kept (default: in memory, until it stops)')
      .option('--keep <duration>', `how long reports are kept: 12h, 90d (default: ${DEFAULT_KEEP})`)
      .option(
        '--addresses <how-much>',
        `what reports keep of client addresses: full, prefix (/24 and /48) or none (default: ${DEFAULT_ADDRESSES})`,
      )
      .option('--no-self-test', 'start although the server might not answer itself')
      .option('--json', 'log as NDJSON')
      .version(VERSION, '-v, --version', 'print the version')
      .helpOption('-h, --help', 'print this help')
      .addHelpText('after', HELP_END)
      .allowExcessArguments(false)
      .exitOverride()
      // Errors are printed in one place, with their remedy.
      .configureOutput({ outputError: () => undefined })
      .configureHelp({ helpWidth: 80 })
  );
}
