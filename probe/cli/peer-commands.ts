/** The commands that meet peers through a broker: what they take, and what their help says. */
import type { Command } from 'commander';
import { DEFAULT_ROOM } from '../../shared/broker/names.ts';
import { parsePort } from '../../shared/endpoint.ts';
import { addOutputOptions, addProbeOptions, addServerOptions, checkApi } from './options.ts';
import type { JoinFlags, PunchFlags, RoomFlags } from './peer-settings.ts';

export function addPeerCommands(program: Command): void {
  const join = program
    .command('join')
    .description('Registers with the broker under a name, and accepts punches from the room.')
    .argument('<NAME>', 'what others call this machine; not digits alone')
    .option('--ask', 'ask at the terminal before a peer is let in')
    .option('--refuse', 'be listed, and let nobody in')
    .option('--once', 'end after one hole')
    .option('--map-port <port>', 'punch from this UDP port, and have the router map it', (text) =>
      parsePort(text, '--map-port'),
    )
    .option('--keep', 'leave the mapping of --map-port in the router');
  addProbeOptions(addRoomOptions(addHoleOptions(join)))
    .addHelpText('after', PROGRAM_HELP + SECRET_HELP + JOIN_EXAMPLES)
    .action(async (name: string, _own: unknown, command: Command) => {
      const { joinCommand } = await import('./commands/join.ts');
      process.exitCode = await joinCommand(name, command.optsWithGlobals<JoinFlags>());
    });
  const peers = program.command('peers').description('Lists who is registered in the room.');
  addOutputOptions(addServerOptions(addRoomOptions(peers)))
    .addHelpText('after', SECRET_HELP)
    .action(async (_own: unknown, command: Command) => {
      const { peersCommand } = await import('./commands/peers.ts');
      process.exitCode = await peersCommand(command.optsWithGlobals<RoomFlags>());
    });
  const punch = program
    .command('punch')
    .description('Opens a hole to a peer of the room, and runs a program through it if asked to.')
    .argument('<PEER>', 'its name or number, as `natprobe peers` lists them')
    .option('--as <name>', 'the name to register under (default: a generated one)')
    .option('--tcp', 'open a TCP connection in place of a path for UDP');
  addProbeOptions(addRoomOptions(addHoleOptions(punch)))
    .addHelpText('after', PROGRAM_HELP + SECRET_HELP + PUNCH_EXAMPLES)
    .action(async (peer: string, _own: unknown, command: Command) => {
      const { punchCommand } = await import('./commands/punch.ts');
      process.exitCode = await punchCommand(peer, command.optsWithGlobals<PunchFlags>());
    });
}

/** What every command takes that goes into a room. */
export function addRoomOptions(command: Command): Command {
  return command
    .option('--room <name>', `the room to meet in (default: ${DEFAULT_ROOM})`)
    .option('--room-key <key>', "the room's key; who comes first decides whether it has one")
    .option('--room-key-file <file>', 'the same, from the first line of a file')
    .option('--room-token-file <file>', 'a file with a token (JWT), where the server wants one')
    .option('--api <url>', "where the server's HTTP API is, if not where it says", checkApi);
}

function addHoleOptions(command: Command): Command {
  return command
    .option('--psk <secret>', 'a secret that the peer has too: keeps out whoever lacks it')
    .option('--psk-file <file>', 'the same, from the first line of a file')
    .option('--chat', 'then chat with the peer, line by line')
    .option('--pipe', "then send standard input, and print what the peer's is")
    .option('--bridge <host:port>', 'then pass datagrams on to a local UDP program, and back')
    .option('--bridge-port <port>', 'where that program sends to (default: any free port)', (text) =>
      parsePort(text, '--bridge-port'),
    )
    .option('--exec <command>', 'then run this, with the endpoints in its environment');
}

const PROGRAM_HELP = `
Both sides name the same program: what one sends is for the other's. Where one
runs, standard output is for the peer's data, and reports go to standard error.
A chat ends with /quit or Ctrl-D; a pipe when both inputs have ended; --exec
closes the socket first, so that the command can bind its port, and ends with
the command's exit code. A TCP connection (punch --tcp) is instead the command's
standard input and output.
`;

const SECRET_HELP = `
Whoever uses this machine can read what is on a command line, and a shell keeps
it. So secrets are better given as files, or in the environment: the key of the
room as NATPROBE_ROOM_KEY, its token as NATPROBE_ROOM_TOKEN, and the secret that
only the peers have as NATPROBE_PSK. That one also keeps out a server that would
put itself between them; it has to be long and random (openssl rand -hex 16).
`;

const JOIN_EXAMPLES = `
Examples:
  natprobe join alice -s 192.0.2.1              accept punches until Ctrl-C
  natprobe join alice -s 192.0.2.1 --ask --chat be asked, then chat
  natprobe join alice -s 192.0.2.1 --once --pipe > backup.tar
`;

const PUNCH_EXAMPLES = `
Examples:
  natprobe punch alice -s 192.0.2.1             open a hole, report and end
  natprobe punch 3 -s 192.0.2.1 --json          to the peer with that number
  natprobe punch alice -s 192.0.2.1 --pipe < backup.tar
  natprobe punch alice -s 192.0.2.1 --bridge 127.0.0.1:51820
`;
