import { Command, CommanderError } from 'commander';
import { usageErrorOf } from '../../shared/command-line.ts';
import { parsePort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { VERSION } from '../../shared/version.ts';
import { helpDetails } from './help-details.ts';
import {
  addFamilyOptions,
  addOutputOptions,
  addProbeOptions,
  addServerOptions,
  checkAddress,
  checkApi,
  secondsOf,
} from './options.ts';
import { addPeerCommands, addRoomOptions } from './peer-commands.ts';
import type { PreflightFlags } from './peer-settings.ts';
import { reportError } from './report-error.ts';
import type { Flags, LifetimeFlags, OutputFlags, WatchFlags } from './settings.ts';

/**
 * Runs natprobe with these arguments. It prints, sets `process.exitCode`, and lets go of what can't
 * be cancelled (a resolver that doesn't answer).
 */
export async function runProgram(args: readonly string[]): Promise<void> {
  // Whoever reads us may stop early (`| head -1`); that is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  const program = createProgram();
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    const shown = error instanceof CommanderError ? usageErrorOf(error, program) : error;
    if (shown !== undefined) process.exitCode = reportError(shown, args.includes('--json'));
  }
  // A pipe takes 64 KiB at once, and what is still to be written goes with the process.
  await new Promise((resolve) => process.stdout.write('', resolve));
  // Fires only where something still holds the process: by then there is nothing to wait for.
  setTimeout(() => process.exit(), 0).unref();
}

/** The command line of natprobe, for running and for its help. */
export function createProgram(): Command {
  const program = new Command('natprobe');
  addProbeOptions(program)
    .description(
      'Names the NAT in front of this machine: how it maps, what it lets in, and what\nthat means for peers.',
    )
    .usage('[options] [command]')
    .option('--report', 'hand the report to the server, and print its address')
    .option('--api <url>', 'where its HTTP API is, if not where the server says', checkApi)
    .option('--full', 'also measure what else the NAT does: ports, TCP, layers, ...')
    .option('--hairpin', 'as --full, and whether inside hosts meet by public endpoints')
    .option(
      '--also <address>',
      'as --full, and what two hosts on one port get; a second address of this machine',
      checkAddress,
    )
    .option('--map-port <port>', 'have the router map this UDP port, and try it from outside', (text) =>
      parsePort(text, '--map-port'),
    )
    .option('--keep', 'leave the mapping of --map-port in the router')
    .option('-v, --verbose', 'add the four classic steps, and every send and reply')
    .version(VERSION, '-V, --version', 'print the version')
    .addHelpText('after', helpDetails())
    .action(async (flags: Flags) => {
      const { classifyCommand } = await import('./commands/classify.ts');
      process.exitCode = await classifyCommand(flags);
    });
  addProbeOptions(program.command('watch'))
    .description('Classifies again and again, and on a change of network; says what changed.')
    .option('--report', 'hand each changed verdict to the server')
    .option('--api <url>', 'where its HTTP API is, if not where the server says', checkApi)
    .option('--every <seconds>', 'from one run to the next (default: 60)', secondsOf('--every'))
    .option('--count <runs>', 'stop after so many runs (default: until Ctrl-C)', checkCount)
    .action(async (_own: unknown, command: Command) => {
      const { watchCommand } = await import('./commands/watch.ts');
      process.exitCode = await watchCommand(command.optsWithGlobals<WatchFlags>());
    });
  addProbeOptions(program.command('lifetime'))
    .description('Measures how long a UDP mapping lives without traffic.')
    .option('--max <seconds>', 'the longest time to try (default: 185)', secondsOf('--max'))
    .option('--resolution <seconds>', 'from one time to the next (default: 5)', secondsOf('--resolution'))
    .action(async (_own: unknown, command: Command) => {
      const { lifetimeCommand } = await import('./commands/lifetime.ts');
      process.exitCode = await lifetimeCommand(command.optsWithGlobals<LifetimeFlags>());
    });
  addOutputOptions(program.command('predict'))
    .description('Predicts whether a punch between two NATs will work, how, and why.')
    .argument('<A>', 'a type (port-restricted-cone, EIM/APDF), a file with a report, or -')
    .argument('<B>', 'the same of the other side')
    .action(async (a: string, b: string, _own: unknown, command: Command) => {
      const { predictCommand } = await import('./commands/predict.ts');
      process.exitCode = await predictCommand(a, b, command.optsWithGlobals<OutputFlags>());
    });
  addPeerCommands(program);
  addProbeOptions(addRoomOptions(program.command('preflight')))
    .description('Classifies this machine, and decides whether to punch to a peer.')
    .argument(
      '[PEER]',
      'a type (port-restricted-cone, EIM/APDF), a file with a report, -, or who is registered',
    )
    .option('--peer-report <id>', 'in its place, a report that the server keeps; or its address')
    .option('--tcp', 'for a TCP connection in place of a path for UDP')
    .option('--full', 'measure all that can be measured here, not only what a punch takes')
    .action(async (peer: string | undefined, _own: unknown, command: Command) => {
      const { preflightCommand } = await import('./commands/preflight.ts');
      process.exitCode = await preflightCommand(peer, command.optsWithGlobals<PreflightFlags>());
    });
  addOutputOptions(addFamilyOptions(addServerOptions(program.command('doctor'))))
    .description('Looks at a server from outside, and says what to change there.')
    .option('--api <url>', 'where its HTTP API is, if not where the server says', checkApi)
    .action(async (_own: unknown, command: Command) => {
      const { doctorCommand } = await import('./commands/doctor.ts');
      process.exitCode = await doctorCommand(command.optsWithGlobals<Flags>());
    });
  return program;
}

function checkCount(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count >= 1) return count;
  throw new NatprobeError(
    'ERR_NUMBER',
    '--count',
    `got ${JSON.stringify(text)}, wanted a whole number from 1`,
  );
}
