/** Command lines that natprobed does not take: each error says where it is, and what to give. */
import { expect, it } from 'vitest';
import { configureServer } from '../../../server/config.ts';
import type { LocalAddress } from '../../../server/local-addresses.ts';
import { parseCommandLine } from '../../../server/program.ts';
import { NatprobeError } from '../../../shared/errors.ts';

const LOCAL: LocalAddress[] = [
  { interface: 'lo', family: 'ipv4', address: '127.0.0.1', prefixLength: 8, loopback: true },
];
const ADDRESS_REMEDY = 'write it alone, without a port: 192.0.2.1 or 2001:db8::1';
const OFF = 'it is for HTTP, which --no-http turns off';

function mistakeIn(words: string): string {
  try {
    const line = parseCommandLine(words.split(' '));
    if (line?.command === 'serve') configureServer(line.flags, LOCAL);
  } catch (error) {
    if (error instanceof NatprobeError) return error.message;
    throw error;
  }
  return 'none';
}

it.each([
  ['--ip 127.0.0.1', 'none'],
  ['--no-http --rate-limit 5', 'none'],
  ['check --no-http', 'none'],
  ['--no-rate-limit --http 127.0.0.1:0', 'not a port (got "0")'],
  ['chekc', 'command line: not understood (there is no command "chekc", only export, top, check)'],
  ['check extra', "too many arguments for 'check'. Expected 0 arguments but got 1."],
  ['--ip', "option '--ip <address>' argument missing"],
  ['--alt-pi 127.0.0.2', "unknown option '--alt-pi' (Did you mean --alt-ip?)"],
  ['--ip 300.1.1.1', `--ip: not an IP address (got "300.1.1.1"); ${ADDRESS_REMEDY}`],
  ['--ip 127.0.0.1:3478', `--ip: not an IP address (got "127.0.0.1:3478"); ${ADDRESS_REMEDY}`],
  ['--advertise 127.0.0.1', '--advertise: not understood (got "127.0.0.1"; it takes PRIVATE=PUBLIC, as in'],
  ['--http 8478', '--http: not an address or HOST[:PORT] (8478 is a port alone; 127.0.0.1:8478, say)'],
  [
    '--http 127.0.0.1:80 --no-http',
    '--http and --no-http: these options do not go together (choose one of them)',
  ],
  [
    '--no-http --http=127.0.0.1:80',
    '--http and --no-http: these options do not go together (choose one of them)',
  ],
  [
    'check --rate-limit 5 --no-rate-limit',
    '--rate-limit and --no-rate-limit: these options do not go together',
  ],
  ['--no-http --token-file x', `--token-file: these options do not go together (${OFF})`],
  ['--no-http --cors *', `--cors: these options do not go together (${OFF})`],
  ['--no-http --relay turn:192.0.2.7', `--relay: these options do not go together (${OFF})`],
  ['--lanes many', '(got "many"; it takes a whole number from 0 to 256); give one in that range'],
  ['--answer-rate 0', '(got "0"; it takes answers a second, from 1 to 100000000); give one in that range'],
])('%s', (words, says) => {
  expect(mistakeIn(words)).toContain(says);
});
