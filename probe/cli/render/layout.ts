import type { Paint } from './style.ts';

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

/** `a`, `a and b`, `a, b and c`. */
export function listWords(words: readonly string[], conjunction = 'and'): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${conjunction} ${words.at(-1)!}`;
}

/** `12.9 ms`, `1.24 s`. */
export function formatMs(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return ms >= 100 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`;
}

/** Never rounded up: what isn't certain doesn't read 100 %. */
export function formatConfidence(confidence: number): string {
  // What floating point leaves of 0.9998 × 10000 is a hair below 9998.
  const hundredths = Math.floor(confidence * 10_000 + 1e-6);
  return `${hundredths / 100} %`;
}
