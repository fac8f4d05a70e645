/** Lists, numbers and what others wrote, as people read them. */

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

/** Of others' text one line without control, format and broken characters, which may move a terminal's cursor, cut at `longest`. */
export function plainLine(text: string, longest: number): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .slice(0, longest)
    .toWellFormed();
}
