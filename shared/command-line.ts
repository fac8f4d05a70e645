/** What the parser of command lines says of one that it does not take, in the words of the catalogue. */
import { NatprobeError } from './errors.ts';

/** Of commander. */
export interface ParserError {
  /** 0 where the help or the version was all that was wanted. */
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
}

/** The program that the words were for, and those of them that are no options. */
export interface ParsedProgram {
  readonly args: readonly string[];
  readonly commands: readonly { name(): string }[];
}

/** ERR_USAGE; undefined where nothing is wrong. */
export function usageErrorOf(error: ParserError, program: ParsedProgram): NatprobeError | undefined {
  if (error.exitCode === 0) return undefined;
  const [word] = program.args;
  const names = program.commands.map((command) => command.name());
  // The parser only counts a word that is no command, or is taken up with the options behind it.
  const isNoCommand =
    ['commander.excessArguments', 'commander.unknownOption'].includes(error.code) &&
    word?.startsWith('-') === false &&
    !names.includes(word);
  const message = isNoCommand
    ? `there is no command ${JSON.stringify(word)}, only ${names.join(', ')}`
    : error.message.replace(/^error: /, '').replaceAll('\n', ' ');
  return new NatprobeError('ERR_USAGE', 'command line', message);
}
