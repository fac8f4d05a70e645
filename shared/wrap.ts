/** The width that text for people is laid out for, in columns. */
export const WIDTH = 80;

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
