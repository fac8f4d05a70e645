/** What a bench, or a program like it, is told on its command line: numbers within bounds, lists of them, names; a mistake ends it with what to give. */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

/** One thing that it can be told. */
export interface Argument<Value> {
  /** As it would be typed. */
  readonly fallback: string;
  /** What it takes, as the end of a sentence: `a whole number from 1`. */
  readonly takes: string;
  /** Undefined where the text is none of that. */
  readonly read: (text: string) => Value | undefined;
  readonly isList?: boolean;
}

export interface Bounds {
  readonly least: number;
  readonly most?: number;
  /** What it has to be a multiple of: 1 if absent, 0 where fractions will do. */
  readonly step?: number;
}

export function number(fallback: number, { least, most = Infinity, step = 1 }: Bounds): Argument<number> {
  const kind = step === 0 ? 'a number' : step === 1 ? 'a whole number' : `a multiple of ${step}`;
  const range = most === Infinity ? `from ${least}` : `from ${least} to ${most}`;
  return {
    fallback: String(fallback),
    takes: `${kind} ${range}`,
    read(text) {
      const value = text.trim() === '' ? NaN : Number(text);
      const isOfKind = step === 0 ? Number.isFinite(value) : Number.isSafeInteger(value / step);
      return isOfKind && value >= least && value <= most ? value : undefined;
    },
  };
}

/** Of packets that are lost: none of them can be, and so can all. */
export function percent(fallback: number): Argument<number> {
  return number(fallback, { least: 0, most: 100, step: 0 });
}

/** Of one or more, with commas between them. */
export function list<Value>(fallback: string, { takes, read }: Argument<Value>): Argument<Value[]> {
  return {
    fallback,
    takes: `${takes}, or several with commas between them`,
    read(text) {
      const values = text.split(',').map(read);
      return values.every((value) => value !== undefined) ? values : undefined;
    },
    isList: true,
  };
}

export function oneOf<const Name extends string>(
  fallback: NoInfer<Name>,
  names: readonly Name[],
): Argument<Name> {
  return {
    fallback,
    takes: `one of ${names.join(', ')}`,
    read: (text) => names.find((name) => name === text),
  };
}

/** Any text, of which `what` says what it is. */
export function text(what: string, fallback = ''): Argument<string> {
  return { fallback, takes: what, read: (given) => given };
}

/** Threads to share the work among. */
export const WORKERS = number(availableParallelism(), { least: 1, most: 64 });

/** `--name` alone. */
export const FLAG = 'flag' as const;

type Arguments = Readonly<Record<string, Argument<unknown> | typeof FLAG>>;
export type ValuesOf<Known extends Arguments> = {
  readonly [Name in keyof Known]: Known[Name] extends Argument<infer Value> ? Value : boolean;
};

/**
 * What this process was told. A mistake, or what is not `known`, ends it with 2, and `--help` with 0. Those that
 * `inOrder` names are given by their place, not by their name; if the last of those is a list, its items may also be
 * words of their own.
 */
export function readArguments<Known extends Arguments>(
  program: string,
  known: Known,
  inOrder: readonly (keyof Known & string)[] = [],
): ValuesOf<Known> {
  const words = process.argv.slice(2);
  if (words.some((word) => word === '--help' || word === '-h')) {
    process.stdout.write(usageOf(program, known, inOrder));
    process.exit(0);
  }
  const read = readWords(words, known, inOrder);
  if ('values' in read) return read.values;
  process.stderr.write(`${read.mistake}\n${usageOf(program, known, inOrder)}`);
  process.exit(2);
}

export function readWords<Known extends Arguments>(
  words: readonly string[],
  known: Known,
  inOrder: readonly (keyof Known & string)[] = [],
): { readonly values: ValuesOf<Known> } | { readonly mistake: string } {
  const named = Object.keys(known).filter((name) => !inOrder.includes(name));
  const options = named.map((name) => [name, { type: known[name] === FLAG ? 'boolean' : 'string' }] as const);
  let given: Readonly<Record<string, string | boolean | undefined>>;
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      options: Object.fromEntries(options),
      allowPositionals: true,
    });
    const placed = isList(known[inOrder.at(-1) ?? ''])
      ? joinFrom(inOrder.length - 1, positionals)
      : positionals;
    if (placed.length > inOrder.length)
      return { mistake: `${placed[inOrder.length]}: there is no place for it` };
    given = { ...values, ...Object.fromEntries(placed.map((word, at) => [inOrder[at]!, word])) };
  } catch (error) {
    // Its first sentence says what is wrong, the others how to type words that look like options.
    return { mistake: (error as Error).message.split(/\. |\n/)[0]! };
  }
  const values: Record<string, unknown> = {};
  for (const [name, argument] of Object.entries(known)) {
    if (argument === FLAG) {
      values[name] = given[name] === true;
      continue;
    }
    const word = given[name] as string | undefined;
    const value = argument.read(word ?? argument.fallback);
    if (value === undefined)
      return { mistake: `${labelOf(name, inOrder)}: ${word} is not ${argument.takes}` };
    values[name] = value;
  }
  return { values: values as ValuesOf<Known> };
}

function isList(argument: Argument<unknown> | typeof FLAG | undefined): boolean {
  return argument !== undefined && argument !== FLAG && argument.isList === true;
}

/** The words from that place on are one. */
function joinFrom(place: number, words: readonly string[]): readonly string[] {
  return words.length <= place ? words : [...words.slice(0, place), words.slice(place).join(',')];
}

function usageOf(program: string, known: Arguments, inOrder: readonly string[]): string {
  const names = Object.keys(known);
  const places = inOrder.map((name) => name.toUpperCase());
  const shape = [
    ...(places.length > 0 ? [places.map((place) => `[${place}`).join(' ') + ']'.repeat(places.length)] : []),
    ...names
      .filter((name) => !inOrder.includes(name))
      .map((name) => (known[name] === FLAG ? `[--${name}]` : `[--${name} ${name.toUpperCase()}]`)),
  ].join(' ');
  const width = Math.max(...names.map((name) => labelOf(name, inOrder).length));
  const lines = names.flatMap((name) => {
    const argument = known[name]!;
    if (argument === FLAG) return [];
    const without = argument.fallback === '' ? '' : `; ${argument.fallback} without it`;
    return [`  ${labelOf(name, inOrder).padEnd(width)}  ${argument.takes}${without}`];
  });
  return ['', `usage: npm run ${program}${shape === '' ? '' : ` -- ${shape}`}`, ...lines, ''].join('\n');
}

function labelOf(name: string, inOrder: readonly string[]): string {
  return inOrder.includes(name) ? name.toUpperCase() : `--${name}`;
}
