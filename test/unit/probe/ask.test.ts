/** The question at the terminal ends in an answer, whatever happens. */
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { askYesNo, checkTerminal } from '../../../probe/cli/ask.ts';

function terminal(): { input: PassThrough; output: PassThrough } {
  return { input: new PassThrough(), output: new PassThrough() };
}

const NEVER = new AbortController().signal;

describe('a question', () => {
  it.each([
    ['y\n', true],
    ['YES \n', true],
    ['n\n', false],
    ['perhaps\n\nno\n', false],
  ])('answered by %j is %s', async (typed, answer) => {
    const at = terminal();
    at.input.write(typed);
    expect(await askYesNo('Let bob in?', NEVER, at)).toBe(answer);
    expect(String(at.output.read())).toContain('Let bob in? [y/n] ');
  });

  it('is a no where the input ends', async () => {
    const at = terminal();
    at.input.end();
    expect(await askYesNo('Let bob in?', NEVER, at)).toBe(false);
  });

  it('has no answer once it is none any more', async () => {
    const late = new AbortController();
    const answer = askYesNo('Let bob in?', late.signal, terminal());
    setImmediate(() => late.abort());
    expect(await answer).toBeUndefined();
    expect(await askYesNo('Let bob in?', late.signal, terminal())).toBeUndefined();
  });

  it('takes a terminal', () => {
    expect(() => checkTerminal(terminal())).toThrow('--ask: there is no terminal to ask at; run it in one');
  });
});
