/** What the tests of the codecs and of the machines that speak them ask for. */
import { fromHex } from '../../vectors/hex.ts';
import type { MapRequest } from '../../../shared/portmap/mapping.ts';

export const ROUTER = '192.168.1.1';
export const CLIENT = '192.168.1.2';
/** 192.0.2.129, an address of documentation, as routers say theirs. */
export const OUTSIDE = '192.0.2.129';

export const REQUEST: MapRequest = {
  transport: 'udp',
  internalAddress: CLIENT,
  internalPort: 0xa028,
  externalPort: 0xb26e,
  lifetimeSeconds: 7200,
};
export const REMOVAL: MapRequest = { ...REQUEST, lifetimeSeconds: 0 };
export const NONCE = fromHex('0102030405060708090a0b0c');

/** RFC 6886 §3.2: the router has been up for 74565 s and has OUTSIDE outside. */
export const NAT_PMP_ADDRESS_ANSWER = fromHex('00 80 0000 00012345 c0000281');
/** RFC 6886 §3.3: REQUEST is granted as it was wished. */
export const NAT_PMP_MAP_ANSWER = fromHex('00 81 0000 00012345 a028 b26e 00001c20');

/** RFC 6887 §7.2 and §11.1: an answer to a request with NONCE. */
export function pcpAnswer(change: Partial<PcpFields> = {}): Uint8Array {
  const fields: PcpFields = {
    version: '02',
    op: '81',
    result: '00',
    lifetime: '00001c20',
    nonce: '0102030405060708090a0b0c',
    protocol: '11',
    internalPort: 'a028',
    externalPort: 'b26e',
    externalAddress: '00000000000000000000ffffc0000281',
    ...change,
  };
  return fromHex(
    `${fields.version} ${fields.op} 00 ${fields.result} ${fields.lifetime} 00012345 000000000000000000000000
     ${fields.nonce} ${fields.protocol} 000000 ${fields.internalPort} ${fields.externalPort} ${fields.externalAddress}`,
  );
}

/** In hexadecimal. */
interface PcpFields {
  readonly version: string;
  readonly op: string;
  readonly result: string;
  readonly lifetime: string;
  readonly nonce: string;
  readonly protocol: string;
  readonly internalPort: string;
  readonly externalPort: string;
  readonly externalAddress: string;
}
