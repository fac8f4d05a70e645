/** Metrics as they were at a time, and what has happened between two times. */
import { parseExposition, type Sample } from './exposition.ts';

/** In all since the server's start, and a second between two readings, if there are two of the same process. */
export interface Count {
  readonly total: number;
  readonly perSecond: number | undefined;
}

export type LabelSet = ReadonlyMap<string, string>;
/** Which samples of a name are meant. */
export type Where = (labels: LabelSet) => boolean;

const ANY: Where = () => true;

export class Reading {
  readonly atMs: number;
  private readonly samples = new Map<string, Sample[]>();

  /** Undefined if the text is none of natprobed's. `atMs` is of a clock that never goes back. */
  static parse(text: string, atMs: number): Reading | undefined {
    const samples = parseExposition(text);
    if (samples === undefined) return undefined;
    const reading = new Reading(samples, atMs);
    return reading.version === undefined ? undefined : reading;
  }

  private constructor(samples: readonly Sample[], atMs: number) {
    this.atMs = atMs;
    for (const sample of samples) {
      const named = this.samples.get(sample.name);
      if (named === undefined) this.samples.set(sample.name, [sample]);
      else named.push(sample);
    }
  }

  /** The server's. */
  get version(): string | undefined {
    return this.find('natprobed_info')[0]?.labels.get('version');
  }

  /** When its process began, in seconds since 1970. */
  get startedAt(): number | undefined {
    return this.value('process_start_time_seconds');
  }

  /** Those of that name. */
  find(name: string, where = ANY): Sample[] {
    return (this.samples.get(name) ?? []).filter(({ labels }) => where(labels));
  }

  /** Of what there is one of; undefined if there is none, or if it is not a number. */
  value(name: string): number | undefined {
    const value = this.find(name)[0]?.value;
    return value === undefined || Number.isNaN(value) ? undefined : value;
  }
}

/** Two readings of one server, or the first alone. */
export class Change {
  readonly after: Reading;
  readonly seconds: number | undefined;
  private readonly before: Reading | undefined;

  constructor(before: Reading | undefined, after: Reading) {
    const isSame = before !== undefined && before.startedAt === after.startedAt && after.atMs > before.atMs;
    this.before = isSame ? before : undefined;
    this.after = after;
    this.seconds = isSame ? (after.atMs - before.atMs) / 1000 : undefined;
  }

  /** All of that name together. A counter never falls. */
  count(name: string, where = ANY): Count {
    const total = sum(this.after.find(name, where));
    if (this.before === undefined || this.seconds === undefined) return { total, perSecond: undefined };
    return { total, perSecond: Math.max(0, total - sum(this.before.find(name, where))) / this.seconds };
  }

  /** Those for which `keyOf` says the same together, in the order of the text. */
  countBy(name: string, keyOf: (labels: LabelSet) => string, where = ANY): Map<string, Count> {
    const keys = new Set(this.after.find(name, where).map(({ labels }) => keyOf(labels)));
    return new Map(
      Array.from(keys, (key) => [key, this.count(name, (labels) => where(labels) && keyOf(labels) === key)]),
    );
  }
}

function sum(samples: readonly Sample[]): number {
  return samples.reduce((total, { value }) => total + value, 0);
}
