/** The library's measureLifetime(): how long a UDP mapping lives without traffic. */
import { randomBytes } from 'node:crypto';
import { formatEndpoint, parseHostPort, type Endpoint, type Family } from '../shared/endpoint.ts';
import { NatprobeError } from '../shared/errors.ts';
import type { Evidence } from '../shared/nat/evidence.ts';
import { assessLifetime, type LifetimeAxis } from '../shared/nat/lifetime.ts';
import { createInquiry } from './classify/inquiry.ts';
import {
  DEFAULT_LIFETIME_MAX_MS,
  DEFAULT_LIFETIME_RESOLUTION_MS,
  lifetimeTimeoutMs,
  MAX_LIFETIME_INTERVALS,
  planLifetime,
} from './classify/inquiries/lifetime.ts';
import { resolveServers } from './drive/resolve.ts';
import { runProbe } from './drive/run-probe.ts';

const RESOLVE_TIMEOUT_MS = 10_000;
const PACE_MS = 5;

export interface LifetimeOptions {
  /** A natprobed: `HOST`, `HOST:PORT`, `[V6]:PORT`. */
  readonly server: string;
  /** IPv4 if the server has such an address, else IPv6. */
  readonly family?: Family;
  /** The longest time without traffic to try; 185 s if not given. The run takes that and a few seconds. */
  readonly maxMs?: number;
  /** From one time tried to the next; 5 s if not given. */
  readonly resolutionMs?: number;
  readonly signal?: AbortSignal;
  /** Ends the run early: it resolves with what is known by then. */
  readonly concludeSignal?: AbortSignal;
  /** Called now and then with how much of the run is over, 0 to 1. */
  readonly onProgress?: (done: number) => void;
}

/** `natprobe/lifetime@1`. */
export interface LifetimeReport {
  readonly schema: 'natprobe/lifetime@1';
  readonly family: Family;
  /** The endpoint asked. */
  readonly server: string;
  readonly lifetime: LifetimeAxis;
  readonly timing: { readonly totalMs: number };
  readonly evidence: readonly Evidence[];
}

/**
 * Measures how long a UDP mapping lives (RFC 5780 section 4.6). Rejects with a NatprobeError:
 * ERR_ENDPOINT, ERR_RESOLVE, ERR_NUMBER for times that can't be tried, ERR_UNREACHABLE if the server
 * does not answer over UDP, ERR_ABORTED.
 */
export async function measureLifetime(options: LifetimeOptions): Promise<LifetimeReport> {
  const { maxMs = DEFAULT_LIFETIME_MAX_MS, resolutionMs = DEFAULT_LIFETIME_RESOLUTION_MS } = options;
  if (!(maxMs > 0 && resolutionMs > 0 && maxMs / resolutionMs <= MAX_LIFETIME_INTERVALS)) {
    const detail = `${maxMs} ms in steps of ${resolutionMs} ms; at most ${MAX_LIFETIME_INTERVALS} steps`;
    throw new NatprobeError('ERR_NUMBER', 'maxMs and resolutionMs', detail);
  }
  const server = await chooseServer(options);
  const context = { server, maxMs, resolutionMs };
  const family: Family = server.address.includes(':') ? 'ipv6' : 'ipv4';
  const machine = createInquiry(
    {
      family,
      servers: [server],
      timeoutMs: lifetimeTimeoutMs(context, PACE_MS),
      paceMs: PACE_MS,
      random: randomBytes,
    },
    planLifetime(context),
  );
  const startedAt = performance.now();
  const { evidence } = await runProbe(machine, {
    ...(options.signal && { signal: options.signal }),
    ...(options.concludeSignal && { concludeSignal: options.concludeSignal }),
    ...(options.onProgress && { onProgress: options.onProgress }),
  });
  const heard = evidence.some((item) => item.kind === 'binding' && item.replies.length > 0);
  if (!heard && options.concludeSignal?.aborted !== true) {
    throw new NatprobeError('ERR_UNREACHABLE', formatEndpoint(server), 'no answer over UDP');
  }
  return {
    schema: 'natprobe/lifetime@1',
    family,
    server: formatEndpoint(server),
    lifetime: assessLifetime(evidence),
    timing: { totalMs: Math.round(performance.now() - startedAt) },
    evidence,
  };
}

async function chooseServer({ server, family }: LifetimeOptions): Promise<Endpoint> {
  const { addresses } = await resolveServers([parseHostPort(server, 'server')], RESOLVE_TIMEOUT_MS);
  const [first] = addresses;
  const endpoint = family === undefined ? (first?.ipv4 ?? first?.ipv6) : first?.[family];
  if (endpoint === undefined) {
    throw new NatprobeError('ERR_UNREACHABLE', server, `it has no ${family ?? 'usable'} address`);
  }
  return endpoint;
}
