import fc from 'fast-check';

/** The seed of every property test: fixed, so that a run can be repeated; NATPROBE_SEED=N tries others. */
export const SEED = Number(process.env['NATPROBE_SEED'] ?? 20260101);

/** Checks a property on `runs` random cases; the counterexample and the seed are in the failure. */
export function checkProperty<T>(property: fc.IProperty<T>, runs: number): void {
  fc.assert(property, { seed: SEED, numRuns: runs });
}

/** As checkProperty, for a property that takes its time. */
export async function checkAsyncProperty<T>(property: fc.IAsyncProperty<T>, runs: number): Promise<void> {
  await fc.assert(property, { seed: SEED, numRuns: runs });
}
