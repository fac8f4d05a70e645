/** HTTP is on loopback, so that nothing is opened to the network that nobody asked for. */
export const DEFAULT_HTTP_HOST = '127.0.0.1';

/** What listens on all addresses of this machine is asked at its loopback one. */
export function askableHost(host: string): string {
  return EVERYWHERE[host] ?? host;
}

const EVERYWHERE: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
