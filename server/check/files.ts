/** The files that natprobed is given: whether they can be used, who else may read them, how long they are good. */
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { NatprobeError } from '../../shared/errors.ts';
import { doubtful, fine, type Finding, findingOf, wrong } from '../../shared/findings.ts';
import type { ServerConfig } from '../config.ts';
import { openTokens } from '../http/tokens.ts';
import { SILENT_LOG } from '../log.ts';
import { openPeering } from '../peering/open.ts';
import { openCertificate } from '../tls/certificate.ts';
import { readKeyFile } from '../witness-key-source.ts';

/** Secrets in files, apart from those of TLS. */
export function checkSecrets(config: ServerConfig): Finding[] {
  const { witnessKeyFile, access, tokens, peering, nats, reports } = config;
  const tokenFile = access?.tokenFile;
  return [
    ...(witnessKeyFile === undefined
      ? [fine('witness keys', 'its own, which no other server knows')]
      : attempt('witness keys', () => {
          const many = readKeyFile(witnessKeyFile).length;
          return `${witnessKeyFile} has ${many === 1 ? 'one key' : `${many} keys`}`;
        })),
    ...checkReaders('witness keys', witnessKeyFile),
    ...(tokenFile === undefined && tokens === undefined
      ? []
      : attempt('tokens', () => `${openTokens(tokenFile, tokens).filter(Boolean).length} can be used`)),
    ...checkReaders('tokens', tokenFile),
    ...(peering?.relaySecretFile === undefined && peering?.roomKeyFile === undefined
      ? []
      : attempt('peers', () => {
          openPeering(peering);
          return 'the secret of the relays and the key of room tokens can be read, as far as they are given';
        })),
    ...checkReaders('relay secret', peering?.relaySecretFile),
    ...checkReaders('NATS', nats?.credentialsFile),
    ...checkReaders('database', reports?.postgres?.passwordFile),
  ];
}

function attempt(check: string, use: () => string): Finding[] {
  try {
    return [fine(check, use())];
  } catch (error) {
    if (error instanceof NatprobeError) return [findingOf(check, error)];
    throw error;
  }
}

/** Of `rwxrwxrwx` those of neither owner nor group. */
const OTHERS_MAY_READ = 0o004;

/** Nothing about a file that isn't there: who opens it says so. */
function checkReaders(check: string, file: string | undefined): Finding[] {
  if (file === undefined || process.platform === 'win32') return [];
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & OTHERS_MAY_READ) === 0) return [];
  return [
    doubtful(check, `everybody on this machine may read ${file}, which is a secret`, `chmod o-rwx ${file}`),
  ];
}

/** By then certbot and its like have renewed what is good for 90 days. */
const RENEWED_BY_DAYS = 14;
const DAY_MS = 86_400_000;

export interface CheckedCertificate {
  readonly findings: readonly Finding[];
  readonly isUsable: boolean;
}

/** The certificate and its key: whether they go together, until when they are good, and for whom. */
export async function checkCertificate(
  { tls, publicUrl }: Pick<ServerConfig, 'tls' | 'publicUrl'>,
  nowMs: number,
): Promise<CheckedCertificate> {
  if (tls === undefined) return { findings: [], isUsable: false };
  try {
    const source = await openCertificate(tls, SILENT_LOG);
    await source.close();
  } catch (error) {
    if (error instanceof NatprobeError) return { findings: [findingOf('TLS', error)], isUsable: false };
    throw error;
  }
  const certificate = new X509Certificate(readFileSync(tls.certFile));
  const findings = [
    ...checkValidity(certificate, nowMs),
    ...(certificate.issuer === certificate.subject && certificate.checkIssued(certificate)
      ? [
          doubtful(
            'TLS',
            'the certificate is signed by itself, and clients do not accept it',
            'take one of an authority that they know',
          ),
        ]
      : []),
    ...checkName(certificate, publicUrl),
    ...checkReaders('TLS', tls.keyFile),
  ];
  return { findings, isUsable: true };
}

function checkValidity({ validFromDate, validToDate }: X509Certificate, nowMs: number): Finding[] {
  const until = validToDate.toISOString().slice(0, 10);
  const days = Math.floor((validToDate.getTime() - nowMs) / DAY_MS);
  const renew = 'renew it; natprobed takes the new one by itself, within ten seconds';
  if (validFromDate.getTime() > nowMs) {
    const from = validFromDate.toISOString();
    return [
      wrong(
        'TLS',
        `the certificate is good from ${from} on, which is still to come`,
        'set the clock, or take another',
      ),
    ];
  }
  if (days < 0) return [wrong('TLS', `the certificate has expired on ${until}`, renew)];
  if (days >= RENEWED_BY_DAYS)
    return [fine('TLS', `the certificate is good until ${until}, for ${days} days`)];
  return [doubtful('TLS', `the certificate is good until ${until} only: ${days} days more`, renew)];
}

function checkName(certificate: X509Certificate, publicUrl: string | undefined): Finding[] {
  if (publicUrl === undefined) return [];
  const { hostname, protocol } = new URL(publicUrl);
  // Where a proxy stands in front, with its own.
  if (protocol !== 'https:') return [];
  const host = hostname.replace(/^\[|\]$/g, '');
  const fits = certificate.checkHost(host) ?? certificate.checkIP(host);
  if (fits !== undefined) return [];
  return [
    doubtful(
      'TLS',
      `the certificate is not for ${host}, which --public-url names`,
      'unless a proxy with its own stands in front, take one for that name',
    ),
  ];
}
