/** The certificate that TLS shows: read from files, and again whenever those change, as certbot's do. */
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { systemErrorCode } from '../bind-error.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Log } from '../log.ts';
import type { TlsFiles } from './settings.ts';

/** How soon a changed file is noticed. Its text is compared, so that a link to another file counts. */
const RELOAD_MS = 10_000;

export interface CertificateSource {
  /** What new connections are to use. */
  current(): Certificate;
  /** Tells of each change from now on. */
  onChange(listener: (certificate: Certificate) => void): void;
  /** Looks at the files at once; what can't be used is logged, and the certificate stays as it was. */
  reload(): Promise<void>;
  /** Looks at the files no more. */
  close(): Promise<void>;
}

export interface Certificate {
  readonly options: SecureContextOptions;
  readonly context: SecureContext;
}

/** Rejects with ERR_TLS. */
export async function openCertificate(files: TlsFiles, log: Log): Promise<CertificateSource> {
  let texts = await readTexts(files);
  let certificate = certificateOf(texts);
  let told = '';
  const listeners: ((certificate: Certificate) => void)[] = [];

  async function load(): Promise<void> {
    const found = await readTexts(files);
    const isSame = found.cert === texts.cert && found.key === texts.key;
    if (!isSame) {
      certificate = certificateOf(found);
      texts = found;
      log('info', 'TLS: the certificate has changed, and is used from now on', { event: 'certificate' });
      for (const listener of listeners) listener(certificate);
    }
    told = '';
  }

  async function reload(): Promise<void> {
    try {
      await load();
    } catch (error) {
      if (!(error instanceof NatprobeError)) throw error;
      if (error.message !== told) {
        log('error', `TLS: the certificate stays as it was: ${error.message}`, { code: error.code });
      }
      told = error.message;
    }
  }

  let reloading = Promise.resolve();
  const reloadInTurn = (): Promise<void> => (reloading = reloading.then(reload));
  const timer = setInterval(() => void reloadInTurn(), RELOAD_MS).unref();
  return {
    current: () => certificate,
    onChange: (listener) => void listeners.push(listener),
    reload: reloadInTurn,
    close() {
      clearInterval(timer);
      return reloading;
    },
  };
}

interface Texts {
  readonly cert: string;
  readonly key: string;
}

async function readTexts({ certFile, keyFile }: TlsFiles): Promise<Texts> {
  const [cert, key] = await Promise.all([readText(certFile, '--tls-cert'), readText(keyFile, '--tls-key')]);
  return { cert, key };
}

async function readText(file: string, flag: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = systemErrorCode(error) ?? String(error);
    throw new NatprobeError('ERR_TLS', flag, `${file}: ${code}`, { cause: error });
  }
}

function certificateOf({ cert, key }: Texts): Certificate {
  const options: SecureContextOptions = { cert, key, minVersion: 'TLSv1.2' };
  try {
    return { options, context: createSecureContext(options) };
  } catch (error) {
    const reason = messageOf(error);
    throw new NatprobeError('ERR_TLS', '--tls-cert, --tls-key', reason, { cause: error });
  }
}
