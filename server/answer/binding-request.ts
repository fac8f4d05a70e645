import type { MessageCursor } from '../../shared/stun/cursor.ts';
import { ATTRIBUTE, isComprehensionRequired } from '../../shared/stun/registry.ts';
import { MAX_UNKNOWN_ATTRIBUTES } from './answer-rules.ts';

/**
 * Known comprehension-required attributes that say nothing to a Binding server without
 * authentication: credentials, and what belongs into responses. They are passed over. All else
 * below 0x8000 that is not acted upon is refused, RESPONSE-ADDRESS too: it makes a reflector.
 */
const PASSED_OVER: ReadonlySet<number> = new Set([
  ATTRIBUTE.MAPPED_ADDRESS,
  ATTRIBUTE.SOURCE_ADDRESS,
  ATTRIBUTE.CHANGED_ADDRESS,
  ATTRIBUTE.USERNAME,
  ATTRIBUTE.PASSWORD,
  ATTRIBUTE.MESSAGE_INTEGRITY,
  ATTRIBUTE.ERROR_CODE,
  ATTRIBUTE.UNKNOWN_ATTRIBUTES,
  ATTRIBUTE.REFLECTED_FROM,
  ATTRIBUTE.REALM,
  ATTRIBUTE.NONCE,
  ATTRIBUTE.MESSAGE_INTEGRITY_SHA256,
  ATTRIBUTE.PASSWORD_ALGORITHM,
  ATTRIBUTE.USERHASH,
  ATTRIBUTE.XOR_MAPPED_ADDRESS,
]);

/**
 * What one Binding request asks for. One object is reused for every request. Of an attribute that
 * is there more than once the first counts (RFC 8489 §14).
 */
export class BindingRequest {
  /** Bits to flip in the arrival role; 0 also for a CHANGE-REQUEST without flags (RFC 5780 §7.2). */
  changedBits = 0;
  /** RESPONSE-PORT, or -1. */
  responsePort = -1;
  /** Bytes of PADDING, or -1. */
  paddingLength = -1;
  /** RECEIPT-REQUEST is there, with whatever filler. */
  receiptAsked = false;
  /** Bytes of SERVICE, or -1. */
  serviceLength = -1;
  /** Where the value of WITNESS begins in the message's buffer, or -1; and its bytes. */
  witnessOffset = -1;
  witnessLength = 0;
  /** A known attribute has a length that it cannot have. */
  badValue = false;
  /** Distinct refused types, the first `unknownCount` of `unknownTypes`. */
  unknownCount = 0;
  readonly unknownTypes = new Uint16Array(MAX_UNKNOWN_ATTRIBUTES);

  private changeSeen = false;

  /** Reads the attributes of the message that `cursor` stands on. */
  read(cursor: MessageCursor): void {
    this.changeSeen = false;
    this.changedBits = 0;
    this.responsePort = -1;
    this.paddingLength = -1;
    this.receiptAsked = false;
    this.serviceLength = -1;
    this.witnessOffset = -1;
    this.witnessLength = 0;
    this.badValue = false;
    this.unknownCount = 0;
    while (cursor.next()) this.readAttribute(cursor);
  }

  private readAttribute(cursor: MessageCursor): void {
    const { attributeType, bytes, valueOffset, valueLength } = cursor;
    switch (attributeType) {
      case ATTRIBUTE.CHANGE_REQUEST:
        if (this.changeSeen) return;
        this.changeSeen = true;
        if (valueLength !== 4) this.badValue = true;
        // Flags 4 (address) and 2 (port) become the role's bits 2 and 1.
        else this.changedBits = (bytes[valueOffset + 3]! >> 1) & 3;
        return;
      case ATTRIBUTE.RESPONSE_PORT:
        if (this.responsePort >= 0) return;
        // The port with or without the two bytes of padding in the length: RFC 5780 §7.5 reads both ways.
        if (valueLength !== 4 && valueLength !== 2) this.badValue = true;
        else this.responsePort = (bytes[valueOffset]! << 8) | bytes[valueOffset + 1]!;
        return;
      case ATTRIBUTE.PADDING:
        if (this.paddingLength < 0) this.paddingLength = valueLength;
        return;
      case ATTRIBUTE.RECEIPT_REQUEST:
        // RFC 3489 knows no such attribute, and its answers carry what its clients expect.
        this.receiptAsked = cursor.modern;
        return;
      case ATTRIBUTE.SERVICE:
        if (this.serviceLength < 0 && cursor.modern) this.serviceLength = valueLength;
        return;
      case ATTRIBUTE.WITNESS:
        if (this.witnessOffset >= 0 || !cursor.modern) return;
        this.witnessOffset = valueOffset;
        this.witnessLength = valueLength;
        return;
      default:
        if (isComprehensionRequired(attributeType) && !PASSED_OVER.has(attributeType)) {
          this.addUnknown(attributeType);
        }
    }
  }

  private addUnknown(type: number): void {
    const { unknownTypes, unknownCount } = this;
    if (unknownCount === unknownTypes.length) return;
    for (let i = 0; i < unknownCount; i++) if (unknownTypes[i] === type) return;
    unknownTypes[unknownCount] = type;
    this.unknownCount = unknownCount + 1;
  }
}
