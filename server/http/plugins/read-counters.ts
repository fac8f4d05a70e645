/** Counters of Prometheus whose values others keep: they are read when somebody asks. */
import { Counter, type Registry } from 'prom-client';

export type ReadCounter = (name: string, help: string, labelNames: string[], read: () => Sample[]) => void;

/** Adds counters to these registers. */
export function counterReader(registers: Registry[]): ReadCounter {
  return (name, help, labelNames, read) => {
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { labels, count } of read()) this.inc(labels, count);
      },
    });
  };
}

export type Labels = Readonly<Record<string, string>>;

export interface Sample {
  readonly labels: Labels;
  readonly count: number;
}

export function sample(labels: Labels, count: number): Sample {
  return { labels, count };
}

/** `queueFull` becomes `queue-full`, as labels are written elsewhere. */
export function samplesOf(labels: Labels, label: string, counts: object): Sample[] {
  return Object.entries(counts as Record<string, number>).map(([name, count]) =>
    sample({ ...labels, [label]: name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`) }, count),
  );
}
