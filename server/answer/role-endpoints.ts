import type { Endpoint } from '../../shared/endpoint.ts';

/** One endpoint for each role: PP, PA, AP, AA. With one address there is no AP and AA. */
export type RoleEndpoints = readonly [Endpoint, Endpoint, Endpoint | undefined, Endpoint | undefined];
