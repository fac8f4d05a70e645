import type { FuzzTarget } from './target.ts';
import { ANSWERS } from './targets/answers.ts';
import { BROKER } from './targets/broker.ts';
import { CODEC } from './targets/codec.ts';
import { FRAMING } from './targets/framing.ts';
import { openHttpTarget } from './targets/http.ts';
import { ICE } from './targets/ice.ts';
import { LIMITS } from './targets/limits.ts';

/** All of them; who opens them closes them. */
export async function openTargets(): Promise<FuzzTarget[]> {
  return [CODEC, ANSWERS, LIMITS, FRAMING, BROKER, ICE, await openHttpTarget()];
}
