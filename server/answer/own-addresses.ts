import {
  ALTERNATE_ADDRESS_BIT,
  ALTERNATE_PORT_BIT,
  SERVER_ROLES,
  type ServerRole,
} from '../../shared/role.ts';
import { ATTRIBUTE } from '../../shared/stun/registry.ts';
import { MessageWriter } from '../../shared/stun/writer.ts';
import type { ServerEndpoint } from './server-endpoint.ts';

const ROOM_BYTES = 128;

/**
 * What responses say of the server: where they are from, and its other address if it has one. It is the same
 * for all requests to one role that are answered from one role, so it is written once and then copied.
 */
export class OwnAddresses {
  private readonly modern: readonly (Uint32Array | undefined)[];
  private readonly classic: readonly (Uint32Array | undefined)[];

  /** `endpoints` by role. */
  constructor(endpoints: readonly (ServerEndpoint | undefined)[]) {
    const write = (origin: number, other: number): (Uint32Array | undefined)[] =>
      SERVER_ROLES.flatMap((arrival) =>
        SERVER_ROLES.map((role) => {
          // The opposite corner of where the request came in, whatever the flags: RFC 5780 §6.1, table 1.
          const opposite = endpoints[arrival ^ (ALTERNATE_ADDRESS_BIT | ALTERNATE_PORT_BIT)];
          return writeAttributes(origin, endpoints[role], other, opposite);
        }),
      );
    this.modern = write(ATTRIBUTE.RESPONSE_ORIGIN, ATTRIBUTE.OTHER_ADDRESS);
    this.classic = write(ATTRIBUTE.SOURCE_ADDRESS, ATTRIBUTE.CHANGED_ADDRESS);
  }

  /** For a response from `role` to a request that came in at `arrival`; both are roles that there are. */
  write(writer: MessageWriter, arrival: ServerRole, role: ServerRole): void {
    const written = writer.modern ? this.modern : this.classic;
    writer.words(written[arrival * SERVER_ROLES.length + role]!);
  }
}

function writeAttributes(
  originType: number,
  origin: ServerEndpoint | undefined,
  otherType: number,
  other: ServerEndpoint | undefined,
): Uint32Array | undefined {
  if (origin === undefined) return undefined;
  const writer = new MessageWriter(new Uint8Array(ROOM_BYTES));
  writer.address(originType, origin.family, origin.bytes, 0, origin.port);
  if (other !== undefined) writer.address(otherType, other.family, other.bytes, 0, other.port);
  return writer.attributeWords();
}
