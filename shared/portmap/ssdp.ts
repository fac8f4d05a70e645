/** SSDP, by which UPnP devices are found (UPnP Device Architecture 1.1 §1.3): a question by multicast, answers by unicast. */
import type { Endpoint } from '../endpoint.ts';

export const SSDP_ENDPOINT: Endpoint = { address: '239.255.255.250', port: 1900 };

/** A device may take this long to answer, so that not all do at once. It is the least that can be asked for. */
export const SSDP_MAX_WAIT_SECONDS = 1;

/** A device of version 2 answers to version 1 as well, says the standard; not all do. */
export const GATEWAY_DEVICES = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
] as const;

export function encodeSearch(device: string): Uint8Array {
  const lines = [
    'M-SEARCH * HTTP/1.1',
    `HOST: ${SSDP_ENDPOINT.address}:${SSDP_ENDPOINT.port}`,
    'MAN: "ssdp:discover"',
    `MX: ${SSDP_MAX_WAIT_SECONDS}`,
    `ST: ${device}`,
    '',
    '',
  ];
  return new TextEncoder().encode(lines.join('\r\n'));
}

/** Where a gateway device that answers has its description, or undefined if `bytes` are no answer of one. */
export function decodeSearchAnswer(bytes: Uint8Array): string | undefined {
  const [status = '', ...lines] = new TextDecoder().decode(bytes).split(/\r?\n/);
  if (!/^HTTP\/1\.[01] 200\b/.test(status)) return undefined;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  const isGateway = GATEWAY_DEVICES.some((device) => headers.get('st') === device);
  return isGateway ? headers.get('location') : undefined;
}
