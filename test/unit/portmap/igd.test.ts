/** The actions of WANIPConnection:1 §2.4 as SOAP, and the XML and HTTP that routers and others answer with. */
import { describe, expect, it } from 'vitest';
import {
  decodeActionAnswer,
  decodeDescription,
  encodeAddAction,
  encodeDeleteAction,
  encodeDescriptionRequest,
  encodeExternalAddressAction,
  encodeLookupAction,
  errorOfFault,
  externalAddressOf,
  type HttpAnswer,
  type IgdService,
  urlOn,
} from '../../../shared/portmap/igd.ts';
import { CLIENT, OUTSIDE, REQUEST, ROUTER } from './requests.ts';

const LOCATION = `http://${ROUTER}:5000/desc/root.xml`;
const IP_1 = 'urn:schemas-upnp-org:service:WANIPConnection:1';
const IP_2 = 'urn:schemas-upnp-org:service:WANIPConnection:2';
const PPP = 'urn:schemas-upnp-org:service:WANPPPConnection:1';
const SERVICE: IgdService = { type: IP_1, controlUrl: `http://${ROUTER}:5000/ctl/IPConn` };

describe('the actions', () => {
  const PORT =
    '<NewRemoteHost></NewRemoteHost><NewExternalPort>45678</NewExternalPort><NewProtocol>UDP</NewProtocol>';
  const ADD =
    `${PORT}<NewInternalPort>41000</NewInternalPort><NewInternalClient>${CLIENT}</NewInternalClient>` +
    '<NewEnabled>1</NewEnabled><NewPortMappingDescription>natprobe</NewPortMappingDescription>' +
    '<NewLeaseDuration>7200</NewLeaseDuration>';

  it.each([
    ['GetExternalIPAddress', encodeExternalAddressAction(SERVICE), ''],
    ['GetSpecificPortMappingEntry', encodeLookupAction(SERVICE, REQUEST), PORT],
    ['AddPortMapping', encodeAddAction(SERVICE, REQUEST), ADD],
    ['DeletePortMapping', encodeDeleteAction(SERVICE, REQUEST), PORT],
  ])('%s', (name, request, args) => {
    expect(request).toEqual({
      method: 'POST',
      url: SERVICE.controlUrl,
      headers: { 'content-type': 'text/xml; charset="utf-8"', soapaction: `"${IP_1}#${name}"` },
      body:
        '<?xml version="1.0"?>\r\n' +
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
        `<u:${name} xmlns:u="${IP_1}">${args}</u:${name}></s:Body></s:Envelope>\r\n`,
    });
  });

  it('say TCP, and for ever, where that is asked for', () => {
    const { body } = encodeAddAction(SERVICE, { ...REQUEST, transport: 'tcp', lifetimeSeconds: 0 });
    expect(body).toContain('<NewProtocol>TCP</NewProtocol>');
    expect(body).toContain('<NewLeaseDuration>0</NewLeaseDuration>');
  });

  it('begin with the description', () => {
    expect(encodeDescriptionRequest(LOCATION)).toEqual({
      method: 'GET',
      url: LOCATION,
      headers: {},
      body: '',
    });
  });
});

describe('a description', () => {
  function service(type: string, control: string): string {
    return `<service><serviceType>${type}</serviceType><serviceId>x</serviceId><controlURL>${control}</controlURL></service>`;
  }

  function description(services: string, base = ''): string {
    return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">${base}<device><deviceList>
      <device><serviceList>${service('urn:schemas-upnp-org:service:Layer3Forwarding:1', '/L3F')}</serviceList></device>
      <device><serviceList>${services}</serviceList></device></deviceList></device></root>`;
  }

  it('lists the services that map ports, best first', () => {
    const xml = description(service(PPP, '/ppp') + service(IP_1, '/ip1') + service(IP_2, '/ip2'));
    expect(decodeDescription(xml, LOCATION)).toEqual([
      { type: IP_2, controlUrl: `http://${ROUTER}:5000/ip2` },
      { type: IP_1, controlUrl: `http://${ROUTER}:5000/ip1` },
      { type: PPP, controlUrl: `http://${ROUTER}:5000/ppp` },
    ]);
  });

  it.each([
    ['a path', '/ctl', '', `http://${ROUTER}:5000/ctl`],
    ['a path beside the description', 'ctl', '', `http://${ROUTER}:5000/desc/ctl`],
    ['a whole URL on the router', `http://${ROUTER}:80/ctl`, '', `http://${ROUTER}/ctl`],
    [
      'a path to a base',
      'ctl',
      `<URLBase>http://${ROUTER}:49152/up/</URLBase>`,
      `http://${ROUTER}:49152/up/ctl`,
    ],
    ['a path to an empty base', '/ctl', '<URLBase></URLBase>', `http://${ROUTER}:5000/ctl`],
    ['a path to a base that is no URL', '/ctl', '<URLBase>router</URLBase>', `http://${ROUTER}:5000/ctl`],
    ['escaped characters', '/ctl?a=1&amp;b=&quot;2&quot;', '', `http://${ROUTER}:5000/ctl?a=1&b=%222%22`],
    ['spaces around', '\n  /ctl\n', '', `http://${ROUTER}:5000/ctl`],
  ])('may give the place of actions as %s', (_what, control, base, url) => {
    expect(decodeDescription(description(service(IP_1, control), base), LOCATION)).toEqual([
      { type: IP_1, controlUrl: url },
    ]);
  });

  it('may be written with name spaces, attributes and spaces in its tags', () => {
    const xml = `<u:root><u:service id="1" ><u:serviceType\n>${IP_1}</u:serviceType >
      <u:controlURL a='b'>/ctl</u:controlURL></u:service></u:root>`;
    expect(decodeDescription(xml, LOCATION)).toEqual([
      { type: IP_1, controlUrl: `http://${ROUTER}:5000/ctl` },
    ]);
  });

  it.each([
    ['another host', 'http://192.168.1.3/ctl', ''],
    ['another host by way of the base', '/ctl', '<URLBase>http://198.51.100.9/</URLBase>'],
    ['another host without a scheme', '//198.51.100.9/ctl', ''],
    ['a host by name', 'http://localhost/ctl', ''],
    ['another scheme', `https://${ROUTER}/ctl`, ''],
    ['a file', 'file:///etc/passwd', ''],
    ['a script', 'javascript:alert(1)', ''],
    ['the router with a name and a password', `http://admin:admin@${ROUTER}/ctl`, ''],
    ['the router with a name that can’t be decoded', `http://%E0@${ROUTER}/ctl`, ''],
    ['no possible port', `http://${ROUTER}:99999/ctl`, ''],
  ])('does not make this machine ask %s', (_what, control, base) => {
    expect(decodeDescription(description(service(IP_1, control), base), LOCATION)).toEqual([]);
  });

  it.each([
    ['nothing', ''],
    ['no XML', 'Not found'],
    ['a page', '<html><body>Log in</body></html>'],
    ['a service without a place for actions', `<service><serviceType>${IP_1}</serviceType></service>`],
    ['a service without a type', '<service><controlURL>/ctl</controlURL></service>'],
    ['tags that are never closed', '<service><serviceType><controlURL><service><serviceType>'],
    ['a type that is no own property', service('constructor', '/ctl')],
  ])('that is %s has none', (_what, xml) => {
    expect(decodeDescription(xml, LOCATION)).toEqual([]);
  });

  it('takes no entity at its word', () => {
    const xml = `<!DOCTYPE r [<!ENTITY x "${IP_1}">]>${service('&x;', '/ctl')}${service(IP_1, '/&lt;x&gt;&apos;')}`;
    expect(decodeDescription(xml, LOCATION).map(({ controlUrl }) => controlUrl)).toEqual([
      `http://${ROUTER}:5000/%3Cx%3E'`,
    ]);
  });
});

describe('urlOn', () => {
  it.each([
    [`http://${ROUTER}/`, `http://${ROUTER}/`],
    [`http://${ROUTER}:5000/root.xml`, `http://${ROUTER}:5000/root.xml`],
    // Another spelling of the same address.
    ['http://0xc0a80101/x', `http://${ROUTER}/x`],
  ])('takes %s', (text, url) => {
    expect(urlOn(ROUTER, text)).toBe(url);
  });

  it.each([
    '',
    'root.xml',
    `https://${ROUTER}/`,
    `http://${ROUTER}.example/`,
    `http://${ROUTER}@198.51.100.9/`,
    `http://%E0@${ROUTER}/`,
    'http://192.168.1.10/',
    'http://[::1]/',
    'http://',
  ])('refuses “%s”', (text) => {
    expect(urlOn(ROUTER, text)).toBeUndefined();
  });
});

describe('the answer to an action', () => {
  function answered(status: number, body: string): HttpAnswer {
    return { kind: 'answered', status, body };
  }

  function fault(code: string): string {
    return `<s:Envelope><s:Body><s:Fault><faultcode>s:Client</faultcode><detail><UPnPError
      xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>${code}</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>`;
  }

  function valuesOf(body: string): Record<string, string> {
    const answer = decodeActionAnswer(answered(200, body));
    if (answer.kind !== 'done') throw new Error(`decoded as ${answer.kind}`);
    return Object.fromEntries(answer.values);
  }

  it('has the values, unescaped', () => {
    const body = `<u:R xmlns:u="${IP_1}"><NewInternalPort>41000</NewInternalPort>
      <NewPortMappingDescription>a &amp;lt; b</NewPortMappingDescription>
      <NewExternalIPAddress xmlns:dt="urn:x" dt:dt="string">\n ${OUTSIDE} </NewExternalIPAddress>
      <NewEmpty></NewEmpty></u:R>`;
    expect(valuesOf(body)).toEqual({
      NewInternalPort: '41000',
      NewPortMappingDescription: 'a &lt; b',
      NewExternalIPAddress: OUTSIDE,
      NewEmpty: '',
    });
  });

  it('has no values where there are none', () => {
    expect(valuesOf('')).toEqual({});
    expect(valuesOf('<Newborn <New>1</New><NewA')).toEqual({});
  });

  it.each([
    [401, 'unsupported'],
    [402, 'refused'],
    [501, 'refused'],
    [606, 'not-authorized'],
    [714, 'refused'],
    [718, 'conflict'],
    [725, 'refused'],
    [728, 'no-resources'],
    [729, 'conflict'],
    [99_999, 'refused'],
  ])('is fault %d whatever the status: %s', (code, error) => {
    for (const status of [500, 200]) {
      expect(decodeActionAnswer(answered(status, fault(String(code))))).toEqual({ kind: 'fault', code });
    }
    expect(errorOfFault(code)).toBe(error);
  });

  it('is a fault with spaces and a name space too', () => {
    const body = '<e:errorCode >\n 718 </e:errorCode>';
    expect(decodeActionAnswer(answered(500, body))).toEqual({ kind: 'fault', code: 718 });
  });

  it.each(['', '-1', '7.18', '1e3', '718000', 'constructor'])('is nonsense with the code “%s”', (code) => {
    const refused = { kind: 'refused', error: 'malformed' };
    expect(decodeActionAnswer(answered(500, fault(code)))).toEqual(refused);
  });

  it.each([0, 204, 301, 400, 404, 500])('is nonsense with status %d and no code', (status) => {
    expect(decodeActionAnswer(answered(status, ''))).toEqual({ kind: 'refused', error: 'malformed' });
  });

  it('that did not come is silence', () => {
    expect(decodeActionAnswer({ kind: 'failed' })).toEqual({ kind: 'refused', error: 'silent' });
  });

  it.each([
    [OUTSIDE, OUTSIDE],
    ['0.0.0.0', undefined],
    ['', undefined],
    ['router', undefined],
    ['192.0.2.300', undefined],
    ['192.0.2.1, 192.0.2.2', undefined],
  ])('tells by NewExternalIPAddress “%s” the outer address %s', (text, address) => {
    expect(externalAddressOf(new Map([['NewExternalIPAddress', text]]))).toBe(address);
    expect(externalAddressOf(new Map())).toBeUndefined();
  });
});

describe('a body as long as is read, made to be slow', () => {
  const BYTES = 65_536;
  const PIECES = [
    '<New',
    '<NewA ',
    'New',
    '<service>',
    '<service ',
    '<a:service ',
    '</service ',
    '<serviceType>',
    '<errorCode>',
    '<a:',
    '<',
    ' ',
    'a',
    '&amp;',
  ];
  const bodies = PIECES.flatMap((piece) => [
    piece.repeat(BYTES / piece.length),
    `<NewA${piece.repeat((BYTES - 20) / piece.length)}`,
    `<service>${piece.repeat((BYTES - 20) / piece.length)}`,
    `<service${piece.repeat((BYTES - 20) / piece.length)}`,
  ]);

  it('is read at once', { timeout: 20_000 }, () => {
    for (const body of bodies) {
      // Not the clock's time, of which a busy machine gives it little.
      const before = process.cpuUsage();
      decodeActionAnswer({ kind: 'answered', status: 200, body });
      decodeDescription(body, LOCATION);
      const { user, system } = process.cpuUsage(before);
      // Some milliseconds as measured; a square of the length would be seconds.
      expect((user + system) / 1000, body.slice(0, 30)).toBeLessThan(500);
    }
  });
});
