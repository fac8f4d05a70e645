/** Options that several commands share, and how what is given to them is read. */
import type { Command } from 'commander';
import { canonicalAddress, parseHostPort, parsePort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { parseHttpUrl } from '../../shared/http-url.ts';

/** What every command takes that measures by a server. */
export function addProbeOptions(command: Command): Command {
  addServerOptions(command).option(
    '--alt <host[:port]>',
    "the server's other address and port (3479), if it tells none",
    checkHost,
  );
  addFamilyOptions(command)
    .option(
      '--local-port <port>',
      'measure the mapping from this local port, and punch from it (default: any free one)',
      checkPort,
    )
    .option(
      '--timeout <seconds>',
      'time budget for each address family (default: 10)',
      secondsOf('--timeout'),
    )
    .option('--gentle', 'at most 10 requests a second (RFC 5780 section 5)');
  return addOutputOptions(command);
}

/** What every command takes that asks a server. */
export function addServerOptions(command: Command): Command {
  return command
    .option('-s, --server <host[:port]>', 'STUN server to ask (port 3478); may be repeated', collectServer)
    .option('--config <file>', 'configuration file (JSON)');
}

/** What every command takes that measures over one family or both. */
export function addFamilyOptions(command: Command): Command {
  return command.option('-4, --ipv4', 'IPv4 only').option('-6, --ipv6', 'IPv6 only');
}

/** What every command takes. */
export function addOutputOptions(command: Command): Command {
  return (
    command
      .option('--json', 'print JSON: a document, or one a line where it goes on')
      .option('--no-color', 'no colours, whatever the terminal')
      .helpOption('-h, --help', 'print this help')
      .helpCommand(false)
      .exitOverride()
      // Errors are printed in one place, with their remedy.
      .configureOutput({ outputError: () => undefined })
      .configureHelp({ helpWidth: 80 })
  );
}

function collectServer(text: string, earlier: readonly string[] = []): readonly string[] {
  parseHostPort(text, '--server');
  return [...earlier, text];
}

function checkHost(text: string): string {
  parseHostPort(text, '--alt');
  return text;
}

export function checkApi(text: string): string {
  parseHttpUrl(text, '--api');
  return text;
}

export function checkAddress(text: string): string {
  if (canonicalAddress(text) !== undefined) return text;
  throw new NatprobeError('ERR_ADDRESS', '--also', `got ${JSON.stringify(text)}`);
}

function checkPort(text: string): number {
  return parsePort(text, '--local-port');
}

export function secondsOf(flag: string): (text: string) => number {
  return (text) => {
    const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
    if (seconds > 0 && seconds <= 3600) return seconds;
    const detail = `got ${JSON.stringify(text)}, wanted seconds, above 0 and up to 3600`;
    throw new NatprobeError('ERR_NUMBER', flag, detail);
  };
}
