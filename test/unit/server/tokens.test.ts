import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openTokens } from '../../../server/http/tokens.ts';

const directory = mkdtempSync(join(tmpdir(), 'natprobed-tokens-'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(text: string): string {
  const name = join(directory, 'tokens');
  writeFileSync(name, text);
  return name;
}

describe('tokens', () => {
  it('are the lines of a file, comments aside, and those of the environment', () => {
    const name = file('# for the dashboard\n\nabcdefghijklmnop\r\n  qrstuvwxyz0123456789==\n');
    expect(openTokens(name, ' 0123456789abcdef, fedcba9876543210\n')).toEqual([
      'abcdefghijklmnop',
      'qrstuvwxyz0123456789==',
      '0123456789abcdef',
      'fedcba9876543210',
    ]);
    expect(openTokens(undefined)).toEqual([]);
    expect(openTokens(undefined, '')).toEqual([]);
  });

  it('are named by their place, and never repeated, where they cannot be used', () => {
    expect(() => openTokens(join(directory, 'none'))).toThrow(/^--token-file: .*\(ENOENT\)/);
    expect(() => openTokens(file('\n# nothing\n'))).toThrow(/^--token-file: .*it is empty/);
    const short = (): unknown => openTokens(file('abcdefghijklmnop\nshort-one\n'));
    expect(short).toThrow(/^--token-file: .*line 2 is shorter than 16 characters/);
    expect(short).not.toThrow(/short-one/);
    expect(() => openTokens(undefined, 'naïve-naïve-naïve')).toThrow(
      /^NATPROBED_TOKENS: .*token 1 has characters/,
    );
  });
});
