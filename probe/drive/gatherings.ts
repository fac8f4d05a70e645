/** The sets of sockets that a member has registered, or is about to: each a gathering with a number of the member's. */
import type { Endpoint } from '../../shared/endpoint.ts';
import type { GatheredCandidates, MemberAction } from '../broker/io.ts';
import { type MainSockets, openMainSockets } from './main-sockets.ts';
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
}

export type GatherAction = Extract<MemberAction, { kind: 'gather' }>;

interface Gathering<Raw> {
  readonly sockets: Promise<MainSockets<Raw>>;
  readonly end: AbortController;
  /** Those numbers under which it is known. */
  readonly numbers: Set<number>;
  opened: MainSockets<Raw> | undefined;
}

interface TcpGathering {
  readonly end: AbortController;
  opened: TcpPorts | undefined;
}

export class Gatherings<Raw> {
  readonly #options: GatheringOptions<Raw>;
  readonly #overTcp = new Map<number, TcpGathering>();
  readonly #byNumber = new Map<number, Gathering<Raw>>();
  /** With the port or the socket of choice, until a punch has used it. */
  #chosen: Gathering<Raw> | undefined;
  #isChoiceUsed = false;

  constructor(options: GatheringOptions<Raw>) {
    this.#options = options;
  }

  /** Opens sockets, or takes those at hand, and has them seen. Rejects as openMainSockets does. */
  async gather({ gathering: number, isFresh, nonce, transport }: GatherAction): Promise<GatheredCandidates> {
    if (transport === 'tcp') return this.#gatherOverTcp(number, nonce);
    const known = isFresh ? this.#chosenFor(number) : this.#byNumber.get(number);
    const gathering = known ?? this.#open(number, nonce);
    const sockets = await gathering.sockets;
    const candidates =
      known === undefined ? sockets.candidates : await sockets.renew(nonce, gathering.end.signal);
    return gathering === this.#chosen ? this.#withMapped(candidates) : candidates;
  }

  /** Of a gathering that is there. */
  mains(number: number): MainSockets<Raw> {
    const gathering = this.#byNumber.get(number);
    if (gathering?.opened === undefined)
      throw new Error(`a plan for gathering ${number}, which is not there`);
    if (gathering === this.#chosen) this.#isChoiceUsed = true;
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
      gathering.opened = await openTcpPorts({ servers: this.#options.servers, nonce, signal });
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

  /** The broker takes it only for an address that the server has just seen. */
  #withMapped(candidates: GatheredCandidates): GatheredCandidates {
    const { mapped } = this.#options;
    const isSeen = candidates.public.some((witness) => witness.mapped.address === mapped?.address);
    return mapped !== undefined && isSeen ? { ...candidates, mapped: [mapped] } : candidates;
  }

  /** The port of choice is what the first punch is made from, also where its broker wants fresh candidates. */
  #chosenFor(number: number): Gathering<Raw> | undefined {
    if (this.#chosen === undefined || this.#isChoiceUsed) return undefined;
    this.#chosen.numbers.add(number);
    this.#byNumber.set(number, this.#chosen);
    return this.#chosen;
  }

  #open(number: number, nonce: string): Gathering<Raw> {
    const { servers, open, localPort, adopt } = this.#options;
    const isOfChoice = !this.#isChoiceUsed && (localPort !== undefined || adopt !== undefined);
    const end = new AbortController();
    const sockets = openMainSockets({
      servers,
      nonce,
      open: isOfChoice && adopt !== undefined ? adopt : open,
      ...(isOfChoice && localPort !== undefined && { localPort }),
      signal: end.signal,
    });
    const gathering: Gathering<Raw> = { sockets, end, numbers: new Set([number]), opened: undefined };
    if (isOfChoice) this.#chosen = gathering;
    this.#byNumber.set(number, gathering);
    sockets.then(
      (opened) => {
        gathering.opened = opened;
        if (end.signal.aborted) opened.close();
      },
      () => this.release(number),
    );
    return gathering;
  }
}
