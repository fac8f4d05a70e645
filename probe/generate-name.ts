/** Names for members who give themselves none: to be read aloud over a telephone. */
const MANNERS = [
  'amber',
  'brave',
  'brisk',
  'calm',
  'clear',
  'deep',
  'early',
  'fair',
  'fleet',
  'gentle',
  'glad',
  'golden',
  'green',
  'high',
  'keen',
  'kind',
  'late',
  'light',
  'merry',
  'mild',
  'noble',
  'plain',
  'proud',
  'quick',
  'quiet',
  'red',
  'silver',
  'still',
  'swift',
  'tall',
  'warm',
  'wide',
] as const;
const THINGS = [
  'alder',
  'badger',
  'beech',
  'brook',
  'cedar',
  'cliff',
  'crane',
  'dune',
  'elm',
  'falcon',
  'fern',
  'finch',
  'fjord',
  'grove',
  'hare',
  'harbour',
  'heron',
  'island',
  'lake',
  'lark',
  'maple',
  'marsh',
  'meadow',
  'otter',
  'owl',
  'pine',
  'raven',
  'reef',
  'river',
  'robin',
  'spruce',
  'valley',
] as const;
const NUMBERS = 100;

/** Bytes that generateName takes. */
export const NAME_BYTES = 4;

/** `quiet-heron-42`, of random bytes. */
export function generateName(random: Uint8Array): string {
  const [manner = 0, thing = 0, high = 0, low = 0] = random;
  const number = String((high * 256 + low) % NUMBERS).padStart(2, '0');
  return `${MANNERS[manner % MANNERS.length]!}-${THINGS[thing % THINGS.length]!}-${number}`;
}
