/**
 * The actions of a UPnP Internet Gateway Device that concern port mappings (WANIPConnection:1 and :2,
 * WANPPPConnection:1), as XML over HTTP. Of the XML only the elements that are needed are looked for:
 * devices nest, name and order the rest as they like.
 */
import { canonicalAddress } from '../endpoint.ts';
import type { PortMapperError } from '../nat/evidence.ts';
import type { MapRequest, Transport } from './mapping.ts';

/** Where a device takes the actions of one service. */
export interface IgdService {
  readonly type: string;
  readonly controlUrl: string;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type HttpAnswer =
  { readonly kind: 'answered'; readonly status: number; readonly body: string } | { readonly kind: 'failed' };

export type IgdAnswer =
  | { readonly kind: 'done'; readonly values: ReadonlyMap<string, string> }
  /** A UPnP error code, as the standards and vendors define them. */
  | { readonly kind: 'fault'; readonly code: number }
  | { readonly kind: 'refused'; readonly error: Extract<PortMapperError, 'malformed' | 'silent'> };

/** Of WANIPConnection (§2.4 of its standard) and UPnP itself. */
export const IGD_FAULT = {
  INVALID_ACTION: 401,
  ACTION_FAILED: 501,
  NOT_AUTHORIZED: 606,
  NO_SUCH_ENTRY: 714,
  CONFLICT: 718,
  PERMANENT_ONLY: 725,
  NO_PORTS: 728,
  CONFLICT_OTHER_MECHANISM: 729,
} as const;

const FAULT_ERRORS: Readonly<Record<number, PortMapperError>> = {
  [IGD_FAULT.INVALID_ACTION]: 'unsupported',
  [IGD_FAULT.NOT_AUTHORIZED]: 'not-authorized',
  [IGD_FAULT.CONFLICT]: 'conflict',
  [IGD_FAULT.NO_PORTS]: 'no-resources',
  [IGD_FAULT.CONFLICT_OTHER_MECHANISM]: 'conflict',
};

/** In order of preference. A device may list several, of which those without a connection fail. */
const SERVICE_TYPES = [
  'urn:schemas-upnp-org:service:WANIPConnection:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1',
  'urn:schemas-upnp-org:service:WANPPPConnection:1',
];

export function encodeDescriptionRequest(location: string): HttpRequest {
  return { method: 'GET', url: location, headers: {}, body: '' };
}

/**
 * The services in a device's description that map ports, best first. Those that are to be asked on
 * another host than the description came from are left out: nobody's word makes this machine send there.
 */
export function decodeDescription(xml: string, location: string): IgdService[] {
  const base = elementText(xml, 'URLBase') ?? location;
  const services = elements(xml, 'service').flatMap((service) => {
    const type = elementText(service, 'serviceType');
    const control = elementText(service, 'controlURL');
    if (type === undefined || control === undefined || !SERVICE_TYPES.includes(type)) return [];
    const url = resolveUrl(control, base) ?? resolveUrl(control, location);
    return url !== undefined && url.hostname === resolveUrl(location)?.hostname
      ? [{ type, controlUrl: url.href }]
      : [];
  });
  return services.toSorted((a, b) => SERVICE_TYPES.indexOf(a.type) - SERVICE_TYPES.indexOf(b.type));
}

/** An http URL on that very address, or undefined. */
export function urlOn(address: string, text: string): string | undefined {
  const url = resolveUrl(text);
  return url?.hostname === address ? url.href : undefined;
}

export function encodeExternalAddressAction(service: IgdService): HttpRequest {
  return encodeAction(service, 'GetExternalIPAddress', []);
}

/** The outer address among an answer's values; undefined for none, as for `0.0.0.0`. */
export function externalAddressOf(values: ReadonlyMap<string, string>): string | undefined {
  const address = canonicalAddress(values.get('NewExternalIPAddress') ?? '');
  return address === '0.0.0.0' ? undefined : address;
}

/** Asks who has that outer port; fails with NO_SUCH_ENTRY if nobody does. */
export function encodeLookupAction(
  service: IgdService,
  { transport, externalPort }: Pick<MapRequest, 'transport' | 'externalPort'>,
): HttpRequest {
  return encodeAction(service, 'GetSpecificPortMappingEntry', portArguments(transport, externalPort));
}

/** Lifetime 0 is for ever. */
export function encodeAddAction(service: IgdService, request: MapRequest): HttpRequest {
  const { transport, internalAddress, internalPort, externalPort, lifetimeSeconds } = request;
  return encodeAction(service, 'AddPortMapping', [
    ...portArguments(transport, externalPort),
    ['NewInternalPort', String(internalPort)],
    ['NewInternalClient', internalAddress],
    ['NewEnabled', '1'],
    ['NewPortMappingDescription', 'natprobe'],
    ['NewLeaseDuration', String(lifetimeSeconds)],
  ]);
}

export function encodeDeleteAction(
  service: IgdService,
  { transport, externalPort }: Pick<MapRequest, 'transport' | 'externalPort'>,
): HttpRequest {
  return encodeAction(service, 'DeletePortMapping', portArguments(transport, externalPort));
}

export function decodeActionAnswer(answer: HttpAnswer): IgdAnswer {
  if (answer.kind === 'failed') return { kind: 'refused', error: 'silent' };
  const fault = elementText(answer.body, 'errorCode');
  if (fault !== undefined && /^\d{1,5}$/.test(fault)) return { kind: 'fault', code: Number(fault) };
  if (answer.status !== 200) return { kind: 'refused', error: 'malformed' };
  // Bounded by the next `<` throughout, so that no body takes long to search.
  const values = [...answer.body.matchAll(/<(New\w+)(?:\s[^<>]*)?>([^<]*)</g)];
  return {
    kind: 'done',
    values: new Map(values.map(([, name, value]) => [name!, unescapeXml(value!.trim())])),
  };
}

export function errorOfFault(code: number): PortMapperError {
  return FAULT_ERRORS[code] ?? 'refused';
}

type Argument = readonly [name: string, value: string];

function portArguments(transport: Transport, externalPort: number): Argument[] {
  return [
    ['NewRemoteHost', ''],
    ['NewExternalPort', String(externalPort)],
    ['NewProtocol', transport.toUpperCase()],
  ];
}

/** SOAP 1.1 as UPnP Device Architecture 1.1 §3.2.1 has it. No argument here needs escaping. */
function encodeAction(
  { type, controlUrl }: IgdService,
  name: string,
  args: readonly Argument[],
): HttpRequest {
  const body =
    '<?xml version="1.0"?>\r\n' +
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
    `<u:${name} xmlns:u="${type}">` +
    args.map(([key, value]) => `<${key}>${value}</${key}>`).join('') +
    `</u:${name}></s:Body></s:Envelope>\r\n`;
  return {
    method: 'POST',
    url: controlUrl,
    headers: { 'content-type': 'text/xml; charset="utf-8"', soapaction: `"${type}#${name}"` },
    body,
  };
}

/** What stands inside each element of that name and of any namespace, in order. One that isn't closed ends at the next. */
function elements(xml: string, name: string): string[] {
  const qualified = `(?:[\\w.-]+:)?${name}`;
  const end = new RegExp(`</${qualified}\\s*>`);
  return xml
    .split(new RegExp(`<${qualified}(?:\\s[^<>]*)?>`))
    .slice(1)
    .map((rest) => rest.split(end, 1)[0]!);
}

function elementText(xml: string, name: string): string | undefined {
  const [inside] = elements(xml, name);
  return inside === undefined ? undefined : unescapeXml(inside.trim());
}

function unescapeXml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&amp;', '&');
}

/** No device asks for a name and a password in its address. */
function resolveUrl(text: string, base?: string): URL | undefined {
  const url = URL.parse(text, base);
  return url?.protocol === 'http:' && url.username === '' && url.password === '' ? url : undefined;
}
