/** The whole of a terminal, given back as it was. */
import type { ReadStream, WriteStream } from 'node:tty';
import { cutLine } from './cut-line.ts';

/** The alternate screen, and no cursor; and back (xterm's private modes 1049 and 25). */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
/** A terminal that knows mode 2026 shows what is between these at once; others don't heed it. */
const [BEGIN, END] = ['\u001b[?2026h', '\u001b[?2026l'];
const HOME = '\u001b[H';
/** To the end of the line, and of the screen (ECMA-48 EL and ED). */
const [ERASE_LINE, ERASE_BELOW] = ['\u001b[K', '\u001b[J'];
/** Of a terminal that says 0, as one without a window does. */
const [DEFAULT_COLUMNS, DEFAULT_ROWS] = [80, 24];
const CTRL_C = '\u0003';

export interface Screen {
  draw(lines: readonly string[]): void;
  /** Gives the terminal back; also what the end of the process does, however it comes about. */
  close(): void;
}

/** `onQuit` is told of q and Ctrl-C, `onResize` of another size. */
export function openScreen(
  output: WriteStream,
  input: ReadStream,
  { onQuit, onResize }: { readonly onQuit: () => void; readonly onResize: () => void },
): Screen {
  let isOpen = true;
  const handleKeys = (keys: Buffer): void => {
    if (/q/i.test(keys.toString('latin1')) || keys.includes(CTRL_C)) onQuit();
  };
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    process.off('exit', close);
    output.off('resize', onResize);
    input.off('data', handleKeys);
    if (input.isTTY) input.setRawMode(false);
    input.pause();
    output.write(LEAVE);
  };
  process.on('exit', close);
  output.write(ENTER);
  output.on('resize', onResize);
  if (input.isTTY) input.setRawMode(true);
  input.on('data', handleKeys);
  return {
    close,
    draw(lines) {
      // A terminal that is slow gets the next frame, rather than all of them late.
      if (!isOpen || output.writableNeedDrain) return;
      const [width, height] = [output.columns || DEFAULT_COLUMNS, output.rows || DEFAULT_ROWS];
      const shown = lines.slice(0, height).map((line) => cutLine(line, width - 1) + ERASE_LINE);
      output.write(`${BEGIN}${HOME}${shown.join('\r\n')}${ERASE_BELOW}${END}`);
    },
  };
}
