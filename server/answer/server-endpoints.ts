import type { Endpoint, Family } from '../../shared/endpoint.ts';
import { SERVER_ROLES, type ServerRole } from '../../shared/role.ts';
import type { MessageWriter } from '../../shared/stun/writer.ts';
import { OwnAddresses } from './own-addresses.ts';
import type { RoleEndpoints } from './role-endpoints.ts';
import { ServerEndpoint } from './server-endpoint.ts';
import type { SourceAddress } from './source-address.ts';

/** The endpoints of a server in one family, by role: its own, and those of another host that it is paired with. */
export class ServerEndpoints {
  private readonly family: Family;
  private readonly bound: readonly ServerEndpoint[];
  private byRole: readonly (ServerEndpoint | undefined)[];
  private own: readonly ServerEndpoint[];
  private addresses: OwnAddresses;
  hasAlternate: boolean;

  /** `bound` are further ones that are never answered either. Throws RangeError for what is of another family, or AP without AA. */
  constructor(family: Family, advertised: RoleEndpoints, bound: readonly Endpoint[] = []) {
    const [, , ap, aa] = advertised;
    if ((ap === undefined) !== (aa === undefined)) throw new RangeError('AP and AA go together');
    this.family = family;
    this.bound = bound.map((endpoint) => new ServerEndpoint(endpoint, family));
    this.byRole = SERVER_ROLES.map((role) => this.endpointOf(advertised[role]));
    this.own = this.findOwn();
    this.addresses = new OwnAddresses(this.byRole);
    this.hasAlternate = ap !== undefined;
  }

  /** Of a role that there is. */
  at(role: number): ServerEndpoint {
    return this.byRole[role]!;
  }

  /** Whether `port` at the source's address is one of these: answers there could go round. */
  includes(source: SourceAddress, port: number): boolean {
    for (const endpoint of this.own) if (endpoint.port === port && endpoint.hasAddress(source)) return true;
    return false;
  }

  /** Adds what a response from `role` to a request that came in at `arrival` says of them. */
  write(writer: MessageWriter, arrival: ServerRole, role: ServerRole): void {
    this.addresses.write(writer, arrival, role);
  }

  /** From now on these are AP and AA, or with undefined there are none. */
  useAlternate(endpoints: readonly [Endpoint, Endpoint] | undefined): void {
    const [pp, pa] = this.byRole;
    this.byRole = [pp, pa, this.endpointOf(endpoints?.[0]), this.endpointOf(endpoints?.[1])];
    this.own = this.findOwn();
    this.addresses = new OwnAddresses(this.byRole);
    this.hasAlternate = endpoints !== undefined;
  }

  private endpointOf(endpoint: Endpoint | undefined): ServerEndpoint | undefined {
    return endpoint === undefined ? undefined : new ServerEndpoint(endpoint, this.family);
  }

  private findOwn(): ServerEndpoint[] {
    return [...this.byRole.filter((endpoint) => endpoint !== undefined), ...this.bound];
  }
}
