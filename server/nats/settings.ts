/** What natprobed is told about NATS, over which servers work together: flags in, settings out. Pure. */
import { NatprobeError } from '../../shared/errors.ts';

/** As typed. */
export interface NatsFlags {
  /** URLs of the servers of one NATS cluster. */
  readonly nats?: readonly string[];
  readonly natsCredentials?: string;
}

export interface NatsSettings {
  readonly servers: readonly string[];
  readonly credentialsFile?: string;
}

/** Undefined without --nats. Throws ERR_NATS, which does not show what may be a password, or ERR_FLAGS. */
export function readNatsSettings({ nats, natsCredentials }: NatsFlags): NatsSettings | undefined {
  if (nats === undefined) {
    if (natsCredentials === undefined) return undefined;
    throw new NatprobeError('ERR_FLAGS', '--nats-credentials', 'it takes --nats too');
  }
  for (const url of nats) checkUrl(url);
  return { servers: nats, ...(natsCredentials !== undefined && { credentialsFile: natsCredentials }) };
}

function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '')
    throw new NatprobeError('ERR_NATS', '--nats', 'it is no such URL');
  // Everybody on this machine sees the command lines of its processes.
  if (url.username !== '' || url.password !== '')
    throw new NatprobeError(
      'ERR_NATS',
      '--nats',
      'it holds a user: --nats-credentials FILE names who this is',
    );
}
