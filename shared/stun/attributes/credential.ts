/** What the credential mechanisms exchange besides text (RFC 8489 §9, §14.4, §14.11, §14.12). */
import { ATTRIBUTE } from '../registry.ts';
import { checkWholeNumber, defineAttribute } from './attribute.ts';

/** RFC 8489 §14.4: SHA-256 of username and realm; 32 bytes. */
export const USERHASH = defineAttribute<Uint8Array>(ATTRIBUTE.USERHASH, {
  check: (hash) => checkWholeNumber('a user hash length of', hash.length, 32, 32),
  encode: (writer, hash) => writer.bytes(ATTRIBUTE.USERHASH, hash, 0, hash.length),
  decode: (value) => (value.length === 32 ? value : undefined),
});

/** How a long-term password becomes a key. Numbers are IANA's "STUN Password Algorithms". */
export interface PasswordAlgorithm {
  readonly algorithm: number;
  readonly parameters: Uint8Array;
}

/** RFC 8489 §18.5. Neither takes parameters. */
export const PASSWORD_ALGORITHM_NUMBERS = { md5: 1, sha256: 2 } as const;

/** RFC 8489 §14.12: the algorithm that the client has chosen. */
export const PASSWORD_ALGORITHM = defineAttribute<PasswordAlgorithm>(ATTRIBUTE.PASSWORD_ALGORITHM, {
  check: checkAlgorithm,
  encode: (writer, algorithm) => {
    const bytes = encodeAlgorithms([algorithm]);
    writer.bytes(ATTRIBUTE.PASSWORD_ALGORITHM, bytes, 0, bytes.length);
  },
  decode: (value) => {
    const algorithms = decodeAlgorithms(value);
    return algorithms?.length === 1 ? algorithms[0] : undefined;
  },
});

/** RFC 8489 §14.11: the algorithms that the server takes, preferred first. */
export const PASSWORD_ALGORITHMS = defineAttribute<readonly PasswordAlgorithm[]>(
  ATTRIBUTE.PASSWORD_ALGORITHMS,
  {
    check: (algorithms) => algorithms.forEach(checkAlgorithm),
    encode: (writer, algorithms) => {
      const bytes = encodeAlgorithms(algorithms);
      writer.bytes(ATTRIBUTE.PASSWORD_ALGORITHMS, bytes, 0, bytes.length);
    },
    decode: decodeAlgorithms,
  },
);

function checkAlgorithm({ algorithm, parameters }: PasswordAlgorithm): void {
  checkWholeNumber('password algorithm', algorithm, 0, 0xffff);
  checkWholeNumber('a parameters length of', parameters.length, 0, 0xffff);
}

function encodeAlgorithms(algorithms: readonly PasswordAlgorithm[]): Uint8Array {
  const parts = algorithms.map(({ algorithm, parameters }) => {
    const part = Buffer.alloc(4 + ((parameters.length + 3) & ~3));
    part.writeUInt16BE(algorithm, 0);
    part.writeUInt16BE(parameters.length, 2);
    part.set(parameters, 4);
    return part;
  });
  return Buffer.concat(parts);
}

function decodeAlgorithms(value: Uint8Array): PasswordAlgorithm[] | undefined {
  const algorithms: PasswordAlgorithm[] = [];
  let position = 0;
  while (position < value.length) {
    if (position + 4 > value.length) return undefined;
    const algorithm = (value[position]! << 8) | value[position + 1]!;
    const length = (value[position + 2]! << 8) | value[position + 3]!;
    const end = position + 4 + length;
    if (end > value.length) return undefined;
    algorithms.push({ algorithm, parameters: value.subarray(position + 4, end) });
    // The last one's padding may be the attribute's own.
    position = position + 4 + ((length + 3) & ~3);
  }
  return algorithms;
}
