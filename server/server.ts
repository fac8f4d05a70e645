/** The server as a whole: opens the lanes and HTTP for a configuration, tests itself, and stops again. */
import type { AddressInfo } from 'node:net';
import { type Endpoint, formatEndpoint } from '../shared/endpoint.ts';
import { SERVER_ROLES, SERVER_ROLE_NAMES } from '../shared/role.ts';
import { VERSION } from '../shared/version.ts';
import { AnswerCore } from './answer/answer-core.ts';
import { WitnessMaker } from './answer/witness.ts';
import type { AnswerCounts } from './answer/answer-counters.ts';
import { bindError } from './bind-error.ts';
import type { FamilyConfig, HttpConfig, ServerConfig } from './config.ts';
import type { FamilyStatus, Health } from './http/status.ts';
import { type Log, SILENT_LOG } from './log.ts';
import { readReportSettings } from './reports/settings.ts';
import { testFamily } from './self-test.ts';
import {
  ConnectionCount,
  type ConnectionLimits,
  DEFAULT_CONNECTION_LIMITS,
} from './tcp/connection-limits.ts';
import { DEFAULT_DIAL_LIMITS, type DialCounts, type DialLimits } from './tcp/dial-back.ts';
import type { TcpCounts } from './tcp/stun-connection.ts';
import { openTcpLane } from './tcp/tcp-lane.ts';
import type { SendCounts } from './udp/answer-sender.ts';
import { openUdpLane } from './udp/udp-lane.ts';
import { openWitnessKeys } from './witness-key-source.ts';

export interface ServerOptions {
  readonly log?: Log;
  readonly connectionLimits?: ConnectionLimits;
  readonly dialLimits?: DialLimits;
}

/** Counts of one family since the start. */
export interface FamilyCounts {
  readonly udp: AnswerCounts & { readonly sends: Readonly<SendCounts> };
  readonly tcp: AnswerCounts & {
    readonly connections: Readonly<TcpCounts>;
    readonly dials: Readonly<DialCounts>;
  };
}

export interface RunningServer {
  readonly families: readonly FamilyConfig[];
  /** Where HTTP listens; undefined if it is off. */
  readonly http: Endpoint | undefined;
  /** In the order of `families`. */
  counts(): readonly FamilyCounts[];
  /** Stops answering at once; resolves when everything is closed. */
  stop(): Promise<void>;
}

interface Closable {
  close(): Promise<void>;
}

/**
 * Starts the server; what has been opened is closed again if a part fails. Rejects with
 * ERR_PORT_IN_USE, ERR_PORT_FORBIDDEN, ERR_ADDRESS_NOT_LOCAL, ERR_SOCKET, ERR_WITNESS_KEYS, ERR_DATA or ERR_SELF_TEST.
 */
export async function startServer(config: ServerConfig, options: ServerOptions = {}): Promise<RunningServer> {
  const log = options.log ?? SILENT_LOG;
  const connections = options.connectionLimits ?? DEFAULT_CONNECTION_LIMITS;
  const dials = options.dialLimits ?? DEFAULT_DIAL_LIMITS;
  const tcpLimits = {
    connections,
    connectionCount: new ConnectionCount(connections),
    dials,
    dialCount: new ConnectionCount(dials),
  };
  const open: Closable[] = [];
  const counters: (() => FamilyCounts)[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(open.map((part) => part.close()));
  };
  try {
    const witnessKeys = openWitnessKeys(config.witnessKeyFile, log);
    open.push(witnessKeys);
    const witness = new WitnessMaker(witnessKeys.keys, Date.now);
    const http = config.http && (await openHttp(config.http, config, log));
    if (http !== undefined) open.push(http);
    // Where HTTP could not be had, somebody else may have that port.
    const service = config.http !== undefined && http === undefined ? undefined : config.service;
    for (const family of config.families) {
      const udpCore = createCore(family, { service, witness });
      const tcpCore = createCore(family, { service, witness });
      const udp = await openUdpLane(family, udpCore);
      open.push(udp);
      const tcp = await openTcpLane(family, tcpCore, tcpLimits);
      open.push(tcp);
      counters.push(() => ({
        udp: { ...udpCore.counters.snapshot(), sends: { ...udp.counts } },
        tcp: { ...tcpCore.counters.snapshot(), connections: { ...tcp.counts }, dials: { ...tcp.dials } },
      }));
    }
    if (config.selfTest) await Promise.all(config.families.map(testFamily));
    return {
      families: config.families,
      http: http?.endpoint,
      counts: () => counters.map((count) => count()),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function createCore(
  family: FamilyConfig,
  { service, witness }: { service: ServerConfig['service']; witness: WitnessMaker },
): AnswerCore {
  return new AnswerCore({
    family: family.family,
    endpoints: family.advertised,
    bound: family.bound.filter((endpoint) => endpoint !== undefined),
    ...(service !== undefined && { service }),
    witness,
  });
}

/** Undefined if the port that nobody asked for is taken. */
async function openHttp(
  { host, port, required }: HttpConfig,
  { families, reports: settings = readReportSettings({}) }: ServerConfig,
  log: Log,
): Promise<(Closable & { endpoint: Endpoint }) | undefined> {
  // Loaded late: they take longer than the rest of the start.
  const [{ buildApp }, { openReports }] = await Promise.all([
    import('./http/app.ts'),
    import('./reports/open.ts'),
  ]);
  const reports = await openReports(settings, log);
  const startedAt = performance.now();
  const familyStatus = families.map(describeFamily);
  const app = buildApp({
    health: (): Health => ({
      status: 'ok',
      version: VERSION,
      uptimeMs: Math.round(performance.now() - startedAt),
      families: familyStatus,
    }),
    onError: (error) => log('error', `HTTP: ${error.stack ?? error.message}`),
  });
  const close = async (): Promise<void> => {
    await app.close();
    // The last requests have been answered, and so have their reports been kept.
    await reports.close();
  };
  try {
    await app.listen({ host, port });
  } catch (error) {
    await close();
    const endpoint = `TCP ${formatEndpoint({ address: host, port })}`;
    const named = bindError(error, { addressFlag: '--http', portFlag: '--http', endpoint });
    if (required) throw named;
    log('warning', `HTTP is off: ${named.message}`);
    return undefined;
  }
  const bound = app.server.address() as AddressInfo;
  return { endpoint: { address: bound.address, port: bound.port }, close };
}

function describeFamily({ family, advertised }: FamilyConfig): FamilyStatus {
  const endpoints = SERVER_ROLES.flatMap((role) => {
    const endpoint = advertised[role];
    return endpoint === undefined ? [] : [[SERVER_ROLE_NAMES[role], formatEndpoint(endpoint)] as const];
  });
  return {
    family,
    mode: advertised[2] === undefined ? 'one-address' : 'two-address',
    endpoints: Object.fromEntries(endpoints) as FamilyStatus['endpoints'],
  };
}
