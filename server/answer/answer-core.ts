/**
 * What to send for one STUN request: bytes in, bytes out, no I/O, nothing allocated but for a witness.
 * The UDP and TCP lanes and the simulated network all run this. It keeps no state between requests.
 */
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import { ALTERNATE_PORT_BIT, type ServerRole } from '../../shared/role.ts';
import { MessageCursor } from '../../shared/stun/cursor.ts';
import {
  ATTRIBUTE,
  BINDING_ERROR,
  BINDING_INDICATION,
  BINDING_SUCCESS,
  CLASS_REQUEST,
  HEADER_LENGTH,
  METHOD,
  SERVICE_LENGTH,
  SERVICE_SCHEME_NUMBERS,
} from '../../shared/stun/registry.ts';
import type { MessageWriter } from '../../shared/stun/writer.ts';
import { AnswerCounters, type DropReason } from './answer-counters.ts';
import type { AnswerGuard } from './answer-guard.ts';
import { type AnswerKind, addressAttributeBytes, receiptBytes } from './answer-rules.ts';
import { BindingRequest } from './binding-request.ts';
import { Outgoing, type OutgoingDatagram } from './outgoing.ts';
import type { RoleEndpoints } from './role-endpoints.ts';
import { ServerEndpoints } from './server-endpoints.ts';
import type { SourceAddress } from './source-address.ts';
import {
  type AskedWitness,
  WITNESS_ATTRIBUTE_BYTES,
  type WitnessMaker,
  readAskedWitness,
} from './witness.ts';

export type { OutgoingDatagram } from './outgoing.ts';

export interface AnswerConfig {
  readonly family: Family;
  /**
   * What is advertised for each role: PP, PA, AP, AA. A server with one address has no AP and AA,
   * gives no OTHER-ADDRESS and refuses CHANGE-REQUEST (RFC 5780 §6).
   */
  readonly endpoints: RoleEndpoints;
  /** Where the sockets are bound if that is not what is advertised (1:1 NAT): never answered either. */
  readonly bound?: readonly Endpoint[];
  /** The HTTP API that SERVICE names. */
  readonly service?: { readonly scheme: 'http' | 'https'; readonly port: number };
  /** Without it no witness is given. */
  readonly witness?: WitnessMaker;
  /** Where to count; by default its own. */
  readonly counters?: AnswerCounters;
  /** What of it may not be sent; for UDP. */
  readonly guard?: AnswerGuard;
}

/** The longest UDP payload over IPv4: bounds what PADDING can make of an answer. */
export const LONGEST_DATAGRAM_BYTES = 65_507;
/** The answer to a request that is no longer has room in as many bytes: what isn't asked for with filler takes far fewer. */
export const SHORT_DATAGRAM_BYTES = 2048;
export const LONGEST_RECEIPT_BYTES = 128;
const FINGERPRINT_BYTES = 8;
const ATTRIBUTE_HEADER_BYTES = 4;
/** Of the error that a malformed message draws. */
const BAD_REQUEST_MESSAGE_BYTES = 40;

const CHANGE_REQUEST_ONLY = [ATTRIBUTE.CHANGE_REQUEST];
const RESPONSE_PORT_ONLY = [ATTRIBUTE.RESPONSE_PORT];
const CHANGE_REQUEST_AND_RESPONSE_PORT = [ATTRIBUTE.CHANGE_REQUEST, ATTRIBUTE.RESPONSE_PORT];

export class AnswerCore {
  readonly family: Family;
  readonly counters: AnswerCounters;
  /** Filled by answer(), as many as it returned; the next call reuses both. */
  readonly outgoing: readonly [OutgoingDatagram, OutgoingDatagram];

  private readonly response: Outgoing;
  private readonly receipt: Outgoing;
  private readonly cursor = new MessageCursor();
  private readonly asked = new BindingRequest();
  private readonly endpoints: ServerEndpoints;
  private readonly service: AnswerConfig['service'];
  private readonly witness: WitnessMaker | undefined;
  private readonly guard: AnswerGuard | undefined;

  /** Throws RangeError for endpoints that are no addresses of `family`, or AP without AA. */
  constructor(config: AnswerConfig) {
    this.family = config.family;
    this.endpoints = new ServerEndpoints(config.family, config.endpoints, config.bound);
    this.service = config.service;
    this.witness = config.witness;
    this.counters = config.counters ?? new AnswerCounters();
    this.guard = config.guard;
    this.response = new Outgoing(LONGEST_DATAGRAM_BYTES);
    this.receipt = new Outgoing(LONGEST_RECEIPT_BYTES);
    this.outgoing = [this.response, this.receipt];
  }

  /**
   * Works out what to send for the datagram `request` from `start` to `end`, which came from
   * `source` to the endpoint of `arrival`. Returns how many of `outgoing` are filled.
   * The second is a receipt: send it only after the first one's send has succeeded.
   */
  answer(
    request: Uint8Array,
    start: number,
    end: number,
    source: SourceAddress,
    arrival: ServerRole,
  ): 0 | 1 | 2 {
    if (!this.accept(request, start, end, source, arrival)) return this.pending();
    const { asked } = this;
    if (asked.responsePort === 0) return this.refuse(400, 'bad-request', source, arrival);
    // RFC 5780 §6.1: a response to another port must not be made to fragment.
    if (asked.responsePort > 0 && asked.paddingLength >= 0) {
      return this.refuse(400, 'bad-request', source, arrival);
    }
    const receipt = this.canGiveReceipt(end - start);
    if (
      asked.changedBits !== 0 &&
      !this.endpoints.hasAlternate &&
      !(receipt && asked.changedBits === ALTERNATE_PORT_BIT)
    ) {
      return this.refuse(420, 'unsupported', source, arrival, CHANGE_REQUEST_ONLY);
    }
    const port = asked.responsePort > 0 ? asked.responsePort : source.port;
    // Its own port has been looked at.
    if (port !== source.port && this.endpoints.includes(source, port)) return this.drop('own-endpoint');
    const role = (arrival ^ asked.changedBits) as ServerRole;
    const room = end - start - (receipt ? this.receiptLength() : 0);
    const kind = this.writeResponse(source, arrival, role, port, room);
    if (!receipt) return this.conclude(kind, source, arrival, 1);
    const count = this.conclude('receipt', source, arrival, 2);
    if (count === 2) this.writeReceipt(source, arrival, role);
    return count;
  }

  /**
   * The same for one message of a stream, whose answer goes back on the connection. A stream
   * cannot be answered from elsewhere or to elsewhere, so CHANGE-REQUEST with a flag and
   * RESPONSE-PORT draw 420; RECEIPT-REQUEST has nothing to report and is ignored.
   */
  answerStream(
    request: Uint8Array,
    start: number,
    end: number,
    source: SourceAddress,
    arrival: ServerRole,
  ): 0 | 1 {
    if (!this.accept(request, start, end, source, arrival)) return this.pending();
    const { asked } = this;
    if (asked.changedBits !== 0 || asked.responsePort >= 0) {
      const types =
        asked.responsePort < 0
          ? CHANGE_REQUEST_ONLY
          : asked.changedBits === 0
            ? RESPONSE_PORT_ONLY
            : CHANGE_REQUEST_AND_RESPONSE_PORT;
      return this.refuse(420, 'unsupported', source, arrival, types);
    }
    const kind = this.writeResponse(source, arrival, arrival, source.port, end - start);
    return this.conclude(kind, source, arrival, 1);
  }

  /**
   * From now on AP and AA are another host's endpoints, or with undefined there are none: for a core of
   * one address. Answers with those roles are that host's to send.
   */
  usePartner(endpoints: readonly [Endpoint, Endpoint] | undefined): void {
    this.endpoints.useAlternate(endpoints);
  }

  /** Whether an answer of `bytes` that another host asks for may be sent to `to`; if not, that is counted. */
  admitRelayed(to: SourceAddress, bytes: number): boolean {
    if (this.endpoints.includes(to, to.port)) return this.reject('own-endpoint');
    const refusal = this.guard?.refusal(to, bytes, bytes, 1);
    return refusal === undefined || this.reject(refusal);
  }

  /** From now on outgoing[0] is written by `writer`, whose buffer has room for SHORT_DATAGRAM_BYTES and for any request. */
  respondInto(writer: MessageWriter): void {
    this.response.writer = writer;
  }

  /** Whether `asked` now holds a good Binding request; if not, a refusal is written or the drop is counted. */
  private accept(
    request: Uint8Array,
    start: number,
    end: number,
    source: SourceAddress,
    arrival: ServerRole,
  ): boolean {
    const { cursor, asked } = this;
    this.response.length = 0;
    this.counters.countMessage(end - start);
    const verdict = cursor.reset(request, start, end);
    if (verdict === 'not-stun') return this.reject('not-stun');
    // Only requests are answered: nothing here can loop with another STUN server.
    if (cursor.messageClass !== CLASS_REQUEST) return this.reject('not-request');
    if (cursor.method !== METHOD.BINDING) return this.reject('unknown-method');
    if (source.port === 0) return this.reject('port-zero');
    if (this.endpoints.includes(source, source.port)) return this.reject('own-endpoint');
    if (verdict === 'malformed') {
      // RFC 8489 §6.3 would have silence; an error helps who writes a client, if it doesn't amplify.
      if (end - start < BAD_REQUEST_MESSAGE_BYTES) return this.reject('malformed');
      this.refuse(400, 'malformed', source, arrival);
      return false;
    }
    asked.read(cursor);
    if (asked.badValue) {
      this.refuse(400, 'bad-request', source, arrival);
      return false;
    }
    if (asked.unknownCount > 0) {
      this.refuse(420, 'unknown-attribute', source, arrival, asked.unknownTypes, asked.unknownCount);
      return false;
    }
    return true;
  }

  /** After accept() said no: whether it has left a refusal to send. */
  private pending(): 0 | 1 {
    return this.response.length === 0 ? 0 : 1;
  }

  private reject(reason: DropReason): false {
    this.counters.countDrop(reason);
    return false;
  }

  private drop(reason: DropReason): 0 {
    this.counters.countDrop(reason);
    return 0;
  }

  /** An error goes back to where the request came from, from where it came in. */
  private refuse(
    code: 400 | 420,
    kind: AnswerKind,
    source: SourceAddress,
    arrival: ServerRole,
    types?: ArrayLike<number>,
    count = types?.length ?? 0,
  ): 0 | 1 {
    const { cursor } = this;
    const { writer } = this.response;
    writer.begin(BINDING_ERROR, cursor.bytes, cursor.start);
    writer.errorCode(code);
    // RFC 3489 §11.2.10 wants an even number of them.
    if (types !== undefined) writer.unknownAttributes(types, count, !cursor.modern);
    this.finish(this.response, arrival, source.port);
    return this.conclude(kind, source, arrival, 1);
  }

  /** Counts what is to be sent: `count` datagrams, the response and a receipt that may follow; or none, if it may not be. */
  private conclude<Count extends 1 | 2>(
    kind: AnswerKind,
    source: SourceAddress,
    arrival: ServerRole,
    count: Count,
  ): Count | 0 {
    const { guard, cursor, response } = this;
    const bytes = response.length + (count === 2 ? this.receiptLength() : 0);
    if (guard !== undefined) {
      const refusal = guard.refusal(source, cursor.end - cursor.start, bytes, count);
      if (refusal !== undefined) {
        response.length = 0;
        return this.drop(refusal);
      }
    }
    this.counters.countAnswer(kind, arrival, bytes);
    return count;
  }

  /** Writes the success response, WITNESS and PADDING included if they fit into `room` bytes; tells what it became. */
  private writeResponse(
    source: SourceAddress,
    arrival: ServerRole,
    role: ServerRole,
    port: number,
    room: number,
  ): AnswerKind {
    const { cursor, asked } = this;
    const { writer } = this.response;
    writer.begin(BINDING_SUCCESS, cursor.bytes, cursor.start);
    writer.address(ATTRIBUTE.MAPPED_ADDRESS, source.family, source.bytes, 0, source.port);
    // RFC 5780 §6.1 wants both: where they differ, something on the way rewrites payloads.
    if (cursor.modern)
      writer.xorAddress(ATTRIBUTE.XOR_MAPPED_ADDRESS, source.family, source.bytes, 0, source.port);
    this.endpoints.write(writer, arrival, role);
    if (this.givesService()) {
      writer.u16Pair(ATTRIBUTE.SERVICE, SERVICE_SCHEME_NUMBERS[this.service!.scheme], this.service!.port);
    }
    const witness = this.witnessToGive(room);
    if (witness !== undefined)
      this.witness!.write(writer, witness, cursor, source, this.endpoints.at(arrival));
    const padded = asked.paddingLength >= 0 && this.writePadding(writer, room);
    this.finish(this.response, role, port);
    if (padded) return 'padding';
    if (witness !== undefined) return 'witness';
    if (asked.responsePort >= 0) return 'response-port';
    return asked.changedBits === 0 ? 'binding' : 'change';
  }

  /**
   * What witness is asked for, if it may be given: the response goes straight back, so that who hears
   * it is at the source, and with it is no longer than the request.
   */
  private witnessToGive(room: number): AskedWitness | undefined {
    const { asked, cursor } = this;
    if (this.witness === undefined || asked.witnessOffset < 0) return undefined;
    if (asked.changedBits !== 0 || asked.responsePort >= 0) return undefined;
    if (room < this.responseLength() + WITNESS_ATTRIBUTE_BYTES) return undefined;
    return readAskedWitness(cursor.bytes, asked.witnessOffset, asked.witnessLength);
  }

  /** PADDING never makes the answer longer than `room`, nor is it longer than what was asked for. */
  private writePadding(writer: MessageWriter, room: number): boolean {
    const limit = Math.min(room, writer.buffer.length);
    const left = limit - writer.length - ATTRIBUTE_HEADER_BYTES - this.fingerprintLength();
    if (left < 0) return false;
    // RFC 5780 §7.6: a multiple of four.
    writer.filler(ATTRIBUTE.PADDING, Math.min(left, this.asked.paddingLength) & ~3);
    return true;
  }

  /** To where the request came from, from where it came in, saying from where the response was sent. */
  private writeReceipt(source: SourceAddress, arrival: ServerRole, role: ServerRole): void {
    const { cursor } = this;
    const { writer } = this.receipt;
    const sentFrom = this.endpoints.at(role);
    writer.begin(BINDING_INDICATION, cursor.bytes, cursor.start);
    writer.receipt(sentFrom.family, sentFrom.bytes, 0, sentFrom.port, 0);
    writer.xorAddress(ATTRIBUTE.XOR_MAPPED_ADDRESS, source.family, source.bytes, 0, source.port);
    this.finish(this.receipt, arrival, source.port);
  }

  private finish(outgoing: Outgoing, role: ServerRole, port: number): void {
    if (this.cursor.hasFingerprint) outgoing.writer.fingerprint();
    outgoing.length = outgoing.writer.end();
    outgoing.role = role;
    outgoing.port = port;
  }

  /** A receipt only where it has something to prove, and only if all that is drawn is paid for. */
  private canGiveReceipt(requestLength: number): boolean {
    const { asked } = this;
    if (!asked.receiptAsked || (asked.changedBits === 0 && asked.responsePort < 0)) return false;
    return requestLength >= this.responseLength() + this.receiptLength();
  }

  /** Bytes of the response to this (modern) request, without PADDING. */
  private responseLength(): number {
    const addresses = this.endpoints.hasAlternate ? 4 : 3;
    return (
      HEADER_LENGTH +
      addresses * addressAttributeBytes(this.family) +
      (this.givesService() ? ATTRIBUTE_HEADER_BYTES + SERVICE_LENGTH : 0) +
      this.fingerprintLength()
    );
  }

  private receiptLength(): number {
    return receiptBytes(this.family, this.cursor.hasFingerprint);
  }

  private fingerprintLength(): number {
    return this.cursor.hasFingerprint ? FINGERPRINT_BYTES : 0;
  }

  /** Asked for with at least as much filler as the answer takes. */
  private givesService(): boolean {
    return this.service !== undefined && this.asked.serviceLength >= SERVICE_LENGTH;
  }
}
