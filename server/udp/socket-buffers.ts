/** Asked of the kernel for each UDP socket; it gives what net.core.rmem_max and wmem_max allow. */
export const SOCKET_BUFFER_BYTES = 4 << 20;
