/**
 * Looks for the port mappers of one router, all three protocols at once, and asks each for the
 * router's outer address. Nothing is mapped.
 */
import { type Endpoint, type Family, familyOf } from '../../../shared/endpoint.ts';
import type { Machine } from '../../../shared/machine.ts';
import type {
  PortMapperError,
  PortMapperEvidence,
  PortMapperProtocol,
} from '../../../shared/nat/evidence.ts';
import {
  decodeActionAnswer,
  decodeDescription,
  encodeDescriptionRequest,
  encodeExternalAddressAction,
  errorOfFault,
  externalAddressOf,
  type HttpAnswer,
  type HttpRequest,
  IGD_FAULT,
  type IgdService,
  urlOn,
} from '../../../shared/portmap/igd.ts';
import { decodeAddressAnswer, encodeAddressRequest } from '../../../shared/portmap/nat-pmp.ts';
import {
  decodePcpMapAnswer,
  encodePcpMapRequest,
  PCP_NONCE_BYTES,
  type PcpMapRequest,
  pcpQuestion,
} from '../../../shared/portmap/pcp.ts';
import {
  decodeSearchAnswer,
  encodeSearch,
  GATEWAY_DEVICES,
  SSDP_ENDPOINT,
} from '../../../shared/portmap/ssdp.ts';
import type { PortMapper, PortMapperAction, PortMapperInput } from './io.ts';

export interface PortMapperSearchOptions {
  /** The router's address, towards which `local` is this machine's. */
  readonly gateway: string;
  readonly local: string;
  readonly random: (length: number) => Uint8Array;
}

export type PortMapperSearchEvent =
  | { readonly kind: 'found'; readonly mapper: PortMapper }
  | { readonly kind: 'done'; readonly mappers: readonly PortMapper[] };

/** While a device that has answered the search is asked, until then; else no longer than for silence. */
export const SEARCH_LIMIT_MS = 1500;
/** The one second that a device may wait with its answer (MX), and the way. */
const SILENCE_LIMIT_MS = 1150;
/**
 * Questions for the two datagram protocols, at no less than RFC 6886 §3.1 wants between them. At 10 %
 * loss each way the five are lost once in 4000 times.
 */
const ASK_AT_MS = [0, 250, 500, 750, 1000] as const;
/** A multicast is easily lost on Wi-Fi: what isn't answered by then is asked once more. */
const SEARCH_AGAIN_MS = 100;

export class PortMapperSearch implements Machine<PortMapperInput, PortMapperAction, PortMapperSearchEvent> {
  readonly #gateway: string;
  readonly #family: Family;
  readonly #pcp: PcpMapRequest;
  readonly #open: Set<PortMapperProtocol>;
  readonly #mappers: PortMapper[] = [];
  readonly #actions: PortMapperAction[] = [];
  readonly #events: PortMapperSearchEvent[] = [];
  #startedAt: number | undefined;
  #resends = 0;
  #searches = 0;
  #exchange = 0;
  #steps: Generator<HttpRequest, Steps, HttpAnswer> | undefined;
  #done = false;

  constructor({ gateway, local, random }: PortMapperSearchOptions) {
    this.#gateway = gateway;
    this.#family = familyOf(gateway);
    this.#pcp = pcpQuestion(local, random(PCP_NONCE_BYTES));
    // The other two know IPv4 alone.
    this.#open = new Set(this.#family === 'ipv4' ? ['pcp', 'nat-pmp', 'upnp-igd'] : ['pcp']);
  }

  handleInput(input: PortMapperInput, now: number): void {
    if (this.#done) return;
    const nowMs = this.#sinceStart(now);
    switch (input.kind) {
      case 'datagram':
        this.#handleDatagram(input.bytes, nowMs);
        break;
      case 'refused':
        this.#open.delete('pcp');
        this.#open.delete('nat-pmp');
        break;
      case 'search-answer':
        this.#handleSearchAnswer(input.from, input.bytes, nowMs);
        break;
      case 'http':
        if (input.exchange === this.#exchange) this.#advanceSteps(input.answer, nowMs);
        break;
    }
    this.#advance(nowMs);
  }

  handleTimeout(now: number): void {
    if (!this.#done) this.#advance(this.#sinceStart(now));
  }

  pollAction(): PortMapperAction | undefined {
    return this.#actions.shift();
  }

  pollTimeout(): number | undefined {
    if (this.#done) return undefined;
    if (this.#startedAt === undefined) return 0;
    const wakes = [this.#limitMs(), this.#nextResendMs(), this.#nextSearchMs()];
    return this.#startedAt + Math.min(...wakes);
  }

  pollEvent(): PortMapperSearchEvent | undefined {
    return this.#events.shift();
  }

  #sinceStart(now: number): number {
    this.#startedAt ??= now;
    return now - this.#startedAt;
  }

  #advance(nowMs: number): void {
    if (this.#open.size === 0 || nowMs >= this.#limitMs()) {
      this.#finish(nowMs);
      return;
    }
    if (nowMs >= this.#nextResendMs()) {
      this.#resends++;
      if (this.#open.has('nat-pmp')) this.#actions.push({ kind: 'send', bytes: encodeAddressRequest() });
      if (this.#open.has('pcp')) this.#actions.push({ kind: 'send', bytes: encodePcpMapRequest(this.#pcp) });
    }
    if (nowMs >= this.#nextSearchMs()) {
      this.#searches++;
      for (const device of GATEWAY_DEVICES) {
        this.#actions.push({ kind: 'search', to: SSDP_ENDPOINT, bytes: encodeSearch(device) });
      }
    }
  }

  #nextResendMs(): number {
    if (!this.#open.has('pcp') && !this.#open.has('nat-pmp')) return Infinity;
    return ASK_AT_MS[this.#resends] ?? Infinity;
  }

  #nextSearchMs(): number {
    if (!this.#open.has('upnp-igd') || this.#steps !== undefined) return Infinity;
    return [0, SEARCH_AGAIN_MS][this.#searches] ?? Infinity;
  }

  #limitMs(): number {
    return this.#isDeviceAsked() ? SEARCH_LIMIT_MS : SILENCE_LIMIT_MS;
  }

  #isDeviceAsked(): boolean {
    return this.#steps !== undefined && this.#open.has('upnp-igd');
  }

  #handleDatagram(bytes: Uint8Array, nowMs: number): void {
    const address = this.#open.has('nat-pmp') ? decodeAddressAnswer(bytes) : undefined;
    if (address?.kind === 'external-address') this.#add('nat-pmp', nowMs, address.address);
    else if (address?.kind === 'refused') this.#add('nat-pmp', nowMs, undefined, address.error);
    const pcp = this.#open.has('pcp') ? decodePcpMapAnswer(bytes, this.#pcp) : undefined;
    if (pcp === undefined) return;
    // To remove what doesn't exist succeeds, but some refuse it: that is no failure to map.
    const error = pcp.kind === 'refused' && !IDLE_REFUSALS.has(pcp.error) ? pcp.error : undefined;
    this.#add('pcp', nowMs, pcp.externalAddress, error);
  }

  /** Nobody but the router is listened to: what maps ports elsewhere is not on the way. */
  #handleSearchAnswer(from: Endpoint, bytes: Uint8Array, nowMs: number): void {
    if (this.#steps !== undefined || from.address !== this.#gateway) return;
    const location = urlOn(this.#gateway, decodeSearchAnswer(bytes) ?? '');
    if (location === undefined) return;
    this.#steps = findService(location);
    this.#advanceSteps(undefined, nowMs);
  }

  #advanceSteps(answer: HttpAnswer | undefined, nowMs: number): void {
    if (this.#steps === undefined || !this.#open.has('upnp-igd')) return;
    const step = answer === undefined ? this.#steps.next() : this.#steps.next(answer);
    if (step.done === true) {
      const { externalAddress, error, service } = step.value;
      this.#add('upnp-igd', nowMs, externalAddress, error, service);
    } else {
      this.#exchange++;
      this.#actions.push({ kind: 'http', exchange: this.#exchange, request: step.value });
    }
  }

  #add(
    protocol: PortMapperProtocol,
    nowMs: number,
    externalAddress?: string,
    error?: PortMapperError,
    service?: IgdService,
  ): void {
    this.#open.delete(protocol);
    // Something answers there, but doesn't speak this protocol.
    if (error === 'unsupported') return;
    const evidence: PortMapperEvidence = {
      kind: 'port-mapper',
      protocol,
      gateway: this.#gateway,
      latencyMs: nowMs,
      ...(externalAddress === undefined ? {} : { externalAddress }),
      ...(error === undefined ? {} : { error }),
    };
    const mapper = { evidence, ...(service === undefined ? {} : { service }) };
    this.#mappers.push(mapper);
    this.#events.push({ kind: 'found', mapper });
  }

  #finish(nowMs: number): void {
    if (this.#isDeviceAsked()) this.#add('upnp-igd', nowMs, undefined, 'silent');
    this.#done = true;
    this.#events.push({ kind: 'done', mappers: this.#mappers });
  }
}

/** What miniupnpd says to the question: it counts a mapping that isn't there as one that can't be removed. */
const IDLE_REFUSALS: ReadonlySet<PortMapperError> = new Set(['no-resources', 'not-authorized']);

interface Steps {
  readonly service?: IgdService;
  readonly externalAddress?: string;
  readonly error?: PortMapperError;
}

/** The device's description, then the outer address from the first of its services that has one. */
function* findService(location: string): Generator<HttpRequest, Steps, HttpAnswer> {
  const description = yield encodeDescriptionRequest(location);
  if (description.kind === 'failed') return { error: 'silent' };
  const services = description.status === 200 ? decodeDescription(description.body, location) : [];
  let error: PortMapperError = 'malformed';
  for (const service of services) {
    const answer = decodeActionAnswer(yield encodeExternalAddressAction(service));
    if (answer.kind === 'done') {
      const externalAddress = externalAddressOf(answer.values);
      if (externalAddress !== undefined) return { service, externalAddress };
      error = 'no-external-address';
    } else if (answer.kind === 'fault') {
      error = answer.code === IGD_FAULT.ACTION_FAILED ? 'no-external-address' : errorOfFault(answer.code);
    } else {
      error = answer.error;
    }
  }
  return services.length === 0 ? { error } : { error, service: services[0]! };
}
