/** Has a target check inputs, one after the other, until it is enough or one fails. */
import { Random } from '../sim/random.ts';
import { mutate } from './mutate.ts';
import type { FuzzTarget } from './target.ts';

/** Of inputs that a target can invent, so many are; the others are changed from those there are. */
const INVENTED_SHARE = 0.5;

export interface FuzzRun {
  readonly inputs: number;
  readonly failed?: { readonly input: Uint8Array; readonly error: unknown };
}

/** `isEnough` is asked before each input, with how many there were. */
export async function fuzz(
  target: FuzzTarget,
  kept: readonly Uint8Array[],
  seed: number,
  isEnough: (inputs: number) => boolean,
): Promise<FuzzRun> {
  const random = new Random(seed);
  const known = [...target.seeds(), ...kept];
  let inputs = 0;
  for (; inputs < known.length || !isEnough(inputs); inputs++) {
    const input =
      known[inputs] ??
      (target.invent !== undefined && random.chance(INVENTED_SHARE)
        ? target.invent(random)
        : mutate(known, random));
    try {
      await target.check(input);
    } catch (error) {
      return { inputs: inputs + 1, failed: { input, error } };
    }
  }
  return { inputs };
}
