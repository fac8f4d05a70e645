/**
 * What may be asked for along with a plain answer and is no evidence: witnesses of the public endpoint,
 * and where the server's HTTP API is. Servers other than natprobed ignore the asking.
 */
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import type { GivenWitness } from '../../shared/report/witnesses.ts';
import type { AttributeValue } from '../../shared/stun/attributes/attribute.ts';
import { SERVICE, WITNESS, type WitnessPurpose } from '../../shared/stun/attributes/natprobe.ts';
import { decodeMessage, readAttribute, type TransactionId } from '../../shared/stun/message.ts';

/** What plain requests ask for. */
export interface EnclosureRequest {
  /** Under a nonce of REPORT_NONCE_BYTES. */
  readonly witness?: { readonly purpose: WitnessPurpose; readonly nonce: Uint8Array };
  readonly service?: boolean;
}

/** What came, in the order of its coming. */
export interface Enclosures {
  readonly witnesses: readonly GivenWitness[];
  readonly services: readonly GivenService[];
}

/** The scheme and port of an HTTP API, on the host of the server that said so. */
export interface GivenService {
  readonly server: Endpoint;
  readonly scheme: 'http' | 'https';
  readonly port: number;
}

/**
 * Filler that makes a request with a nonce of 16 bytes as long as the answer with the witness in it, so
 * that the server gives one; SERVICE is as long in both.
 */
const WITNESS_FILLER_BYTES: Readonly<Record<Family, number>> = { ipv4: 72, ipv6: 120 };

export function encodeEnclosureRequest(
  family: Family,
  { witness, service }: EnclosureRequest,
): AttributeValue[] {
  const attributes: AttributeValue[] = [];
  if (witness !== undefined)
    attributes.push(WITNESS.of({ kind: 'asked', ...witness, fillerLength: WITNESS_FILLER_BYTES[family] }));
  if (service === true) attributes.push(SERVICE.of({ kind: 'asked' }));
  return attributes;
}

/** Gathers what comes. It is for who has sent the requests to see that an answer is from whom it was asked of. */
export class EnclosureLog {
  readonly #witnesses: GivenWitness[] = [];
  readonly #services: GivenService[] = [];

  /** What has come so far. */
  take(): Enclosures {
    return { witnesses: [...this.#witnesses], services: [...this.#services] };
  }

  /** Files what the answer `bytes` to the request `transactionId`, sent to `server`, holds. */
  add(bytes: Uint8Array, transactionId: TransactionId, server: Endpoint, mapped: Endpoint | undefined): void {
    const decoded = decodeMessage(bytes);
    if (decoded.kind !== 'message' || decoded.message.class !== 'success') return;
    if (decoded.message.transactionId !== transactionId) return;
    const service = readAttribute(decoded.message, SERVICE);
    if (service?.kind === 'given') {
      this.#services.push({ server, scheme: service.scheme, port: service.port });
    }
    const witness = readAttribute(decoded.message, WITNESS);
    if (witness?.kind !== 'given' || mapped === undefined) return;
    const { keyId, madeAtMs } = witness;
    const mac = Buffer.from(witness.mac).toString('hex');
    this.#witnesses.push({ transactionId, to: server, mapped, keyId, madeAtMs, mac });
  }
}
