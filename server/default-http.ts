/** HTTP is on loopback, so that nothing is opened to the network that nobody asked for. */
export const DEFAULT_HTTP_HOST = '127.0.0.1';
