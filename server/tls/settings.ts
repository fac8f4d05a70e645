/** What natprobed is told about TLS: flags in, settings out. Pure. */
import { DEFAULT_TLS_PORT } from '../../shared/default-ports.ts';
import { parsePort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';

/** As typed. */
export interface TlsFlags {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsPort?: string;
}

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface TlsSettings extends TlsFiles {
  /** Of STUN over TLS. */
  readonly port: number;
  readonly alternatePort: number;
}

/** Undefined without TLS. Throws ERR_FLAGS or ERR_PORT. */
export function readTlsSettings(
  { tlsCert, tlsKey, tlsPort }: TlsFlags,
  takenPorts: readonly number[],
): TlsSettings | undefined {
  if (tlsCert === undefined && tlsKey === undefined) {
    if (tlsPort === undefined) return undefined;
    throw new NatprobeError('ERR_FLAGS', '--tls-port', 'it takes --tls-cert and --tls-key');
  }
  if (tlsCert === undefined) throw new NatprobeError('ERR_FLAGS', '--tls-key', 'it takes --tls-cert too');
  if (tlsKey === undefined) throw new NatprobeError('ERR_FLAGS', '--tls-cert', 'it takes --tls-key too');
  const port = tlsPort === undefined ? DEFAULT_TLS_PORT : parsePort(tlsPort, '--tls-port');
  const alternatePort = port + 1;
  if (alternatePort > 65_535) {
    throw new NatprobeError('ERR_PORT', '--tls-port', 'the second port is the next one, and there is none');
  }
  const taken = takenPorts.find((item) => item === port || item === alternatePort);
  if (taken !== undefined) {
    const detail = `it takes ${port} and ${alternatePort}, and ${taken} is of --port or --alt-port`;
    throw new NatprobeError('ERR_FLAGS', '--tls-port', detail);
  }
  return { certFile: tlsCert, keyFile: tlsKey, port, alternatePort };
}
