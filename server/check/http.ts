/** The HTTP side of a deployment: its port, what a natprobed that runs there says, and how clients come to it. */
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { readBoundedText } from '../../shared/bounded-text.ts';
import { formatEndpoint } from '../../shared/endpoint.ts';
import { doubtful, fine, type Finding, findingOf, wrong } from '../../shared/findings.ts';
import { parseHttpUrl } from '../../shared/http-url.ts';
import { bindError, systemErrorCode } from '../bind-error.ts';
import { FAMILY_LABELS, type ServerConfig } from '../config.ts';
import { askableHost } from '../default-http.ts';
import { type HttpConfig, isServiceAt } from '../http/endpoint.ts';
import type { Health } from '../http/status.ts';
import { isLoopback } from '../local-addresses.ts';
import { tryToBind } from './ports.ts';

export async function checkHttp(config: ServerConfig, isRunning: boolean): Promise<Finding[]> {
  const { http } = config;
  if (http === undefined) return [fine('HTTP', 'it is off: no reports, no broker, no page')];
  return [
    ...(await checkPort(http, config)),
    ...checkExposure(http, config),
    ...(await checkPublicUrl(config, isRunning)),
  ];
}

async function checkPort({ host, port, required }: HttpConfig, config: ServerConfig): Promise<Finding[]> {
  const endpoint = { address: host, port };
  const name = formatEndpoint(endpoint);
  const error = await tryToBind('tcp', endpoint);
  if (error === undefined) return [fine('HTTP', `${name} is free`)];
  if (systemErrorCode(error) !== 'EADDRINUSE') {
    const flags = { addressFlag: '--http', portFlag: '--http', endpoint: `TCP ${name}` };
    return [findingOf('HTTP', bindError(error, flags))];
  }
  const scheme = config.tls === undefined ? 'http' : 'https';
  const url = new URL(`${scheme}://${formatEndpoint({ address: askableHost(host), port })}/`);
  const health = await askHealth(url, false);
  if (typeof health === 'string') {
    const seen = `${name} is held by a program that does not answer as natprobed does (${health})`;
    const remedy = 'stop it, or choose another port with --http';
    return [
      required ? wrong('HTTP', seen, remedy) : doubtful('HTTP', `${seen}, and HTTP would be off`, remedy),
    ];
  }
  const minutes = Math.round(health.uptimeMs / 60_000);
  return [
    fine('HTTP', `${name} is held by natprobed ${health.version}, up ${minutes} min`),
    await checkReadiness(url),
    ...checkHealth(health),
  ];
}

async function checkReadiness(url: URL): Promise<Finding> {
  const { status, text } = await askHttp(new URL('readyz', url), false);
  if (status === 200) return fine('ready', 'the natprobed that runs here can do its work');
  return wrong('ready', `the natprobed that runs here cannot do its work: ${detailOf(text)}`, 'see its log');
}

function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown };
    return typeof detail === 'string' ? detail : 'it does not say why';
  } catch {
    return 'it does not say why';
  }
}

function checkHealth({ udp, pair }: Health): Finding[] {
  const findings: Finding[] = [];
  if (udp !== undefined && udp.restarts > 0)
    findings.push(
      doubtful('lanes', `they have died and been started again ${udp.restarts} times`, 'see its log'),
    );
  if (udp?.kernelDrops !== undefined && udp.kernelDrops > 0)
    findings.push(
      doubtful(
        'buffers',
        `the kernel has dropped ${udp.kernelDrops} datagrams before natprobed could read them`,
        'raise net.core.rmem_max, or give it more cores (--lanes)',
      ),
    );
  if (pair?.partner === 'lost')
    findings.push(
      wrong(`pair ${pair.name}`, 'the natprobed that runs here has lost the other host', 'see its log'),
    );
  return findings;
}

function checkExposure(
  { host }: HttpConfig,
  { service, tls, publicUrl, access, families }: ServerConfig,
): Finding[] {
  if (families.every(({ bound }) => isLoopback(bound[0].address))) return [];
  const findings: Finding[] = [];
  if (service === undefined)
    findings.push(
      doubtful(
        'HTTP',
        `it is on ${host} alone, so clients are not told of it: no reports, no punches`,
        'say --http 0.0.0.0:PORT, with --tls-cert and --tls-key; or --public-url where a proxy stands in front',
      ),
    );
  if (!isLoopback(host) && tls === undefined && publicUrl?.startsWith('https:') !== true)
    findings.push(
      doubtful(
        'HTTP',
        'it is open to the network without TLS',
        'say --tls-cert and --tls-key, or put a proxy in front',
      ),
    );
  for (const { family, bound } of service === undefined ? [] : families) {
    if (isServiceAt(bound[0].address, { publicUrl, hosts: [host] })) continue;
    findings.push(
      doubtful(
        'HTTP',
        `it is at ${publicUrl ?? host}, so clients that ask over ${FAMILY_LABELS[family]} are not told of it`,
        publicUrl === undefined
          ? 'say --http [::]:PORT, which takes both families'
          : 'give --public-url a name with addresses of both families',
      ),
    );
  }
  if (publicUrl !== undefined && isLoopback(host) && access?.isTrustedProxy === undefined)
    findings.push(
      doubtful(
        'HTTP',
        'a proxy on this machine is not believed who its clients are, and its limits count as one client’s',
        'say --trust-proxy 127.0.0.1',
      ),
    );
  return findings;
}

async function checkPublicUrl({ publicUrl }: ServerConfig, isRunning: boolean): Promise<Finding[]> {
  if (publicUrl === undefined) return [];
  const health = await askHealth(parseHttpUrl(publicUrl, '--public-url'), true);
  if (typeof health !== 'string')
    return [fine('public URL', `${publicUrl} leads to natprobed ${health.version}`)];
  const seen = `${publicUrl} does not lead to natprobed from here: ${health}`;
  if (!isRunning) return [doubtful('public URL', seen, 'look again once natprobed runs')];
  return [
    wrong(
      'public URL',
      seen,
      'correct it, the proxy, its certificate or the DNS; natprobe doctor asks from outside',
    ),
  ];
}

const TIMEOUT_MS = 3000;
const MAX_BYTES = 1 << 20;

/** What natprobed says of itself there, or why nothing does. */
async function askHealth(url: URL, isCertificateChecked: boolean): Promise<Health | string> {
  try {
    const { status, text } = await askHttp(new URL('healthz', url), isCertificateChecked);
    if (status !== 200) return `status ${status}`;
    const health = JSON.parse(text) as Partial<Health> | null;
    const isHealth =
      health?.status === 'ok' && typeof health.uptimeMs === 'number' && Array.isArray(health.families);
    return isHealth ? (health as Health) : 'something else answers';
  } catch (error) {
    return error instanceof SyntaxError
      ? 'something else answers'
      : (systemErrorCode(error) ?? String(error));
  }
}

function askHttp(url: URL, isCertificateChecked: boolean): Promise<{ status: number; text: string }> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      rejectUnauthorized: isCertificateChecked,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      agent: false,
      headers: { accept: 'application/json' },
    });
    sent.on('error', reject);
    sent.on('response', (response) => {
      readBoundedText(response as AsyncIterable<Uint8Array>, MAX_BYTES).then(
        (text = '') => resolve({ status: response.statusCode ?? 0, text }),
        reject,
      );
    });
    sent.end();
  });
}
