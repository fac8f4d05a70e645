/** Changes inputs: bytes flipped, set, cut out, put in and doubled, and two inputs made one. */
import { mutate as mutateDocument, placesOf } from '../property/mutations.ts';
import type { Random } from '../sim/random.ts';

/** Bytes that lengths, counts, types and texts begin and end with. */
const TELLING = [
  0x00, 0x01, 0x04, 0x08, 0x20, 0x22, 0x2c, 0x30, 0x3a, 0x3f, 0x40, 0x5b, 0x7b, 0x7f, 0x80, 0xff,
];
const LONGEST = 40_000;

export function mutate(inputs: readonly Uint8Array[], random: Random): Uint8Array {
  let bytes = pick(inputs, random);
  for (let changes = random.integer(1, 6); changes > 0; changes--) bytes = change(bytes, inputs, random);
  return bytes.subarray(0, LONGEST);
}

/** The document with one value of it changed, left out or doubled. */
export function mutateJson(text: string, random: Random): string {
  const document: unknown = JSON.parse(text);
  const places = placesOf(document);
  return mutateDocument(document, places[random.integer(0, places.length - 1)]!, random.uint32());
}

function change(bytes: Uint8Array, inputs: readonly Uint8Array[], random: Random): Uint8Array {
  const at = random.integer(0, bytes.length);
  const to = Math.min(bytes.length, at + random.integer(1, random.chance(0.2) ? bytes.length + 1 : 8));
  const copy = bytes.slice();
  switch (random.integer(0, 7)) {
    case 0:
      if (at < copy.length) copy[at]! ^= 1 << random.integer(0, 7);
      return copy;
    case 1:
      if (at < copy.length) copy[at] = TELLING[random.integer(0, TELLING.length - 1)]!;
      return copy;
    case 2:
      return join(bytes.subarray(0, at), bytes.subarray(to));
    case 3:
      return bytes.slice(0, at);
    case 4:
      return join(bytes.subarray(0, at), random.bytes(random.integer(1, 8)), bytes.subarray(at));
    case 5:
      return join(bytes.subarray(0, to), bytes.subarray(at));
    case 6: {
      // From another input, or elsewhere in this one.
      const other = random.chance(0.5) ? pick(inputs, random) : bytes;
      const from = random.integer(0, other.length);
      return join(
        bytes.subarray(0, at),
        other.subarray(from, from + random.integer(1, 64)),
        bytes.subarray(to),
      );
    }
    default: {
      const other = pick(inputs, random);
      return join(bytes.subarray(0, at), other.subarray(random.integer(0, other.length)));
    }
  }
}

function pick(inputs: readonly Uint8Array[], random: Random): Uint8Array {
  return inputs[random.integer(0, inputs.length - 1)]!;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
