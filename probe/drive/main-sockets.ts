/** The sockets that a peer is registered with at the broker: one a family, each with its witness. */
import { randomBytes } from 'node:crypto';
import { type Candidates, MAX_PRIVATE_CANDIDATES } from '../../shared/broker/messages.ts';
import { type Endpoint, type Family, formatEndpoint } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { GivenWitness } from '../../shared/report/witnesses.ts';
import { errorOf } from '../../shared/thrown.ts';
import {
  createWitnessRequest,
  type WitnessAction,
  type WitnessEvent,
  type WitnessInput,
} from '../punch/witness-request.ts';
import { aborted } from './aborted.ts';
import { allWithGrace } from './grace.ts';
import { privateEndpoints } from './own-addresses.ts';
import type { OpenPunchSocket, PunchSocket } from './punch-socket.ts';
import type { Addresses } from './resolve.ts';
import { createRunner } from './run-machine.ts';
import { openSharedSocket, type SharedSocket } from './shared-socket.ts';
import { NO_ROUTE_CODES, systemErrorCode, type UdpHandlers } from './udp.ts';

export interface MainSocketsOptions<Raw> {
  /** The STUN endpoint of the broker's natprobed, of each family that is to be registered. */
  readonly servers: Addresses;
  /** Of the broker's session, hexadecimal. */
  readonly nonce: string;
  readonly open: OpenPunchSocket<Raw>;
  /** For all families; else the system chooses a fresh one for each. */
  readonly localPort?: number;
  /** For the witnesses. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What a peer names as its candidates, as of the latest witnesses. */
export type OwnCandidates = Pick<Candidates, 'public' | 'private' | 'mapped'>;

export interface MainSockets<Raw> {
  /** Those that saw them, by family. */
  readonly servers: Addresses;
  readonly candidates: OwnCandidates;
  /** One more user of each, who closes it when done: they stay open until the last one has. */
  use(handlersOf: (family: Family) => UdpHandlers): Partial<Record<Family, PunchSocket<Raw>>>;
  /** Witnesses anew, from the same sockets. Rejects as openMainSockets does; the sockets stay open. */
  renew(nonce: string, signal?: AbortSignal): Promise<OwnCandidates>;
  /** From now on these see them. */
  moveTo(servers: Addresses): void;
  /** Registers no more; who else uses them goes on. */
  close(): void;
}

/** At 20 % loss each way so long a series is lost once in 2000 times. */
const TIMEOUT_MS = 3000;
/** Once one family has its witness, the other gets this much longer: a way that is broken is not waited for. */
const OTHER_FAMILY_GRACE_MS = 400;
const FAMILIES: readonly Family[] = ['ipv6', 'ipv4'];

/**
 * Opens a socket for each family that has a server, and has each seen. A family without an answer is
 * left out. Rejects with ERR_UNREACHABLE if none is left, ERR_NO_WITNESS if the server doesn't witness,
 * ERR_LOCAL_PORT, ERR_SOCKET, ERR_ABORTED.
 */
export async function openMainSockets<Raw>(options: MainSocketsOptions<Raw>): Promise<MainSockets<Raw>> {
  const { servers, nonce, signal, timeoutMs = TIMEOUT_MS } = options;
  const mains: Main<Raw>[] = [];
  try {
    const opening = FAMILIES.flatMap((family) => {
      const server = servers[family];
      return server === undefined ? [] : openMain(family, server, options);
    });
    for (const result of await Promise.allSettled(opening)) {
      if (result.status === 'rejected') throw result.reason;
      if (result.value !== undefined) mains.push(result.value);
    }
    await witnessAll(mains, nonce, timeoutMs, signal);
  } catch (error) {
    for (const main of mains) main.close();
    throw error;
  }
  for (const main of mains) if (main.witness === undefined) main.close();
  return mainSocketsOf(
    mains.filter(({ witness }) => witness !== undefined),
    timeoutMs,
  );
}

function mainSocketsOf<Raw>(mains: readonly Main<Raw>[], timeoutMs: number): MainSockets<Raw> {
  const candidates = (): OwnCandidates => {
    const witnessed = mains.filter(({ witness }) => witness !== undefined);
    return {
      public: witnessed.map(({ witness }) => witness!),
      private: witnessed
        .flatMap(({ family, local }) => privateEndpoints(family, local))
        .slice(0, MAX_PRIVATE_CANDIDATES),
      mapped: [],
    };
  };
  return {
    get servers() {
      return Object.fromEntries(mains.map(({ family, server }) => [family, server]));
    },
    get candidates() {
      return candidates();
    },
    use: (handlersOf) =>
      Object.fromEntries(mains.map((main) => [main.family, main.socket.use(handlersOf(main.family))])),
    async renew(nonce, signal) {
      await witnessAll(mains, nonce, timeoutMs, signal);
      return candidates();
    },
    moveTo(servers) {
      for (const main of mains) main.server = servers[main.family] ?? main.server;
    },
    close: () => {
      for (const main of mains) main.close();
    },
  };
}

/** Undefined where the machine has no way there. */
async function openMain<Raw>(
  family: Family,
  server: Endpoint,
  { open, localPort = 0 }: MainSocketsOptions<Raw>,
): Promise<Main<Raw> | undefined> {
  try {
    return new Main(family, server, await openSharedSocket(open, family, localPort, server));
  } catch (error) {
    const code = systemErrorCode(error);
    if (NO_ROUTE_CODES.has(code)) return undefined;
    throw localPort !== 0 && (code === 'EADDRINUSE' || code === 'EACCES')
      ? new NatprobeError('ERR_LOCAL_PORT', `local port ${localPort}`, code, { cause: error })
      : new NatprobeError('ERR_SOCKET', formatEndpoint(server), code, { cause: error });
  }
}

/** Has each seen anew. Rejects if the server doesn't see any. */
async function witnessAll<Raw>(
  mains: readonly Main<Raw>[],
  nonce: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const end = new AbortController();
  const run = { nonce, timeoutMs, signal: AbortSignal.any([end.signal, ...(signal ? [signal] : [])]) };
  try {
    const events = await allWithGrace(
      mains.map((main) => main.askForWitness(run)),
      ({ kind }) => kind === 'witnessed',
      () => OTHER_FAMILY_GRACE_MS,
    );
    if (events.some((event) => event?.kind === 'witnessed')) return;
    const place = mains.map(({ server }) => formatEndpoint(server)).join(', ') || 'server';
    if (events.some((event) => event?.kind === 'unwitnessed'))
      throw new NatprobeError('ERR_NO_WITNESS', place);
    throw new NatprobeError(
      'ERR_UNREACHABLE',
      place,
      mains.length === 0 ? 'no way there' : 'no answer over UDP',
    );
  } finally {
    end.abort();
  }
}

interface WitnessRun {
  readonly nonce: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

class Main<Raw> {
  readonly family: Family;
  /** Which sees it. */
  server: Endpoint;
  readonly socket: SharedSocket<Raw>;
  /** Of the latest request; undefined unless it was answered with one. */
  witness: GivenWitness | undefined;
  readonly #registration: PunchSocket<Raw>;
  #onDatagram: UdpHandlers['onDatagram'] = () => undefined;

  constructor(family: Family, server: Endpoint, socket: SharedSocket<Raw>) {
    this.family = family;
    this.server = server;
    this.socket = socket;
    this.#registration = socket.use({
      onDatagram: (from, bytes) => this.#onDatagram(from, bytes),
      // A refusal is like silence: the server may be starting.
      onRefused: () => undefined,
    });
  }

  get local(): Endpoint {
    return this.#registration.local;
  }

  close(): void {
    this.#registration.close();
  }

  /** Rejects with ERR_ABORTED. */
  askForWitness({ nonce, timeoutMs, signal }: WitnessRun): Promise<WitnessEvent> {
    this.witness = undefined;
    return new Promise((resolve, reject) => {
      const server = this.server;
      const machine = createWitnessRequest(
        { server, nonce: Buffer.from(nonce, 'hex'), timeoutMs, random: randomBytes },
        performance.now(),
      );
      const runner = createRunner<WitnessInput, WitnessAction, WitnessEvent>(machine, {
        perform: ({ to, bytes }) => this.#registration.send(to, bytes),
        emit: (event) => {
          if (event.kind === 'witnessed') this.witness = event.witness;
          end(() => resolve(event));
        },
        fail: (error) => end(() => reject(errorOf(error))),
      });
      const handleAbort = (): void => end(() => reject(aborted('registration', signal)));
      const end = (settle: () => void): void => {
        runner.stop();
        signal.removeEventListener('abort', handleAbort);
        this.#onDatagram = () => undefined;
        settle();
      };
      this.#onDatagram = (from, bytes) => runner.deliver({ kind: 'datagram', from, bytes });
      signal.addEventListener('abort', handleAbort, { once: true });
      if (signal.aborted) handleAbort();
      else runner.start();
    });
  }
}
