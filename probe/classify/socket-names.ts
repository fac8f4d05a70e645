/** What the classification calls its sockets: each name begins with its purpose. */

export const MAPPING_SOCKET = 'mapping';

export function mappingSocketName(index: number): string {
  return index === 0 ? MAPPING_SOCKET : `${MAPPING_SOCKET}-${index + 1}`;
}

/** Filtering tests have a socket of their own for each server, which has sent to nothing but that server. */
export function filteringSocketName(serverIndex: number): string {
  return serverIndex === 0 ? 'filtering' : `filtering-${serverIndex + 1}`;
}
