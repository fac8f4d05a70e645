import { readFileSync } from 'node:fs';

/** One line of a registry: the values from `first` to `last`, and what IANA says of them. */
export interface RegistryEntry {
  readonly first: number;
  readonly last: number;
  readonly name: string;
}

/** Reads one of the registries kept beside this file; its date is in the file's first line. */
export function readRegistry(file: string): RegistryEntry[] {
  const lines = readFileSync(new URL(file, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');
  return lines
    .filter((line) => /^\d/.test(line))
    .map((line) => {
      const [values = '', name = ''] = line.split(',');
      const [first = '', last = first] = values.split('-');
      return { first: Number(first), last: Number(last), name };
    });
}

/** Whether the entry gives its values a meaning today. */
export function isAssigned({ name }: RegistryEntry): boolean {
  return name !== 'Unassigned' && !name.startsWith('Reserved');
}

/** The name that the values had when RFC 3489 still gave them one. */
export function formerName({ name }: RegistryEntry): string | undefined {
  return /^Reserved; was (\S+)/.exec(name)?.[1];
}
