/** The evidence of a run while it grows, and the way from a transaction id back to what it was for. */
import { type Endpoint, type Family, sameEndpoint } from '../../shared/endpoint.ts';
import type {
  BindingEvidence,
  BindingReply,
  BindingSend,
  Evidence,
  Nat64Evidence,
  RefusalEvidence,
  RunEvidence,
  SocketEvidence,
  Stray,
  TcpEvidence,
} from '../../shared/nat/evidence.ts';
import { formatNat64Prefix, type Nat64Prefix } from '../../shared/nat64.ts';
import { asksForReceipt, type Request, requestKey } from './request.ts';

interface GrowingSeries extends BindingEvidence {
  readonly sends: BindingSend[];
  readonly replies: BindingReply[];
  strays?: Stray[];
}

/** A reply before it is known which send it belongs to. */
export type UnmatchedReply = BindingReply extends infer Reply
  ? Reply extends BindingReply
    ? Omit<Reply, 'send'>
    : never
  : never;

export class EvidenceLog {
  readonly #run: { -readonly [Key in keyof RunEvidence]: RunEvidence[Key] };
  readonly #sockets: SocketEvidence[] = [];
  readonly #series = new Map<string, GrowingSeries>();
  readonly #transactions = new Map<string, { series: GrowingSeries; send: number }>();
  readonly #tcp: TcpEvidence[] = [];
  readonly #refusals: RefusalEvidence[] = [];
  readonly #nat64: readonly Nat64Evidence[];

  constructor(run: {
    family: Family;
    servers: readonly Endpoint[];
    timeoutMs: number;
    paceMs: number;
    nat64?: Nat64Prefix;
  }) {
    const { family, servers, timeoutMs, paceMs, nat64 } = run;
    this.#nat64 =
      nat64 === undefined ? [] : [{ kind: 'nat64', prefix: formatNat64Prefix(nat64), used: true }];
    this.#run = { kind: 'run', family, servers, untilMs: 0, timeoutMs, paceMs };
  }

  /** The evidence as of `nowMs`; valid until the next change. */
  snapshot(nowMs: number): readonly Evidence[] {
    this.#run.untilMs = nowMs;
    return [
      this.#run,
      ...this.#nat64,
      ...this.#sockets,
      ...this.#series.values(),
      ...this.#tcp,
      ...this.#refusals,
    ];
  }

  get sockets(): readonly SocketEvidence[] {
    return this.#sockets;
  }

  addSocket(evidence: SocketEvidence): void {
    this.#sockets.push(evidence);
  }

  /** Whether anything was sent between the endpoints of `request` before. */
  hasFlow({ socket, to }: Request): boolean {
    for (const series of this.#series.values()) {
      if (series.socket === socket && series.to.port === to.port && series.to.address === to.address)
        return true;
    }
    return false;
  }

  /** Returns how often it was sent before. */
  addSend(request: Request, transactionId: string, atMs: number): number {
    const key = requestKey(request);
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { kind: 'binding', ...request, receipt: asksForReceipt(request), sends: [], replies: [] };
      this.#series.set(key, series);
    }
    this.#transactions.set(transactionId, { series, send: series.sends.length });
    series.sends.push({ atMs, transactionId });
    return series.sends.length - 1;
  }

  /** Where the request was sent that a reply answers, if it comes from there. */
  answeredBy(transactionId: string, from: Endpoint): Endpoint | undefined {
    const to = this.#transactions.get(transactionId)?.series.to;
    return to !== undefined && sameEndpoint(to, from) ? to : undefined;
  }

  /**
   * Files a reply under the transaction that it names: as a stray if another socket heard it than
   * the one that asked. False if there is no such transaction.
   */
  addReply(socket: string, transactionId: string, reply: UnmatchedReply): boolean {
    const transaction = this.#transactions.get(transactionId);
    if (transaction === undefined) return false;
    const { series, send } = transaction;
    if (series.socket === socket) series.replies.push({ send, ...reply });
    else if (reply.kind !== 'response') return false;
    else this.#addStray(transaction, { kind: 'response', send, atMs: reply.atMs, socket, from: reply.from });
    return true;
  }

  /** Files the arrival of one of the run's own requests. False if it is none of them. */
  addHeardRequest(socket: string, transactionId: string, from: Endpoint, atMs: number): boolean {
    const transaction = this.#transactions.get(transactionId);
    if (transaction === undefined) return false;
    this.#addStray(transaction, { kind: 'request', send: transaction.send, atMs, socket, from });
    return true;
  }

  #addStray({ series }: { series: GrowingSeries }, stray: Stray): void {
    (series.strays ??= []).push(stray);
  }

  get tcp(): readonly TcpEvidence[] {
    return this.#tcp;
  }

  addTcp(to: Endpoint, atMs: number): void {
    this.#tcp.push({ kind: 'tcp', to, atMs, outcome: 'pending' });
  }

  updateTcp(index: number, change: Partial<TcpEvidence>): void {
    this.#tcp[index] = { ...this.#tcp[index]!, ...change };
  }

  addRefusal(evidence: RefusalEvidence): void {
    this.#refusals.push(evidence);
  }
}
