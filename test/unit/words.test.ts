import { describe, expect, it } from 'vitest';
import { formatConfidence, formatMs, listWords, plainLine } from '../../shared/words.ts';

describe('words and numbers', () => {
  it('lists', () => {
    expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map((words) => listWords(words))).toEqual([
      '',
      'a',
      'a and b',
      'a, b and c',
    ]);
    expect(listWords(['a', 'b'], 'or')).toBe('a or b');
  });

  it('gives times three digits', () => {
    expect([0.44, 12.94, 99.94, 254.4, 1236].map(formatMs)).toEqual([
      '0.4 ms',
      '12.9 ms',
      '99.9 ms',
      '254 ms',
      '1.24 s',
    ]);
  });

  it('never rounds a confidence up', () => {
    expect([1, 0.99999, 0.9998, 0.57, 0.29, 0].map(formatConfidence)).toEqual([
      '100 %',
      '99.99 %',
      '99.98 %',
      '57 %',
      '29 %',
      '0 %',
    ]);
  });

  it('makes of others’ text a line that moves no cursor', () => {
    expect(plainLine('a\u001b[2Jb\r\n\u202ec\u2028\ud800', 20)).toBe('a [2Jb c \ufffd');
    expect(plainLine('x'.repeat(9), 3)).toBe('xxx');
    expect(plainLine('xy😀', 3)).toBe('xy\ufffd');
  });
});
