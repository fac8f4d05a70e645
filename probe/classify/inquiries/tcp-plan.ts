/** The plan of the TCP inquiry: from what has been seen so far, what is still wanted and whether it is over. Pure data. */
import { type Endpoint, sameEndpoint } from '../../../shared/endpoint.ts';
import type { TcpBindingEvidence, TcpDialEvidence } from '../../../shared/nat/evidence.ts';
import { silenceNeeded } from '../../../shared/nat/silence.ts';
import { assessTcpMapping } from '../../../shared/nat/tcp.ts';
import { lateAfterMs, stateOfDials, type TcpObservations } from '../../../shared/nat/tcp-dials.ts';
import { REQUIRED_CONFIDENCE } from '../../../shared/nat/verdict.ts';
import { DIAL_ORIGINS, type DialOrigin } from '../../../shared/stun/attributes/dial-back.ts';

export interface TcpContext {
  /** The server's primary endpoint, and its other address and port if known beforehand. */
  readonly server: Endpoint;
  readonly other?: Endpoint | undefined;
  readonly timeoutMs: number;
  /** Filtering sockets whose listener stands; and sockets that can't be used. */
  readonly listening: ReadonlySet<string>;
  readonly failed: ReadonlySet<string>;
}

export interface TcpPlan {
  /** One is begun in each pacing slot, in this order. */
  readonly connects: readonly TcpConnect[];
  /** To be asked for at once. */
  readonly dials: readonly TcpDialPlan[];
  /** When waiting alone would change the plan, in milliseconds since the run began. */
  readonly wakeMs: number | undefined;
  readonly finished: boolean;
}

export interface TcpConnect {
  readonly socket: string;
  readonly purpose: TcpBindingEvidence['purpose'];
  readonly to: Endpoint;
}

export interface TcpDialPlan {
  readonly socket: string;
  readonly origin: DialOrigin;
  readonly timeoutMs: number;
}

/** Enough that the silence of one dial to each excludes loss on a clean path (shared/nat/silence.ts). */
const FILTERING_PORTS = 5;
/** With those that stand in for connections whose SYN was lost. */
const MAX_FILTERING_PORTS = 8;
/** Two of three decide. */
const MAX_MAPPING_PORTS = 3;
/** If nothing has connected by then, after three SYNs, nothing will (RFC 6298 §2.1). */
const UNREACHED_AFTER_MS = 3500;
/** How long a dial is to wait, on top of two round trips: less than the second after which SYNs are repeated. */
const DIAL_TIMEOUT_MS = 800;
/** A server that is busy with others' dials is asked again after this, so often. */
const DECLINED_PAUSE_MS = 300;
const MAX_DECLINED = 6;
/** A handshake whose last segment was lost is completed by the next one, the server's FIN; a loss of that costs 200 ms. */
const ACCEPT_GRACE_MS = 500;

export function planTcp(observations: TcpObservations, context: TcpContext): TcpPlan {
  const { nowMs, rttMs } = observations;
  if (nowMs >= context.timeoutMs || (rttMs === undefined && nowMs >= UNREACHED_AFTER_MS)) return FINISHED;
  const mapping = planMapping(observations, context);
  const filtering = planFiltering(observations, context);
  if (mapping.settled && filtering.settled) return FINISHED;
  const wakes = [context.timeoutMs, UNREACHED_AFTER_MS, ...mapping.wakes, ...filtering.wakes];
  return {
    // Dials take the longest.
    connects: [...filtering.connects, ...mapping.connects],
    dials: filtering.dials,
    wakeMs: Math.min(...wakes.filter((wakeMs) => wakeMs > nowMs)),
    finished: false,
  };
}

/** How much of it is done, 0 to 1: nearly all of the time goes into dials. */
export function tcpProgress({ dials }: TcpObservations): number {
  const ended = dials.filter(({ outcome }) => outcome !== 'pending').length;
  return Math.min(1, ended / Math.max(dials.length, DIAL_ORIGINS.length * FILTERING_PORTS));
}

const FINISHED: TcpPlan = { connects: [], dials: [], wakeMs: undefined, finished: true };

interface PartPlan {
  readonly connects: readonly TcpConnect[];
  readonly wakes: readonly number[];
  readonly settled: boolean;
}

/** Compares what one port is seen as; a further port confirms a dependence, or stands in where a SYN was lost. */
function planMapping(observations: TcpObservations, context: TcpContext): PartPlan {
  const endpoints = endpointsOf(observations, context);
  const bindings = observations.bindings.filter(({ purpose }) => purpose === 'mapping');
  const sockets = socketNames('mapping', MAX_MAPPING_PORTS).filter((name) => !context.failed.has(name));
  const started = sockets.filter(
    (name, index) => index === 0 || bindings.some(({ socket }) => socket === name),
  );
  const missing = (socket: string): TcpConnect[] =>
    endpoints
      .filter((to) => !bindings.some((item) => item.socket === socket && sameEndpoint(item.to, to)))
      .map((to) => ({ socket, purpose: 'mapping', to }));
  const connects = started.flatMap(missing);
  const wakes = bindings.flatMap((binding) => awaitedUntilMs(observations, binding) ?? []);
  if (connects.length > 0 || wakes.length > 0) return { connects, wakes, settled: false };

  const { mapping, wantsConfirmation } = assessTcpMapping(observations);
  if (mapping !== 'unknown' && mapping !== 'dependent' && !wantsConfirmation)
    return { connects, wakes, settled: true };
  const late = bindings.some(isOpen);
  const next = sockets[started.length];
  if ((wantsConfirmation || late) && next !== undefined)
    return { connects: missing(next), wakes, settled: false };
  return { connects, wakes, settled: !late };
}

/** Dials from both addresses to each port, and again where their silence does not yet exclude loss. */
function planFiltering(
  observations: TcpObservations,
  context: TcpContext,
): PartPlan & { readonly dials: readonly TcpDialPlan[] } {
  const bindings = observations.bindings.filter(({ purpose }) => purpose === 'filtering');
  const awaited = bindings.flatMap((binding) => awaitedUntilMs(observations, binding) ?? []);
  const late = bindings.filter(isOpen).length - awaited.length;
  const connects = socketNames('filtering', Math.min(FILTERING_PORTS + late, MAX_FILTERING_PORTS))
    .filter((name) => !context.failed.has(name) && !bindings.some(({ socket }) => socket === name))
    .map((socket): TcpConnect => ({ socket, purpose: 'filtering', to: context.server }));

  const alive = bindings.filter(
    ({ socket, outcome }) =>
      (outcome === 'connected' || outcome === 'answered') && !context.failed.has(socket),
  );
  const usable = alive.filter(({ socket }) => context.listening.has(socket));
  const origins = DIAL_ORIGINS.map((origin) => planDials(observations, origin, usable));
  const settled =
    stateOfDials(observations, 'other-address').kind === 'let-in' || origins.every((plan) => plan.settled);
  const nothingComes = connects.length === 0 && alive.length === usable.length && !bindings.some(isOpen);
  return {
    connects,
    dials: origins.flatMap(({ dials }) => dials),
    wakes: [...awaited, ...origins.flatMap(({ wakes }) => wakes)],
    settled: settled || (nothingComes && origins.every((plan) => plan.settled || plan.stuck)),
  };
}

interface DialsPlan {
  readonly dials: readonly TcpDialPlan[];
  readonly wakes: readonly number[];
  readonly settled: boolean;
  /** Nothing is under way, and there is no port to ask for more. */
  readonly stuck: boolean;
}

function planDials(
  observations: TcpObservations,
  origin: DialOrigin,
  usable: readonly TcpBindingEvidence[],
): DialsPlan {
  const { nowMs, paceMs, path } = observations;
  const sofar = observations.dials.filter((dial) => dial.origin === origin);
  const pending = sofar.filter(
    ({ socket, outcome }) => outcome === 'pending' && usable.some((port) => port.socket === socket),
  );
  const state = stateOfDials(observations, origin);
  if (state.kind === 'elsewhere') {
    const graces = sofar.map(({ atMs, tookMs = 0 }) => atMs + tookMs + ACCEPT_GRACE_MS);
    const wakes = graces.filter((untilMs) => untilMs > nowMs);
    return { dials: [], wakes, settled: wakes.length === 0 && pending.length === 0, stuck: false };
  }
  const isOver = state.kind !== 'open' && !(state.kind === 'unavailable' && state.why === 'not-asked');
  if (isOver) return { dials: [], wakes: [], settled: true, stuck: false };
  const dials: TcpDialPlan[] = [];
  const wakes: number[] = [];
  const needed = silenceNeeded(path, REQUIRED_CONFIDENCE);
  const silent = sofar.filter(({ outcome }) => outcome === 'timeout').length;
  const enough = pending.length > 0 && pending.length + silent >= needed;
  // One in a pacing slot: a burst of loss takes neighbours together.
  const slotMs = Math.max(0, ...sofar.map(({ atMs }) => atMs + paceMs));
  for (const port of usable) {
    const own = sofar.filter(({ socket }) => socket === port.socket);
    if (own.length > 0 && enough) continue;
    const againMs = Math.max(slotMs, askAgainMs(own));
    if (againMs > nowMs) {
      wakes.push(againMs);
      continue;
    }
    dials.push({ socket: port.socket, origin, timeoutMs: dialTimeoutMs(observations) });
    wakes.push(nowMs + paceMs);
    break;
  }
  const stuck = dials.length === 0 && pending.length === 0 && wakes.every((wakeMs) => wakeMs === Infinity);
  return { dials, wakes, settled: false, stuck };
}

/** When the next dial may be asked for on a port that has asked for these: one at a time, and not where the server can't. */
function askAgainMs(own: readonly TcpDialEvidence[]): number {
  const declined = own.filter(({ outcome }) => outcome === 'declined');
  const canAsk = own.every(({ outcome }) => outcome === 'timeout' || outcome === 'declined');
  if (!canAsk || declined.length >= MAX_DECLINED) return Infinity;
  return Math.max(0, ...declined.map(({ atMs }) => atMs + DECLINED_PAUSE_MS));
}

function dialTimeoutMs({ rttMs = 0 }: TcpObservations): number {
  return Math.ceil(DIAL_TIMEOUT_MS + 2 * rttMs);
}

/** The four endpoints; the primary one alone while or where no other is known. */
function endpointsOf({ bindings }: TcpObservations, { server, other }: TcpContext): readonly Endpoint[] {
  const named =
    other ??
    bindings.find(
      (binding) =>
        sameEndpoint(binding.to, server) &&
        binding.other !== undefined &&
        binding.other.address !== server.address &&
        binding.other.port !== server.port,
    )?.other;
  if (named === undefined) return [server];
  return [
    server,
    named,
    { address: named.address, port: server.port },
    { address: server.address, port: named.port },
  ];
}

/** Whether something may still be heard of it: of a filtering port that listens its dials tell. */
function isOpen({ purpose, outcome }: TcpBindingEvidence): boolean {
  return outcome === 'pending' || (outcome === 'connected' && purpose === 'mapping');
}

/** Until when the next step of an open connection would be in time; undefined if it is late, or not open. */
function awaitedUntilMs({ nowMs, rttMs }: TcpObservations, binding: TcpBindingEvidence): number | undefined {
  if (!isOpen(binding)) return undefined;
  if (rttMs === undefined) return Infinity;
  const untilMs = binding.atMs + (binding.connectMs ?? 0) + lateAfterMs(rttMs);
  return untilMs > nowMs ? untilMs : undefined;
}

function socketNames(purpose: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => (index === 0 ? purpose : `${purpose}-${index + 1}`));
}
