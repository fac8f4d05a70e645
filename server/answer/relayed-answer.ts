/**
 * An answer that is to come from an address of another host, which is paired with this one: what that
 * host needs to send it, and what is left to do here once it has, or has not.
 */
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import { ALTERNATE_PORT_BIT, type ServerRole } from '../../shared/role.ts';
import { fingerprintOf } from '../../shared/stun/fingerprint.ts';
import { ATTRIBUTE, BINDING_ERROR, BINDING_SUCCESS, HEADER_LENGTH } from '../../shared/stun/registry.ts';
import { MessageWriter } from '../../shared/stun/writer.ts';
import type { OutgoingDatagram } from './outgoing.ts';

/** Of each family that is served there: the endpoints on its first and on its second port. */
export type PartnerEndpoints = Readonly<Partial<Record<Family, readonly [Endpoint, Endpoint]>>>;

export interface RelayedAnswer {
  readonly family: Family;
  /** Which of the partner's endpoints it is to come from. */
  readonly port: PartnerPort;
  readonly to: Endpoint;
  readonly response: Uint8Array;
  /** Where the request came from and came in; what is said of the response goes there, from there. */
  readonly source: Endpoint;
  readonly arrival: ServerRole;
  /** To be sent once the response has been. */
  readonly receipt: Uint8Array | undefined;
}

/** 0 for the first, 1 for the second. */
export type PartnerPort = 0 | 1;

/** Where a request came from, and came in. */
export interface Arrival {
  readonly family: Family;
  readonly source: Endpoint;
  readonly role: ServerRole;
}

/** Copies the first `count` of a core's outgoing datagrams. */
export function relayedAnswer(
  [response, receipt]: readonly [OutgoingDatagram, OutgoingDatagram],
  count: 1 | 2,
  { family, source, role }: Arrival,
): RelayedAnswer {
  return {
    family,
    port: (response.role & ALTERNATE_PORT_BIT) as PartnerPort,
    to: { address: source.address, port: response.port },
    response: response.buffer.slice(0, response.length),
    source,
    arrival: role,
    receipt: count === 2 ? receipt.buffer.slice(0, receipt.length) : undefined,
  };
}

/** Writes into a receipt what the relaying has taken, in milliseconds. */
export function stateRelayDelay(receipt: Uint8Array, delayMs: number, family: Family): void {
  const view = viewOf(receipt);
  // RECEIPT comes first, and the delay after its address.
  view.setUint32(HEADER_LENGTH + 4 + (family === 'ipv4' ? 8 : 20), delayMs);
  const fingerprint = fingerprintOffset(receipt);
  if (fingerprint !== undefined) view.setUint32(fingerprint + 4, fingerprintOf(receipt, 0, fingerprint));
}

/** What to send in place of a response that nobody has sent, as far as is known: 420, as with one address (RFC 5780 §6). */
export function refuseRelayed({ response }: RelayedAnswer): Uint8Array {
  const writer = new MessageWriter(new Uint8Array(LONGEST_REFUSAL_BYTES));
  writer.begin(BINDING_ERROR, response, 0);
  writer.errorCode(420);
  writer.unknownAttributes([ATTRIBUTE.CHANGE_REQUEST], 1, !writer.modern);
  if (fingerprintOffset(response) !== undefined) writer.fingerprint();
  return writer.buffer.subarray(0, writer.end());
}

/** Whether these bytes are what a partner has sent on: a Binding response of that length. */
export function isBindingResponse(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_LENGTH) return false;
  const view = viewOf(bytes);
  return view.getUint16(0) === BINDING_SUCCESS && view.getUint16(2) === bytes.length - HEADER_LENGTH;
}

const LONGEST_REFUSAL_BYTES = 64;
const FINGERPRINT_BYTES = 8;
const FINGERPRINT_VALUE_BYTES = 4;

/** Where FINGERPRINT begins, which is the last attribute, if it is there. */
function fingerprintOffset(message: Uint8Array): number | undefined {
  const offset = message.length - FINGERPRINT_BYTES;
  if (offset < HEADER_LENGTH) return undefined;
  const isThere =
    viewOf(message).getUint32(offset) === ((ATTRIBUTE.FINGERPRINT << 16) | FINGERPRINT_VALUE_BYTES) >>> 0;
  return isThere ? offset : undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
