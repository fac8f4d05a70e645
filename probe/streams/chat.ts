/** `--chat`: lines both ways, between terminals or whatever else is at standard input and output. */
import { clearScreenDown, createInterface, cursorTo, type Interface, moveCursor } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { plainLine } from '../../shared/words.ts';
import type { SecureStream } from './secure-stream.ts';

export interface ChatIo {
  readonly input: Readable & { readonly isTTY?: boolean };
  /** Gets what the peer says. */
  readonly output: Writable & { readonly isTTY?: boolean };
  /** Gets what is told besides. */
  readonly talk: Writable;
}

/** The longest line that is sent, and shown. */
const LINE_CHARACTERS = 4096;
const NAME_CHARACTERS = 64;
/** For the other side to say that it has got the last line. */
const PARTING_MS = 3000;

/**
 * Until one side ends it: by `/quit`, by the end of its input, or by Ctrl-C. `peer` is a name as the broker
 * has it. Rejects with what broke the stream.
 */
export async function chatThrough(
  stream: SecureStream,
  peer: string,
  { input, output, talk }: ChatIo,
  signal?: AbortSignal,
): Promise<void> {
  const name = plainLine(peer, NAME_CHARACTERS);
  const screen = createScreen(input, output);
  const { lines } = screen;
  screen.show(talk, `* ${name} is here; /quit or Ctrl-D ends the chat\n`);

  const leave = (): void => lines.close();
  signal?.addEventListener('abort', leave, { once: true });
  lines.on('SIGINT', leave);
  try {
    const hearing = hear(stream, name, screen, output).then(() => 'the peer');
    const first = await Promise.race([hearing, speak(stream, screen)]);
    lines.close();
    if (first === 'the peer') talk.write(`* ${name} has left\n`);
    // Whoever hears that the other has left ends its side as well.
    await Promise.race([part(stream), sleep(PARTING_MS, undefined, { ref: false })]);
  } finally {
    signal?.removeEventListener('abort', leave);
    lines.close();
    input.destroy();
  }
}

async function hear(stream: SecureStream, name: string, screen: Screen, output: Writable): Promise<void> {
  for await (const line of linesOf(stream)) screen.show(output, `${name}: ${line}\n`);
}

async function speak(stream: SecureStream, screen: Screen): Promise<void> {
  screen.prompt();
  for await (const line of screen.lines) {
    if (line.trim() === '/quit') return;
    const text = plainLine(line, LINE_CHARACTERS);
    if (text.trim() !== '') await stream.write(Buffer.from(`${text}\n`));
    screen.prompt();
  }
}

async function part(stream: SecureStream): Promise<void> {
  await stream.end();
  await stream.closed();
}

/** Of what comes the lines, made plain; one that doesn't end is cut. */
async function* linesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop()!.slice(0, LINE_CHARACTERS);
    for (const line of lines) yield plainLine(line, LINE_CHARACTERS);
  }
  if (rest !== '') yield plainLine(rest, LINE_CHARACTERS);
}

interface Screen {
  readonly lines: Interface;
  prompt(): void;
  /** Above the line that is being typed, which stays as it is. */
  show(to: Writable, text: string): void;
}

function createScreen(input: ChatIo['input'], output: ChatIo['output']): Screen {
  const isTyped = input.isTTY === true && output.isTTY === true;
  const lines = createInterface({ input, ...(isTyped && { output }), terminal: isTyped, prompt: '> ' });
  let isPrompting = isTyped;
  const erase = (): void => {
    moveCursor(output, 0, -lines.getCursorPos().rows);
    cursorTo(output, 0);
    clearScreenDown(output);
  };
  lines.once('close', () => {
    if (isPrompting) erase();
    isPrompting = false;
  });
  return {
    lines,
    prompt() {
      if (isPrompting) lines.prompt();
    },
    show(to, text) {
      if (!isPrompting) {
        to.write(text);
        return;
      }
      erase();
      to.write(text);
      lines.prompt(true);
    },
  };
}
