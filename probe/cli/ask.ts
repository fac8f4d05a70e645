/** Questions to whoever sits at the terminal. */
import { NatprobeError } from '../../shared/errors.ts';

export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

/** Throws ERR_NO_TERMINAL where nobody could answer. */
export function checkTerminal({ input }: Terminal): void {
  if (input.isTTY !== true) throw new NatprobeError('ERR_NO_TERMINAL', '--ask');
}

/**
 * Whether the answer is yes; undefined where none came before `signal`. The end of the input is a no.
 * Ctrl-C interrupts this process, which a terminal doesn't do itself while a line is edited.
 */
export async function askYesNo(
  question: string,
  signal: AbortSignal,
  { input, output }: Terminal,
): Promise<boolean | undefined> {
  if (signal.aborted) return undefined;
  const { createInterface } = await import('node:readline');
  const line = createInterface({ input, output, prompt: `${question} [y/n] ` });
  const { promise, resolve } = Promise.withResolvers<boolean | undefined>();
  const giveUp = (): void => {
    // At once: whoever tells of it does so on a line of its own.
    output.write('\n');
    resolve(undefined);
  };
  signal.addEventListener('abort', giveUp);
  line.on('line', (text) => {
    const answer = ANSWERS.get(text.trim().toLowerCase());
    if (answer === undefined) line.prompt();
    else resolve(answer);
  });
  line.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  line.on('close', () => resolve(false));
  line.prompt();
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', giveUp);
    line.close();
  }
}

const ANSWERS: ReadonlyMap<string, boolean> = new Map([
  ['y', true],
  ['yes', true],
  ['n', false],
  ['no', false],
]);
