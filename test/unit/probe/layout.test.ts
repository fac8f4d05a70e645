import { describe, expect, it } from 'vitest';
import { layoutRow } from '../../../probe/cli/render/layout.ts';
import { wrap } from '../../../shared/wrap.ts';
import { decideStyle, PLAIN } from '../../../shared/style.ts';

describe('wrapping', () => {
  it('breaks at spaces, and indents what follows', () => {
    expect(wrap('aa bb cc dd', 5)).toEqual(['aa bb', 'cc dd']);
    expect(wrap('aa bb cc', 6, 2)).toEqual(['aa bb', '  cc']);
  });

  it('keeps the indentation of the first line, and words that are too long', () => {
    expect(wrap('  aa bb', 5, 3)).toEqual(['  aa', '   bb']);
    expect(wrap('abcdefgh ij', 4)).toEqual(['abcdefgh', 'ij']);
    expect(wrap('', 4)).toEqual(['']);
  });

  it('puts rows into two columns', () => {
    const text = `${'word '.repeat(16).trimEnd()}\nsecond`;
    expect(layoutRow('Label', text, (label) => `<${label}>`)).toEqual([
      `<Label       >${'word '.repeat(13).trimEnd()}`,
      '            word word word',
      '            second',
    ]);
  });
});

describe('the style', () => {
  const isPlain = (allowed: boolean, env: NodeJS.ProcessEnv, isTerminal: boolean): boolean =>
    decideStyle(allowed, env, isTerminal) === PLAIN;

  it('follows the flag, then FORCE_COLOR, then NO_COLOR, then the terminal', () => {
    expect(isPlain(true, {}, true)).toBe(false);
    expect(isPlain(true, {}, false)).toBe(true);
    expect(isPlain(true, { TERM: 'dumb' }, true)).toBe(true);
    expect(isPlain(true, { NO_COLOR: '1' }, true)).toBe(true);
    expect(isPlain(true, { NO_COLOR: '' }, true)).toBe(false);
    expect(isPlain(true, { FORCE_COLOR: '1' }, false)).toBe(false);
    expect(isPlain(true, { FORCE_COLOR: '1', NO_COLOR: '1' }, false)).toBe(false);
    expect(isPlain(true, { FORCE_COLOR: '0' }, true)).toBe(true);
    expect(isPlain(false, { FORCE_COLOR: '1' }, true)).toBe(true);
  });
});
