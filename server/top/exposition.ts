/** Reads Prometheus' text format, version 0.0.4: the samples, and nothing of what is said about them. */

export interface Sample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

/** Undefined if a line is none of the format. Timestamps are read over. */
export function parseExposition(text: string): Sample[] | undefined {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const trimmed = line.replace(/^[ \t]+|[ \t\r]+$/g, '');
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const sample = parseSample(trimmed);
    if (sample === undefined) return undefined;
    samples.push(sample);
  }
  return samples;
}

function parseSample(line: string): Sample | undefined {
  const name = /^[a-zA-Z_:][\w:]*/.exec(line)?.[0];
  if (name === undefined) return undefined;
  let rest = line.slice(name.length).replace(/^[ \t]+/, '');
  let labels: ReadonlyMap<string, string> = new Map();
  if (rest.startsWith('{')) {
    const parsed = parseLabels(rest);
    if (parsed === undefined) return undefined;
    labels = parsed.labels;
    rest = rest.slice(parsed.length);
  } else if (rest.length === line.length - name.length) {
    // Nothing between the name and what should be a number.
    return undefined;
  }
  const [number = '', timestamp = '0', ...more] = rest.trim().split(/[ \t]+/);
  const value = parseValue(number);
  if (value === undefined || !/^-?\d+$/.test(timestamp) || more.length > 0) return undefined;
  return { name, labels, value };
}

/** `{name="text",…}`, a comma also after the last: how long it is, and what it says. */
function parseLabels(text: string): { labels: ReadonlyMap<string, string>; length: number } | undefined {
  const labels = new Map<string, string>();
  const label = /[ \t]*([a-zA-Z_]\w*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(,?)/y;
  label.lastIndex = 1;
  let end = 1;
  for (let found = label.exec(text); found !== null; found = label.exec(text)) {
    const [, name = '', value = '', comma] = found;
    if (labels.has(name)) return undefined;
    labels.set(name, unescapeValue(value));
    end = label.lastIndex;
    if (comma === '') break;
  }
  const close = /[ \t]*\}/y;
  close.lastIndex = end;
  return close.test(text) ? { labels, length: close.lastIndex } : undefined;
}

/** Three characters are escaped; a backslash ahead of any other one stays. */
function unescapeValue(value: string): string {
  return value.replace(/\\([\\"n])/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
}

function parseValue(text: string): number | undefined {
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (/^nan$/i.test(text)) return NaN;
  const infinity = /^([+-]?)inf(inity)?$/i.exec(text);
  if (infinity === null) return undefined;
  return infinity[1] === '-' ? -Infinity : Infinity;
}
