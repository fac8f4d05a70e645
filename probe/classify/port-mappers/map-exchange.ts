/** Asks one port mapper for a mapping, or to remove it: one exchange by NAT-PMP or PCP, several by UPnP. */
import type { Machine } from '../../../shared/machine.ts';
import type { PortMapperProtocol } from '../../../shared/nat/evidence.ts';
import {
  decodeActionAnswer,
  encodeAddAction,
  encodeDeleteAction,
  encodeExternalAddressAction,
  encodeLookupAction,
  errorOfFault,
  externalAddressOf,
  type HttpAnswer,
  type HttpRequest,
  IGD_FAULT,
  type IgdAnswer,
  type IgdService,
} from '../../../shared/portmap/igd.ts';
import type { MapAnswer, MapRequest } from '../../../shared/portmap/mapping.ts';
import { decodeNatPmpMapAnswer, encodeNatPmpMapRequest } from '../../../shared/portmap/nat-pmp.ts';
import { decodePcpMapAnswer, encodePcpMapRequest } from '../../../shared/portmap/pcp.ts';
import type { PortMapperAction, PortMapperInput } from './io.ts';

export interface MapExchangeOptions {
  readonly protocol: PortMapperProtocol;
  /** For UPnP. */
  readonly service?: IgdService;
  /** A lifetime of 0 removes the mapping, by the external port that it has. */
  readonly request: MapRequest;
  /** For PCP: the same 12 bytes as in the request that made the mapping. */
  readonly nonce: Uint8Array;
  /** External ports to try in turn where the router can't choose one itself (UPnP): the first is the request's. */
  readonly otherPorts: readonly number[];
}

export type MapExchangeEvent =
  /** UPnP only: this port is about to be asked for, and may be mapped even if no answer comes. */
  | { readonly kind: 'asking'; readonly externalPort: number }
  | { readonly kind: 'done'; readonly answer: MapAnswer };

/** After 250 ms, then twice as long each time (RFC 6886 §3.1). */
const SEND_AT_MS = [0, 250, 750, 1750] as const;
/** Time for all sends, and an answer to the last. */
export const MAP_EXCHANGE_LIMIT_MS = 3000;

export class MapExchange implements Machine<PortMapperInput, PortMapperAction, MapExchangeEvent> {
  readonly #options: MapExchangeOptions;
  readonly #actions: PortMapperAction[] = [];
  readonly #events: MapExchangeEvent[] = [];
  readonly #steps: Generator<UpnpStep, MapAnswer, HttpAnswer> | undefined;
  #startedAt: number | undefined;
  #sends = 0;
  #exchange = 0;
  #done = false;

  /** Throws RangeError for UPnP without a service. */
  constructor(options: MapExchangeOptions) {
    this.#options = options;
    const { protocol, service, request, otherPorts } = options;
    if (protocol !== 'upnp-igd') return;
    if (service === undefined) throw new RangeError('UPnP without a service to ask');
    this.#steps =
      request.lifetimeSeconds === 0
        ? removeMapping(service, request)
        : addMapping(service, request, otherPorts);
  }

  handleInput(input: PortMapperInput, now: number): void {
    if (this.#done) return;
    this.#sinceStart(now);
    switch (input.kind) {
      case 'datagram': {
        const answer = this.#steps === undefined ? this.#decode(input.bytes) : undefined;
        if (answer !== undefined) this.#finish(answer);
        break;
      }
      case 'refused':
        if (this.#steps === undefined) this.#finish({ kind: 'refused', error: 'silent' });
        break;
      case 'http':
        if (input.exchange === this.#exchange) this.#advanceSteps(input.answer);
        break;
      case 'search-answer':
        break;
    }
  }

  handleTimeout(now: number): void {
    if (this.#done) return;
    const nowMs = this.#sinceStart(now);
    if (nowMs >= this.#limitMs()) {
      this.#finish({ kind: 'refused', error: 'silent' });
    } else if (this.#steps !== undefined) {
      if (this.#exchange === 0) this.#advanceSteps(undefined);
    } else if (nowMs >= this.#nextSendMs()) {
      this.#sends++;
      this.#actions.push({ kind: 'send', bytes: this.#encode() });
    }
  }

  pollAction(): PortMapperAction | undefined {
    return this.#actions.shift();
  }

  pollTimeout(): number | undefined {
    if (this.#done) return undefined;
    if (this.#startedAt === undefined) return 0;
    return this.#startedAt + Math.min(this.#limitMs(), this.#nextSendMs());
  }

  pollEvent(): MapExchangeEvent | undefined {
    return this.#events.shift();
  }

  #sinceStart(now: number): number {
    this.#startedAt ??= now;
    return now - this.#startedAt;
  }

  /** Each HTTP exchange has its own limit, which the driver keeps; all together may take some. */
  #limitMs(): number {
    return this.#steps === undefined ? MAP_EXCHANGE_LIMIT_MS : 4 * MAP_EXCHANGE_LIMIT_MS;
  }

  #nextSendMs(): number {
    return this.#steps === undefined ? (SEND_AT_MS[this.#sends] ?? Infinity) : Infinity;
  }

  #encode(): Uint8Array {
    const { protocol, request, nonce } = this.#options;
    return protocol === 'pcp' ? encodePcpMapRequest({ ...request, nonce }) : encodeNatPmpMapRequest(request);
  }

  #decode(bytes: Uint8Array): MapAnswer | undefined {
    const { protocol, request, nonce } = this.#options;
    return protocol === 'pcp'
      ? decodePcpMapAnswer(bytes, { ...request, nonce })
      : decodeNatPmpMapAnswer(bytes, request);
  }

  #advanceSteps(answer: HttpAnswer | undefined): void {
    if (this.#steps === undefined) return;
    const step = answer === undefined ? this.#steps.next() : this.#steps.next(answer);
    if (step.done === true) {
      this.#finish(step.value);
      return;
    }
    const { request, asksFor } = step.value;
    if (asksFor !== undefined) this.#events.push({ kind: 'asking', externalPort: asksFor });
    this.#exchange++;
    this.#actions.push({ kind: 'http', exchange: this.#exchange, request });
  }

  #finish(answer: MapAnswer): void {
    this.#done = true;
    this.#events.push({ kind: 'done', answer });
  }
}

interface UpnpStep {
  readonly request: HttpRequest;
  /** The external port that exists from now on if the router does as asked. */
  readonly asksFor?: number;
}

type UpnpSteps = Generator<UpnpStep, MapAnswer, HttpAnswer>;

/**
 * A free port first, since AddPortMapping silently replaces a mapping of this machine's own
 * (WANIPConnection:1 §2.4.16). Routers that know no lifetimes get none.
 */
function* addMapping(service: IgdService, request: MapRequest, otherPorts: readonly number[]): UpnpSteps {
  for (const externalPort of [request.externalPort, ...otherPorts]) {
    const wanted = { ...request, externalPort };
    const holder = decodeActionAnswer(yield { request: encodeLookupAction(service, wanted) });
    if (holder.kind === 'done') continue;
    if (holder.kind === 'refused') return holder;
    let lifetimeSeconds: number | 'unlimited' = wanted.lifetimeSeconds;
    let added = decodeActionAnswer(
      yield { request: encodeAddAction(service, wanted), asksFor: externalPort },
    );
    if (isFault(added, IGD_FAULT.PERMANENT_ONLY)) {
      lifetimeSeconds = 'unlimited';
      const forever = { ...wanted, lifetimeSeconds: 0 };
      added = decodeActionAnswer(yield { request: encodeAddAction(service, forever), asksFor: externalPort });
    }
    if (added.kind === 'refused') return added;
    if (added.kind === 'fault') {
      if (errorOfFault(added.code) === 'conflict') continue;
      return { kind: 'refused', error: errorOfFault(added.code) };
    }
    const asked = decodeActionAnswer(yield { request: encodeExternalAddressAction(service) });
    const externalAddress = asked.kind === 'done' ? externalAddressOf(asked.values) : undefined;
    return {
      kind: 'mapped',
      externalPort,
      lifetimeSeconds,
      ...(externalAddress === undefined ? {} : { externalAddress }),
    };
  }
  return { kind: 'refused', error: 'conflict' };
}

function* removeMapping(service: IgdService, request: MapRequest): UpnpSteps {
  const removed = decodeActionAnswer(yield { request: encodeDeleteAction(service, request) });
  if (removed.kind === 'refused') return removed;
  if (removed.kind === 'fault' && removed.code !== IGD_FAULT.NO_SUCH_ENTRY) {
    return { kind: 'refused', error: errorOfFault(removed.code) };
  }
  return { kind: 'mapped', externalPort: request.externalPort, lifetimeSeconds: 0 };
}

function isFault(answer: IgdAnswer, code: number): boolean {
  return answer.kind === 'fault' && answer.code === code;
}
