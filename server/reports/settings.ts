/** What natprobed is told about reports: flags in, settings out. Pure. */
import { NatprobeError } from '../../shared/errors.ts';
import { ADDRESS_PRIVACIES, type AddressPrivacy, DEFAULT_ADDRESSES, DEFAULT_KEEP } from './defaults.ts';

/** As typed. */
export interface ReportFlags {
  /** A directory, or `:memory:`. */
  readonly data?: string;
  readonly keep?: string;
  readonly addresses?: string;
}

export interface ReportSettings {
  /** Undefined: in memory, until the server stops. */
  readonly directory: string | undefined;
  readonly keepMs: number;
  readonly addresses: AddressPrivacy;
}

/** Throws ERR_DATA, ERR_DURATION or ERR_USAGE. */
export function readReportSettings({
  data,
  keep,
  addresses = DEFAULT_ADDRESSES,
}: ReportFlags): ReportSettings {
  if (data === '') throw new NatprobeError('ERR_DATA', '--data', 'it is empty');
  const privacy = ADDRESS_PRIVACIES.find((item) => item === addresses);
  if (privacy === undefined) {
    const detail = `got ${JSON.stringify(addresses)}; it takes ${ADDRESS_PRIVACIES.join(', ')}`;
    throw new NatprobeError('ERR_USAGE', '--addresses', detail);
  }
  return {
    directory: data === ':memory:' ? undefined : data,
    keepMs: parseDuration(keep ?? DEFAULT_KEEP, '--keep'),
    addresses: privacy,
  };
}

const UNITS_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Longer than anything that is kept, and short enough to count back from any date. */
const LONGEST_MS = 36_500 * 86_400_000;

/** Milliseconds of `90d`, `12h`, `30m` or `45s`: more than none, at most a hundred years. Throws ERR_DURATION. */
export function parseDuration(text: string, place: string): number {
  const [, count = '', unit = ''] = /^(\d{1,10})([smhd])$/.exec(text) ?? [];
  const durationMs = Number(count) * (UNITS_MS[unit] ?? 0);
  if (durationMs > 0 && durationMs <= LONGEST_MS) return durationMs;
  throw new NatprobeError('ERR_DURATION', place, `got ${JSON.stringify(text)}`);
}
