/** Opens what HTTP serves: the store of reports, and the app over it. */
import type { AddressInfo } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { type Endpoint, type Family, formatEndpoint } from '../shared/endpoint.ts';
import { SERVER_ROLE_NAMES, type ServerRole } from '../shared/role.ts';
import { VERSION } from '../shared/version.ts';
import type { PartnerEndpoints } from './answer/relayed-answer.ts';
import { bindError } from './bind-error.ts';
import type { FamilyConfig, ServerConfig } from './config.ts';
import type { FamilyCounts } from './family-counts.ts';
import type { HttpConfig } from './http/endpoint.ts';
import type { FamilyStatus, HealthOfNats, HealthOfPair, UdpStatus } from './http/status.ts';
import { LISTEN_BACKLOG } from './listen-backlog.ts';
import type { Log } from './log.ts';
import { readAccessSettings } from './http/settings.ts';
import { openTokens } from './http/tokens.ts';
import type { BrokerBus } from './nats/broker-bus.ts';
import type { PairStatus } from './nats/open-pair.ts';
import type { NatsLink } from './nats/open.ts';
import { readPeeringSettings } from './peering/settings.ts';
import { readReportSettings } from './reports/settings.ts';
import type { CertificateSource } from './tls/certificate.ts';
import type { LaneStatus } from './udp/open-udp.ts';
import type { BrowserClassifier } from './udp/browser-classifier.ts';
import { checkWitnesses, checkBrokerWitness } from './witness/check-witnesses.ts';
import type { WitnessKeys } from './witness/witness-keys.ts';

/** What HTTP tells of the rest of the server, and takes from it. */
export interface ServerParts {
  /** What keeps it from its work: sockets that are not all open and tested yet, something that the machine lacks. */
  readonly findFault: () => string | undefined;
  /** Of the families whose sockets are open. */
  readonly counts: () => readonly (readonly [Family, FamilyCounts])[];
  /** What answers UDP, once something does. */
  readonly lanes: () => LaneStatus | undefined;
  readonly witnessKeys: WitnessKeys;
  readonly browsers: BrowserClassifier;
  /** How it stands with the host that this one is paired with. */
  readonly pair?: () => PairStatus;
  readonly nats?: NatsLink;
  /** To the brokers of other servers. */
  readonly bus?: BrokerBus;
  /** Serves HTTPS. */
  readonly certificate?: CertificateSource;
  readonly log: Log;
}

export interface OpenHttp {
  readonly endpoint: Endpoint;
  /** The addresses that it listens on: `localhost` may be two. */
  readonly hosts: readonly string[];
  /** Resolves once the requests under way are answered and all is closed. */
  close(): Promise<void>;
}

/** Undefined if the port that nobody asked for is taken. Rejects as startServer does. */
export async function openHttp(
  { host, port, required }: HttpConfig,
  {
    families,
    publicUrl,
    access = readAccessSettings({}),
    tokens,
    peering = readPeeringSettings({}),
    reports: settings = readReportSettings({}),
  }: ServerConfig,
  { findFault, counts, lanes, witnessKeys, browsers, pair, nats, bus, certificate, log }: ServerParts,
): Promise<OpenHttp | undefined> {
  // Loaded late: they take longer than the rest of the start.
  const [{ buildApp }, { BrokerService }, { openReports }, { openPeering }, { recordPunches }] =
    await Promise.all([
      import('./http/app.ts'),
      import('./http/broker-service.ts'),
      import('./reports/open.ts'),
      import('./peering/open.ts'),
      import('./punches/record-punches.ts'),
    ]);
  const readTokens = openTokens(access.tokenFile, tokens);
  const brokerParts = openPeering(peering);
  const reports = await openReports(settings, log);
  const recordPunch = recordPunches(reports.punches, { now: Date.now, log });
  const startedAt = performance.now();
  const udpHealth = (): { udp?: UdpStatus } => {
    const status = lanes();
    if (status === undefined) return {};
    const { kind, lanes: count, restarts } = status;
    const drops = counts().map(([, { udp }]) => udp.kernelDrops);
    const isKnown = drops.every((count) => count !== undefined);
    return {
      udp: {
        kind,
        lanes: count,
        restarts,
        ...(isKnown && { kernelDrops: drops.reduce((a, b) => a + b, 0) }),
      },
    };
  };
  const app = buildApp({
    health: () => ({
      status: 'ok',
      version: VERSION,
      uptimeMs: Math.round(performance.now() - startedAt),
      families: families.map((family) => describeFamily(family, pair?.().partner)),
      ...udpHealth(),
      ...(pair && { pair: describePair(pair()) }),
      ...(nats && { nats: describeNats(nats, bus) }),
    }),
    async findFault() {
      const fault = findFault();
      if (fault === undefined) await reports.store.check();
      return fault;
    },
    laneCounts: counts,
    laneStatus: lanes,
    ...(pair && { pairStatus: pair }),
    ...(nats && { isNatsUp: () => nats.isUp() }),
    ...(bus && { busStatus: () => bus.status() }),
    reports: {
      store: reports.store,
      keepsAddresses: settings.addresses === 'full',
      checkWitnesses: (witnesses, evidence) => checkWitnesses(witnesses, evidence, witnessKeys, Date.now()),
      ...(publicUrl !== undefined && { publicUrl }),
    },
    browsers,
    browserCounts: () => browsers.counts(),
    broker: new BrokerService({
      checkWitness: (witness, nonce) => checkBrokerWitness(witness, nonce, witnessKeys, Date.now()),
      ...brokerParts,
      ...(bus && { bus }),
      correctPrediction: (pair, prediction) => reports.punches.learned.correct(pair, prediction),
      onEvent: (event) => event.kind === 'punched' && recordPunch(event),
      onError: (error) => log('error', `broker: ${error.stack ?? error.message}`),
    }),
    punches: reports.punches,
    access,
    tokens: readTokens,
    ...(certificate && { tls: certificate.current().options }),
    log,
    onError: (error) => log('error', `HTTP: ${error.stack ?? error.message}`),
  });
  // Connections that stand keep the certificate that they began with.
  certificate?.onChange(({ options }) => (app.server as unknown as TlsServer).setSecureContext(options));
  const close = async (): Promise<void> => {
    await app.close();
    // The last requests have been answered, and so have their reports been kept.
    await reports.close();
  };
  try {
    await app.listen({ host, port, backlog: LISTEN_BACKLOG });
  } catch (error) {
    await close();
    const endpoint = `TCP ${formatEndpoint({ address: host, port })}`;
    const named = bindError(error, { addressFlag: '--http', portFlag: '--http', endpoint });
    if (required) throw named;
    log('warning', `HTTP is off: ${named.message}`);
    return undefined;
  }
  const bound = app.server.address() as AddressInfo;
  const hosts = app.addresses().flatMap((one) => (typeof one === 'string' ? [] : [one.address]));
  return { endpoint: { address: bound.address, port: bound.port }, hosts, close };
}

function describeFamily(
  { family, advertised: [pp, pa, ap, aa] }: FamilyConfig,
  partner: PartnerEndpoints | undefined,
): FamilyStatus {
  const others = partner?.[family] ?? [ap, aa];
  const endpoints = [pp, pa, ...others].flatMap((endpoint, role) =>
    endpoint === undefined
      ? []
      : [[SERVER_ROLE_NAMES[role as ServerRole], formatEndpoint(endpoint)] as const],
  );
  return {
    family,
    mode: others[0] === undefined ? 'one-address' : 'two-address',
    endpoints: Object.fromEntries(endpoints) as FamilyStatus['endpoints'],
  };
}

function describePair({ name, partner, roundTripMs }: PairStatus): HealthOfPair {
  return {
    name,
    partner: partner === undefined ? 'lost' : 'there',
    ...(roundTripMs !== undefined && { roundTripMs: Math.ceil(roundTripMs) }),
  };
}

function describeNats(link: NatsLink, bus: BrokerBus | undefined): HealthOfNats {
  return {
    connection: link.isUp() ? 'there' : 'lost',
    ...(bus && { names: bus.status().hasNames ? 'there' : 'lost' }),
  };
}
