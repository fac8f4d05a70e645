import type { Paint } from '../../../shared/style.ts';

/** The width that output is laid out for, in columns. */
export const WIDTH = 80;

const LABEL_WIDTH = 12;

/** A row of label and text, wrapped at WIDTH with the text in a column. Paragraphs are separated by newlines. */
export function layoutRow(label: string, text: string, paintLabel: Paint): string[] {
  const indent = ' '.repeat(LABEL_WIDTH);
  return text
    .split('\n')
    .flatMap((paragraph) => wrap(paragraph, WIDTH - LABEL_WIDTH))
    .map((line, index) => (index === 0 ? paintLabel(label.padEnd(LABEL_WIDTH)) : indent) + line);
}

/** Breaks at spaces; lines after the first are indented by `hanging` columns. Longer words stay whole. */
export function wrap(text: string, width: number, hanging = 0): string[] {
  const lines: string[] = [];
  const [first = '', ...words] = text.split(' ');
  let line = first;
  for (const word of words) {
    // A line of nothing but its indentation isn't broken: the word would not fit the next one either.
    if (line.trim() !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = ' '.repeat(hanging) + word;
    } else {
      line += ` ${word}`;
    }
  }
  return [...lines, line];
}
