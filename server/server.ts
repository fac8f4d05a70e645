/** The server as a whole: opens the lanes and HTTP for a configuration, tests itself, and stops again. */
import { randomBytes } from 'node:crypto';
import type { Endpoint } from '../shared/endpoint.ts';
import { AnswerCore } from './answer/answer-core.ts';
import { WitnessMaker } from './answer/witness.ts';
import type { FamilyConfig, ServerConfig } from './config.ts';
import type { FamilyCounts, StreamCounts } from './family-counts.ts';
import { isServiceAt } from './http/endpoint.ts';
import { type Log, SILENT_LOG } from './log.ts';
import * as machine from './machine.ts';
import { type MachineFacts, MachineWatch } from './machine-watch.ts';
import type { BrokerBus } from './nats/broker-bus.ts';
import type { NatsLink } from './nats/open.ts';
import { type OpenHttp, openHttp } from './open-http.ts';
import { testFamily, testTlsFamily } from './self-test.ts';
import {
  ConnectionCount,
  type ConnectionLimits,
  DEFAULT_CONNECTION_LIMITS,
} from './tcp/connection-limits.ts';
import { DEFAULT_DIAL_LIMITS, type DialLimits } from './tcp/dial-back.ts';
import { openTcpLane, type TcpLane } from './tcp/tcp-lane.ts';
import { openCertificate } from './tls/certificate.ts';
import { BrowserClassifier } from './udp/browser-classifier.ts';
import { type LaneStatus, openUdp, type UdpFamily } from './udp/open-udp.ts';
import type { StartWorker } from './udp/batched/lane.ts';
import { openWitnessKeys } from './witness-key-source.ts';

export interface ServerOptions {
  readonly log?: Log;
  readonly connectionLimits?: ConnectionLimits;
  readonly dialLimits?: DialLimits;
  /** What the machine has while the server runs. */
  readonly machine?: MachineFacts;
  /** How the threads of lanes are started. */
  readonly startWorker?: StartWorker;
}

export interface RunningServer {
  readonly families: readonly FamilyConfig[];
  /** Where HTTP listens; undefined if it is off. */
  readonly http: Endpoint | undefined;
  /** In the order of `families`. */
  counts(): readonly FamilyCounts[];
  /** What answers UDP. */
  lanes(): LaneStatus;
  /** Reads again what may have changed: the certificate. */
  reload(): Promise<void>;
  /** Finishes the HTTP requests under way, then stops answering; resolves when everything is closed. */
  stop(): Promise<void>;
}

interface Closable {
  close(): Promise<void>;
}

/**
 * Starts the server; what has been opened is closed again if a part fails. Rejects with
 * ERR_PORT_IN_USE, ERR_PORT_FORBIDDEN, ERR_ADDRESS_NOT_LOCAL, ERR_SOCKET, ERR_WITNESS_KEYS, ERR_TLS,
 * ERR_TOKENS, ERR_KEY_FILE, ERR_DATA or ERR_SELF_TEST.
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
  let isReady = false;
  let http: OpenHttp | undefined;
  let laneStatus: (() => LaneStatus) | undefined;
  let closePair: (() => Promise<void>) | undefined;
  const stop = async (): Promise<void> => {
    isReady = false;
    // While there is NATS to say so, and while what the partner has under way can still be sent.
    await closePair?.();
    // First, since a browser's measuring that is under way needs the lanes.
    await http?.close();
    await Promise.all(open.map((part) => part.close()));
  };
  try {
    const browserFamily = familyForBrowsers(config.families);
    const witnessKeys = openWitnessKeys(config.witnessKeyFile, log);
    open.push(witnessKeys);
    const witness = new WitnessMaker(witnessKeys.keys, Date.now);
    // Loaded where it is asked for: it takes a while.
    const nats = config.nats && (await import('./nats/open.ts')).openNats(config.nats, log);
    if (nats !== undefined) open.push(nats);
    const pair =
      config.pair &&
      nats &&
      (await import('./nats/open-pair.ts')).openPair({
        settings: config.pair,
        families: config.families,
        link: nats,
        keys: witnessKeys.keys,
        log,
      });
    closePair = pair && (() => pair.close());
    const browsers = new BrowserClassifier(browserFamily);
    open.push(browsers);
    const watch = new MachineWatch(config.families, options.machine ?? machine, log);
    open.push(watch);
    const certificate = config.tls && (await openCertificate(config.tls, log));
    if (certificate !== undefined) open.push(certificate);
    http =
      config.http &&
      (await openHttp(config.http, config, {
        findFault: () => (isReady ? watch.findFault() : 'its STUN sockets are not all open yet'),
        lanes: () => laneStatus?.(),
        counts: () => counters.map((count, index) => [config.families[index]!.family, count()]),
        witnessKeys: witnessKeys.keys,
        browsers,
        ...(certificate && { certificate }),
        ...(pair && { pair: () => pair.status() }),
        ...(nats && { nats }),
        // The NATS of a pair need have no JetStream, without which names can't be shared.
        ...(nats && config.pair === undefined && { bus: await openBus(nats, log) }),
        log,
      }));
    // Where HTTP could not be had, somebody else may have that port.
    const service = config.http !== undefined && http === undefined ? undefined : config.service;
    const place = { publicUrl: config.publicUrl, hosts: http?.hosts };
    const answersOf = (family: FamilyConfig): UdpFamily['answers'] => ({
      family: family.family,
      endpoints: family.advertised,
      bound: family.bound.filter((endpoint) => endpoint !== undefined),
      ...(service !== undefined && isServiceAt(family.bound[0].address, place) && { service }),
    });
    const udp = await openUdp(
      {
        families: config.families.map((family) => ({ config: family, answers: answersOf(family) })),
        lanes: config.lanes ?? 0,
        witnessKeys: witnessKeys.keys,
        witness,
        tap: { family: browserFamily, tap: browsers },
        ...(config.answerLimits && { limits: config.answerLimits }),
        ...(pair && { relay: (answer) => pair.relay(answer) }),
        log,
      },
      options.startWorker,
    );
    open.push(udp);
    laneStatus = () => udp.status();
    const tcpCores: AnswerCore[] = [];
    for (const [index, family] of config.families.entries()) {
      const tcpCore = new AnswerCore({ ...answersOf(family), witness });
      tcpCores.push(tcpCore);
      const tcp = await openTcpLane(family, tcpCore, tcpLimits);
      open.push(tcp);
      let countTls: (() => StreamCounts) | undefined;
      const tlsFamily = config.tls?.families[index];
      if (tlsFamily !== undefined && certificate !== undefined) {
        const core = new AnswerCore({ ...answersOf(tlsFamily), witness });
        const tls = await openTcpLane(tlsFamily, core, tcpLimits, () => certificate.current().context);
        open.push(tls);
        countTls = () => countStream(core, tls);
      }
      counters.push(() => ({
        udp: udp.counts(index),
        tcp: countStream(tcpCore, tcp),
        ...(countTls && { tls: countTls() }),
      }));
    }
    if (config.selfTest) {
      await Promise.all([
        ...config.families.map(testFamily),
        ...(config.tls?.families ?? []).map(testTlsFamily),
      ]);
    }
    isReady = true;
    pair?.start({
      relayed: (family) => udp.relayed(family),
      usePartner(partner) {
        udp.usePartner(partner);
        for (const core of tcpCores) core.usePartner(partner?.[core.family]);
      },
    });
    return {
      families: config.families,
      http: http?.endpoint,
      counts: () => counters.map((count) => count()),
      lanes: () => udp.status(),
      reload: async () => certificate?.reload(),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** To the brokers of other servers: under another name each time it starts. */
async function openBus(nats: NatsLink, log: Log): Promise<BrokerBus> {
  const { openBrokerBus } = await import('./nats/broker-bus.ts');
  return openBrokerBus(nats, randomBytes(12).toString('base64url'), log);
}

function countStream({ counters }: AnswerCore, { counts, dials }: TcpLane): StreamCounts {
  return { ...counters.snapshot(), connections: { ...counts }, dials: { ...dials } };
}

/** Pages are measured over one family: one with two addresses, which tells all, and rather IPv4. */
function familyForBrowsers(families: readonly FamilyConfig[]): FamilyConfig {
  return families.find(({ bound }) => bound[2] !== undefined) ?? families[0]!;
}
