/**
 * Which of the server's four endpoints a datagram came in on or leaves from: two bits, so that a
 * CHANGE-REQUEST is an exclusive or (RFC 5780 §6.1, table 1).
 */
export type ServerRole = 0 | 1 | 2 | 3;

/** Set in a role on the alternate port. */
export const ALTERNATE_PORT_BIT = 1;
/** Set in a role on the alternate address. */
export const ALTERNATE_ADDRESS_BIT = 2;

export const PP: ServerRole = 0;
export const PA: ServerRole = 1;
export const AP: ServerRole = 2;
export const AA: ServerRole = 3;

export const SERVER_ROLES: readonly ServerRole[] = [PP, PA, AP, AA];

/** PP, PA, AP, AA: first the address, then the port, primary or alternate. */
export const SERVER_ROLE_NAMES = ['PP', 'PA', 'AP', 'AA'] as const;
export type ServerRoleName = (typeof SERVER_ROLE_NAMES)[number];
