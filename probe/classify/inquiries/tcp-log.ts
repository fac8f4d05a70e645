/** The TCP inquiry's evidence while it grows, and the way from a transaction id back to what it was for. */
import { type Endpoint, formatEndpoint, sameEndpoint } from '../../../shared/endpoint.ts';
import type {
  Evidence,
  RunEvidence,
  TcpBindingEvidence,
  TcpDialEvidence,
} from '../../../shared/nat/evidence.ts';
import { OTHER_ADDRESS, XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { DIAL_BACK, type DialOrigin } from '../../../shared/stun/attributes/dial-back.ts';
import {
  decodeMessage,
  readAttribute,
  type StunMessage,
  type TransactionId,
} from '../../../shared/stun/message.ts';

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

interface GrowingDial {
  readonly evidence: Mutable<TcpDialEvidence>;
  /** The server has said that it will. */
  begun: boolean;
}

export function connectionName(socket: string, to: Endpoint): string {
  return `${socket} ${formatEndpoint(to)}`;
}

export class TcpLog {
  readonly #run: Mutable<RunEvidence>;
  readonly #bindings = new Map<string, Mutable<TcpBindingEvidence>>();
  readonly #dials = new Map<TransactionId, GrowingDial>();
  readonly #asked = new Map<TransactionId, string>();
  readonly #accepted: { readonly socket: string; readonly from: Endpoint; readonly atMs: number }[] = [];

  constructor(run: Pick<RunEvidence, 'family' | 'timeoutMs' | 'paceMs'> & { readonly server: Endpoint }) {
    const { family, server, timeoutMs, paceMs } = run;
    this.#run = { kind: 'run', family, servers: [server], untilMs: 0, timeoutMs, paceMs };
  }

  /** The evidence as of `nowMs`; valid until the next change. */
  snapshot(nowMs: number): readonly Evidence[] {
    this.#run.untilMs = nowMs;
    return [
      this.#run,
      ...this.#bindings.values(),
      ...[...this.#dials.values()].map(({ evidence }) => evidence),
    ];
  }

  addBinding(
    socket: string,
    purpose: TcpBindingEvidence['purpose'],
    to: Endpoint,
    atMs: number,
  ): TcpBindingEvidence {
    const binding: TcpBindingEvidence = {
      kind: 'tcp-binding',
      socket,
      purpose,
      to,
      atMs,
      outcome: 'pending',
    };
    this.#bindings.set(connectionName(socket, to), binding);
    return binding;
  }

  binding(connection: string): TcpBindingEvidence {
    return this.#bindings.get(connection)!;
  }

  updateBinding(connection: string, change: Partial<TcpBindingEvidence>): void {
    Object.assign(this.#bindings.get(connection)!, change);
  }

  /** As if it had never been tried. */
  removeBinding(connection: string): void {
    this.#bindings.delete(connection);
  }

  /** Any connection from that socket's port that came to stand. */
  hasConnected(socket: string): boolean {
    return [...this.#bindings.values()].some(
      (binding) => binding.socket === socket && binding.local !== undefined,
    );
  }

  /** A Binding request was sent on the connection. */
  addRequest(connection: string, transactionId: TransactionId): void {
    this.#asked.set(transactionId, connection);
  }

  /** The same, and it asks for a dial-back. */
  addDial(
    connection: string,
    transactionId: TransactionId,
    dial: { readonly origin: DialOrigin; readonly atMs: number; readonly timeoutMs: number },
  ): void {
    this.addRequest(connection, transactionId);
    const { socket } = this.binding(connection);
    const evidence: TcpDialEvidence = { kind: 'tcp-dial', socket, ...dial, outcome: 'pending' };
    this.#dials.set(transactionId, { evidence, begun: false });
  }

  /** Files what a message says, if it is about a request of that connection. */
  addMessage(connection: string, bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes);
    if (decoded.kind !== 'message') return;
    const { message } = decoded;
    if (this.#asked.get(message.transactionId) !== connection) return;
    const dial = this.#dials.get(message.transactionId);
    switch (message.class) {
      case 'indication':
        if (dial !== undefined) this.#addIndication(dial, message);
        return;
      case 'success':
        this.#addResponse(connection, message);
        if (dial?.begun === false) endWithout(dial);
        return;
      case 'error':
        this.updateBinding(connection, { outcome: 'answered' });
        if (dial !== undefined) endWithout(dial);
        return;
      case 'request':
        return;
    }
  }

  /** A listener got a connection; it counts for the dial that came from there, which may be told of later. */
  addAccepted(socket: string, from: Endpoint, atMs: number): void {
    this.#accepted.push({ socket, from, atMs });
    for (const { evidence } of this.#dials.values()) this.#matchAccepted(evidence);
  }

  #addIndication(dial: GrowingDial, message: StunMessage): void {
    const said = readAttribute(message, DIAL_BACK);
    if (said === undefined || said.kind === 'asked') return;
    const { evidence } = dial;
    dial.begun = true;
    if (said.kind === 'dialling') {
      evidence.timeoutMs = said.timeoutMs;
      return;
    }
    evidence.outcome = said.outcome;
    evidence.tookMs = said.tookMs;
    if (said.dialledFrom !== undefined) evidence.dialledFrom = said.dialledFrom;
    this.#matchAccepted(evidence);
  }

  #addResponse(connection: string, message: StunMessage): void {
    const mapped = readAttribute(message, XOR_MAPPED_ADDRESS);
    const other = readAttribute(message, OTHER_ADDRESS);
    this.updateBinding(connection, {
      outcome: 'answered',
      ...(mapped !== undefined && { mapped }),
      ...(other !== undefined && { other }),
    });
  }

  #matchAccepted(evidence: Mutable<TcpDialEvidence>): void {
    const { socket, dialledFrom } = evidence;
    if (dialledFrom === undefined || evidence.acceptedAtMs !== undefined) return;
    const match = this.#accepted.find(
      (item) => item.socket === socket && sameEndpoint(item.from, dialledFrom),
    );
    if (match !== undefined) evidence.acceptedAtMs = match.atMs;
  }
}

/** An answer without a word about the dial: this server knows no dial-backs. */
function endWithout({ evidence }: GrowingDial): void {
  if (evidence.outcome === 'pending') evidence.outcome = 'unsupported';
}
