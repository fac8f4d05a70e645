/** What natprobed is told about reports: flags in, settings out. Pure. */
import { NatprobeError } from '../../shared/errors.ts';
import { ADDRESS_PRIVACIES, type AddressPrivacy, DEFAULT_ADDRESSES, DEFAULT_KEEP } from './defaults.ts';

/** As typed. */
export interface ReportFlags {
  /** A directory, or `:memory:`. */
  readonly data?: string;
  /** postgres://… */
  readonly database?: string;
  readonly databasePasswordFile?: string;
  readonly keep?: string;
  readonly addresses?: string;
}

export interface ReportSettings {
  /** Undefined: in memory, until the server stops. */
  readonly directory: string | undefined;
  /** In place of a directory. */
  readonly postgres?: PostgresSettings;
  readonly keepMs: number;
  readonly addresses: AddressPrivacy;
}

export interface PostgresSettings {
  /** It may hold a password: for nobody to see. */
  readonly url: string;
  readonly passwordFile?: string;
}

/** Throws ERR_DATA, ERR_DATABASE, ERR_DURATION, ERR_FLAGS or ERR_USAGE. */
export function readReportSettings(flags: ReportFlags): ReportSettings {
  const { data, keep, addresses = DEFAULT_ADDRESSES } = flags;
  const postgres = readPostgresSettings(flags);
  if (data === '') throw new NatprobeError('ERR_DATA', '--data', 'it is empty');
  const privacy = ADDRESS_PRIVACIES.find((item) => item === addresses);
  if (privacy === undefined) {
    const detail = `got ${JSON.stringify(addresses)}; it takes ${ADDRESS_PRIVACIES.join(', ')}`;
    throw new NatprobeError('ERR_USAGE', '--addresses', detail);
  }
  return {
    directory: data === ':memory:' ? undefined : data,
    ...(postgres && { postgres }),
    keepMs: parseDuration(keep ?? DEFAULT_KEEP, '--keep'),
    addresses: privacy,
  };
}

/** Undefined without --database. Throws ERR_DATABASE, which does not show the URL, or ERR_FLAGS. */
export function readPostgresSettings({
  data,
  database: url,
  databasePasswordFile: passwordFile,
}: Pick<ReportFlags, 'data' | 'database' | 'databasePasswordFile'>): PostgresSettings | undefined {
  if (url === undefined) {
    if (passwordFile === undefined) return undefined;
    throw new NatprobeError('ERR_FLAGS', '--database-password-file', 'it takes --database too');
  }
  if (data !== undefined) throw new NatprobeError('ERR_FLAGS', '--database', 'there is --data too');
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url))
    throw new NatprobeError('ERR_DATABASE', '--database', 'it is no such URL');
  return { url, ...(passwordFile !== undefined && { passwordFile }) };
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
