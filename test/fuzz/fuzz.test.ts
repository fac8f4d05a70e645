/** A short run of what `npm run fuzz` makes long, and all inputs that were kept. */
import { afterAll, describe, expect, it } from 'vitest';
import { SEED } from '../property/property.ts';
import { readCorpus } from './corpus.ts';
import { fuzz } from './run.ts';
import { openTargets } from './targets.ts';

/** By how long one takes. */
const INPUTS: Readonly<Record<string, number>> = {
  codec: 5000,
  answers: 500,
  limits: 300,
  framing: 1500,
  broker: 120,
  ice: 100,
  http: 250,
};

const targets = await openTargets();
afterAll(async () => {
  for (const target of targets) await target.close?.();
});

describe('whatever comes from strangers', () => {
  it.each(targets.map((target) => [target.name, target] as const))(
    `%s, seed ${SEED}`,
    async (name, target) => {
      const { failed, inputs } = await fuzz(
        target,
        readCorpus(name),
        SEED,
        (count) => count >= INPUTS[name]!,
      );
      if (failed === undefined) expect(inputs).toBeGreaterThanOrEqual(INPUTS[name]!);
      else throw new Error(`${target.invariant}; not for ${hexOf(failed.input)}`, { cause: failed.error });
    },
  );
});

function hexOf(input: Uint8Array): string {
  return Buffer.from(input).toString('hex');
}
