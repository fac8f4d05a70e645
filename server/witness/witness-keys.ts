import { createHash, createSecretKey, type KeyObject } from 'node:crypto';

/** One secret that witnesses are made with. */
export interface WitnessKey {
  /** 16 bits that follow from the secret, so that servers which share it agree; two keys may share one. */
  readonly id: number;
  /** Prepared once: from bytes an HMAC takes several times as long. */
  readonly secret: KeyObject;
}

export const WITNESS_SECRET_BYTES = 32;

/** Throws RangeError for a secret of another length. */
export function witnessKeyOf(secret: Uint8Array): WitnessKey {
  if (secret.length !== WITNESS_SECRET_BYTES) throw new RangeError(`a witness key of ${secret.length} bytes`);
  const digest = createHash('sha256').update('natprobe witness key id').update(secret).digest();
  return { id: digest.readUInt16BE(0), secret: createSecretKey(secret) };
}

/**
 * The keys in use: the first makes witnesses, all of them check. A key that is replaced goes on
 * checking until the next one is, so that no witness is lost while it is good.
 */
export class WitnessKeys {
  #keys: readonly [WitnessKey, ...WitnessKey[]];
  #onChange: ((current: WitnessKey) => void) | undefined;

  constructor(first: WitnessKey, ...others: readonly WitnessKey[]) {
    this.#keys = [first, ...others];
  }

  get current(): WitnessKey {
    return this.#keys[0];
  }

  /** Those that a witness with this key id may have been made with. */
  withId(id: number): readonly WitnessKey[] {
    return this.#keys.filter((key) => key.id === id);
  }

  /** Makes witnesses with `next` from now on; the key until now still checks, all older ones no more. */
  rotate(next: WitnessKey): void {
    this.replace(next, this.current);
  }

  /** Replaces all keys, as their file has them now. */
  replace(first: WitnessKey, ...others: readonly WitnessKey[]): void {
    this.#keys = [first, ...others];
    this.#onChange?.(first);
  }

  /** Who makes witnesses elsewhere is told of the key to make them with, or with undefined no more. */
  onChange(listener: ((current: WitnessKey) => void) | undefined): void {
    this.#onChange = listener;
  }
}
