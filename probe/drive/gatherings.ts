/** The sets of sockets that a member has registered, or is about to: each a gathering with a number of the member's. */
import type { Endpoint } from '../../shared/endpoint.ts';
import type { GatheredCandidates, MemberAction } from '../broker/io.ts';
import { type MainSockets, openMainSockets } from './main-sockets.ts';
import type { ChosenPort } from './mapped-ports.ts';
import type { OpenPunchSocket } from './punch-socket.ts';
import type { Addresses } from './resolve.ts';
import { openTcpPorts, type TcpPorts } from './tcp-ports.ts';

export interface GatheringOptions<Raw> {
  /** The STUN endpoints of the broker's server, of each family that is registered. */
  readonly servers: Addresses;
  readonly open: OpenPunchSocket<Raw>;
  /** That the first punch is to be made from. */
  readonly localPort?: number;
  /** As `open`, for the application's own socket; instead of `localPort`. */
  readonly adopt?: OpenPunchSocket<Raw>;
  /** Where the router has mapped that port to, as the server has tried. */
  readonly mapped?: Endpoint;
  /** Another port that the router maps, for each punch after the first; undefined if it maps none. */
  readonly mapNext?: (signal: AbortSignal) => Promise<ChosenPort | undefined>;
}

export type GatherAction = Extract<MemberAction, { kind: 'gather' }>;

interface Gathering<Raw> {
  readonly sockets: Promise<MainSockets<Raw>>;
  readonly end: AbortController;
  /** Those numbers under which it is known. */
  readonly numbers: Set<number>;
  opened: MainSockets<Raw> | undefined;
  /** Where the router has mapped its port to. */
  mapped: Endpoint | undefined;
}

interface TcpGathering {
  readonly end: AbortController;
  opened: TcpPorts | undefined;
}

export class Gatherings<Raw> {
  readonly #options: GatheringOptions<Raw>;
  readonly #overTcp = new Map<number, TcpGathering>();
  readonly #byNumber = new Map<number, Gathering<Raw>>();
  /** With the port or the socket of choice, or another port that is mapped, until a punch has used it. */
  #chosen: Gathering<Raw> | undefined;
  #isChoiceUsed = false;
  #servers: Addresses;

  constructor(options: GatheringOptions<Raw>) {
    this.#options = options;
    this.#servers = options.servers;
  }

  /** The broker's connection is to another server from now on, or to another one's address. */
  moveTo(servers: Addresses): void {
    this.#servers = servers;
    for (const { opened } of this.#byNumber.values()) opened?.moveTo(servers);
  }

  /** Opens sockets, or takes those at hand, and has them seen. Rejects as openMainSockets does. */
  async gather({ gathering: number, isFresh, nonce, transport }: GatherAction): Promise<GatheredCandidates> {
    if (transport === 'tcp') return this.#gatherOverTcp(number, nonce);
    const known = isFresh ? this.#chosenFor(number) : this.#byNumber.get(number);
    const gathering = known ?? this.#open(number, nonce);
    const sockets = await gathering.sockets;
    const candidates =
      known === undefined ? sockets.candidates : await sockets.renew(nonce, gathering.end.signal);
    return withMapped(candidates, gathering.mapped);
  }

  /** Of a gathering that is there. */
  mains(number: number): MainSockets<Raw> {
    const gathering = this.#byNumber.get(number);
    if (gathering?.opened === undefined)
      throw new Error(`a plan for gathering ${number}, which is not there`);
    if (gathering === this.#chosen) {
      this.#chosen = undefined;
      this.#isChoiceUsed = true;
    }
    return gathering.opened;
  }

  /** Of a gathering over TCP that is there: they are whose who asks for them. */
  takePorts(number: number): TcpPorts {
    const opened = this.#overTcp.get(number)?.opened;
    if (opened === undefined) throw new Error(`a plan for gathering ${number}, which is not there`);
    this.#overTcp.delete(number);
    return opened;
  }

  release(number: number): void {
    this.#releaseOverTcp(number);
    const gathering = this.#byNumber.get(number);
    if (gathering === undefined) return;
    this.#byNumber.delete(number);
    gathering.numbers.delete(number);
    if (gathering.numbers.size > 0) return;
    if (gathering === this.#chosen) this.#chosen = undefined;
    gathering.end.abort();
    gathering.opened?.close();
  }

  end(): void {
    for (const number of [...this.#byNumber.keys(), ...this.#overTcp.keys()]) this.release(number);
  }

  async #gatherOverTcp(number: number, nonce: string): Promise<GatheredCandidates> {
    const gathering: TcpGathering = { end: new AbortController(), opened: undefined };
    this.#overTcp.set(number, gathering);
    const { signal } = gathering.end;
    try {
      gathering.opened = await openTcpPorts({ servers: this.#servers, nonce, signal });
    } catch (error) {
      this.#overTcp.delete(number);
      throw error;
    }
    if (signal.aborted) gathering.opened.close();
    return gathering.opened.candidates;
  }

  #releaseOverTcp(number: number): void {
    const gathering = this.#overTcp.get(number);
    this.#overTcp.delete(number);
    gathering?.end.abort();
    gathering?.opened?.close();
  }

  /** The port of choice is what the first punch is made from, also where its broker wants fresh candidates. */
  #chosenFor(number: number): Gathering<Raw> | undefined {
    if (this.#chosen === undefined) return undefined;
    this.#chosen.numbers.add(number);
    this.#byNumber.set(number, this.#chosen);
    return this.#chosen;
  }

  #open(number: number, nonce: string): Gathering<Raw> {
    const { localPort, adopt, mapped, mapNext } = this.#options;
    const isFirst = !this.#isChoiceUsed && (localPort !== undefined || adopt !== undefined);
    const end = new AbortController();
    const open = async (): Promise<MainSockets<Raw>> => {
      if (isFirst) return this.#openMains(nonce, end.signal, { localPort, adopt });
      const next = this.#isChoiceUsed ? await mapNext?.(end.signal) : undefined;
      gathering.mapped = next?.mapped;
      return this.#openMains(nonce, end.signal, { localPort: next?.localPort });
    };
    const gathering: Gathering<Raw> = {
      sockets: Promise.resolve().then(open),
      end,
      numbers: new Set([number]),
      opened: undefined,
      mapped: isFirst ? mapped : undefined,
    };
    if (isFirst || (this.#isChoiceUsed && mapNext !== undefined)) this.#chosen = gathering;
    this.#byNumber.set(number, gathering);
    gathering.sockets.then(
      (opened) => {
        gathering.opened = opened;
        if (end.signal.aborted) opened.close();
      },
      () => this.release(number),
    );
    return gathering;
  }

  #openMains(
    nonce: string,
    signal: AbortSignal,
    {
      localPort,
      adopt,
    }: { readonly localPort: number | undefined; readonly adopt?: OpenPunchSocket<Raw> | undefined },
  ): Promise<MainSockets<Raw>> {
    const { open } = this.#options;
    return openMainSockets({
      servers: this.#servers,
      nonce,
      open: adopt ?? open,
      ...(localPort !== undefined && { localPort }),
      signal,
    });
  }
}

/** The broker takes it only for an address that the server has just seen. */
function withMapped(candidates: GatheredCandidates, mapped: Endpoint | undefined): GatheredCandidates {
  const isSeen = candidates.public.some((witness) => witness.mapped.address === mapped?.address);
  return mapped !== undefined && isSeen ? { ...candidates, mapped: [mapped] } : candidates;
}
