/** RFC 8489 §16.7, and natprobed's second port. */
export const DEFAULT_PORT = 3478;
export const DEFAULT_ALTERNATE_PORT = 3479;
/** HTTP is on loopback, so that nothing is opened to the network that nobody asked for. */
export const DEFAULT_HTTP_HOST = '127.0.0.1';
export const DEFAULT_HTTP_PORT = 8478;
