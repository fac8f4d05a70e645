/** JSON documents with one thing changed. */

/** The way to a value: names of members and indexes. */
export type Place = readonly (string | number)[];

/** Every place of a document but its root. */
export function placesOf(document: unknown, at: Place = []): Place[] {
  if (typeof document !== 'object' || document === null) return [];
  const entries: [string | number, unknown][] = Array.isArray(document)
    ? [...document.entries()]
    : Object.entries(document);
  return entries.flatMap(([name, value]) => [[...at, name], ...placesOf(value, [...at, name])]);
}

/** What a value may be changed into, whatever it was. */
const STRANGERS: readonly unknown[] = [
  null,
  true,
  -1,
  0.5,
  1e300,
  Number.MAX_SAFE_INTEGER + 2,
  '',
  '0',
  '__proto__',
  'x'.repeat(5000),
  '999.999.999.999',
  '2001:db8:::1',
  '\u0000\ud83d\ude00\u202e',
  [],
  [[]],
  {},
  { kind: 'run' },
  { kind: 'later' },
];

/** The document as JSON with what is at `place` removed, doubled, or changed to something else. */
export function mutate(document: unknown, place: Place, choice: number): string {
  const copy = structuredClone(document);
  let parent = copy as Record<string | number, unknown>;
  for (const name of place.slice(0, -1)) parent = parent[name] as Record<string | number, unknown>;
  const last = place.at(-1)!;
  const how = choice % (STRANGERS.length + 2);
  if (how < STRANGERS.length) parent[last] = STRANGERS[how];
  else if (Array.isArray(parent)) parent.splice(Number(last), how - STRANGERS.length, parent[last]);
  else if (how === STRANGERS.length) Reflect.deleteProperty(parent, last);
  else parent[`${last}x`] = parent[last];
  return JSON.stringify(copy);
}
