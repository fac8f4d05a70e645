import { describe, expect, it } from 'vitest';
import { errorOf, messageOf } from '../../shared/thrown.ts';

describe('what was thrown', () => {
  it('is taken as it is where it is an error', () => {
    const error = new RangeError('too far');
    expect(errorOf(error)).toBe(error);
    expect(messageOf(error)).toBe('too far');
  });

  it('is put into words where it is none', () => {
    expect(errorOf('gone')).toEqual(new Error('gone'));
    expect([undefined, null, 7, 'gone'].map(messageOf)).toEqual(['undefined', 'null', '7', 'gone']);
  });
});
