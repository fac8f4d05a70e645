import type { Paint } from '../../../shared/style.ts';
import { WIDTH, wrap } from '../../../shared/wrap.ts';

const LABEL_WIDTH = 12;

/** A row of label and text, wrapped at WIDTH with the text in a column. Paragraphs are separated by newlines. */
export function layoutRow(label: string, text: string, paintLabel: Paint): string[] {
  const indent = ' '.repeat(LABEL_WIDTH);
  return text
    .split('\n')
    .flatMap((paragraph) => wrap(paragraph, WIDTH - LABEL_WIDTH))
    .map((line, index) => (index === 0 ? paintLabel(label.padEnd(LABEL_WIDTH)) : indent) + line);
}
