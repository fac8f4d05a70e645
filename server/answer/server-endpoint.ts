import { parseIpAddress } from '../../shared/address.ts';
import { type Endpoint, type Family, formatEndpoint } from '../../shared/endpoint.ts';
import type { AddressFamily } from '../../shared/stun/writer.ts';
import type { SourceAddress } from './source-address.ts';

/** An endpoint of the server, ready to be written into an answer and compared with a source. */
export class ServerEndpoint {
  readonly family: AddressFamily;
  readonly bytes: Uint8Array;
  readonly port: number;

  /** Throws RangeError if its address is not of `family`. */
  constructor(endpoint: Endpoint, family: Family) {
    const bytes = parseIpAddress(endpoint.address);
    if (bytes?.length !== (family === 'ipv4' ? 4 : 16)) {
      throw new RangeError(`${formatEndpoint(endpoint)} is no ${family} endpoint`);
    }
    this.family = family === 'ipv4' ? 4 : 6;
    this.bytes = bytes;
    this.port = endpoint.port;
  }

  hasAddress(source: SourceAddress): boolean {
    if (source.family !== this.family) return false;
    for (let i = 0; i < this.bytes.length; i++) if (this.bytes[i] !== source.bytes[i]) return false;
    return true;
  }
}
