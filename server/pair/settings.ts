/** What natprobed is told about the host that it is paired with: flags in, settings out. Pure. */
import { NatprobeError } from '../../shared/errors.ts';

/** As typed. */
export interface PairFlags {
  /** What two hosts call themselves together. */
  readonly pair?: string;
}

export interface PairSettings {
  readonly name: string;
}

/** Of a subject of NATS one word. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** What the two tell each other goes there, over NATS. */
export function pairSubject(name: string): string {
  return `natprobe.pair.${name}`;
}

/** Undefined without --pair. Throws ERR_FLAGS or ERR_PAIR_NAME. */
export function readPairSettings({
  pair,
  nats,
  witnessKeyFile,
  altIp = [],
}: PairFlags & {
  readonly nats?: readonly string[];
  readonly witnessKeyFile?: string;
  readonly altIp?: readonly string[];
}): PairSettings | undefined {
  if (pair === undefined) return undefined;
  if (!NAME.test(pair)) throw new NatprobeError('ERR_PAIR_NAME', '--pair', `got ${JSON.stringify(pair)}`);
  if (nats === undefined) throw new NatprobeError('ERR_FLAGS', '--pair', 'it takes --nats too');
  // Whoever has the keys may have this host send; that is not whoever gets at NATS.
  if (witnessKeyFile === undefined)
    throw new NatprobeError('ERR_FLAGS', '--pair', 'it takes --witness-key-file too, the same on both hosts');
  if (altIp.length > 0)
    throw new NatprobeError(
      'ERR_FLAGS',
      '--alt-ip',
      "not with --pair: the second address is the other host's",
    );
  return { name: pair };
}
