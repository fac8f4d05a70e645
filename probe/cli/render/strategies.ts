import type { StrategyName } from '../../../shared/punch/strategy.ts';

/** Ways to open a hole, in plain words. */
export const STRATEGY_WORDS: Readonly<Record<StrategyName, string>> = {
  direct: 'direct sending',
  reversal: 'connection reversal',
  lan: 'private addresses',
  plain: 'simultaneous sending',
  sequential: 'connecting one after the other',
  hairpin: 'hairpinning',
  'low-ttl': 'low-TTL first packets',
  'port-prediction': 'port prediction',
  birthday: 'the birthday method',
  relay: 'a relay',
};
