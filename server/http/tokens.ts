/** The tokens with which reports are listed and exported, and metrics read, from elsewhere. */
import { readFileSync } from 'node:fs';
import { NatprobeError } from '../../shared/errors.ts';
import { systemErrorCode } from '../bind-error.ts';

/** Shorter ones could be guessed. */
const SHORTEST_TOKEN = 16;

/** Those of the file, one a line, and those of the text, which comes from NATPROBED_TOKENS. Throws ERR_TOKENS. */
export function openTokens(file: string | undefined, text = ''): readonly string[] {
  const lines = file === undefined ? [] : readLines(file);
  const others = text.split(/[\s,]+/).filter((token) => token !== '');
  return [
    ...lines
      .map((line, index) => checkToken(line, '--token-file', `line ${index + 1}`))
      .filter((t) => t !== ''),
    ...others.map((token, index) => checkToken(token, 'NATPROBED_TOKENS', `token ${index + 1}`)),
  ];
}

function readLines(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = systemErrorCode(error) ?? String(error);
    throw new NatprobeError('ERR_TOKENS', '--token-file', code, { cause: error });
  }
  const lines = text.split('\n').map((line) => (line.startsWith('#') ? '' : line.trim()));
  if (lines.every((line) => line === ''))
    throw new NatprobeError('ERR_TOKENS', '--token-file', 'it is empty');
  return lines;
}

/** What stands there is a secret, or meant for one: it is not repeated. RFC 6750 §2.1 has the characters. */
function checkToken(token: string, place: string, which: string): string {
  if (token !== '' && !/^[A-Za-z0-9._~+/-]+=*$/.test(token)) {
    throw new NatprobeError('ERR_TOKENS', place, `${which} has characters that no token has`);
  }
  if (token !== '' && token.length < SHORTEST_TOKEN) {
    throw new NatprobeError('ERR_TOKENS', place, `${which} is shorter than ${SHORTEST_TOKEN} characters`);
  }
  return token;
}
