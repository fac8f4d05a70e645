/** SSDP, after UPnP Device Architecture 1.1 §1.3.2 and §1.3.3. */
import { describe, expect, it } from 'vitest';
import { decodeSearchAnswer, encodeSearch, GATEWAY_DEVICES } from '../../../shared/portmap/ssdp.ts';

const LOCATION = 'http://192.168.1.1:5000/rootDesc.xml';

function answer(lines: readonly string[], lineEnd = '\r\n'): Uint8Array {
  return new TextEncoder().encode([...lines, '', ''].join(lineEnd));
}

const ANSWER = [
  'HTTP/1.1 200 OK',
  'CACHE-CONTROL: max-age=120',
  `ST: ${GATEWAY_DEVICES[0]}`,
  `USN: uuid:73a5b1c2-0000-4000-8000-000000000001::${GATEWAY_DEVICES[0]}`,
  'EXT:',
  'SERVER: System/1.0 UPnP/1.1 Router/1.0',
  `LOCATION: ${LOCATION}`,
];

it('asks for one kind of device', () => {
  expect(new TextDecoder().decode(encodeSearch(GATEWAY_DEVICES[1]))).toBe(
    'M-SEARCH * HTTP/1.1\r\n' +
      'HOST: 239.255.255.250:1900\r\n' +
      'MAN: "ssdp:discover"\r\n' +
      'MX: 1\r\n' +
      'ST: urn:schemas-upnp-org:device:InternetGatewayDevice:2\r\n' +
      '\r\n',
  );
});

describe('the answer to a search', () => {
  it('says where the description is', () => {
    expect(decodeSearchAnswer(answer(ANSWER))).toBe(LOCATION);
  });

  it.each([
    [
      'headers in another case',
      ANSWER.map((line) => line.replace(/^[A-Z-]+:/, (name) => name.toLowerCase())),
    ],
    ['no space after the colon', ANSWER.map((line) => line.replace(': ', ':'))],
    ['spaces around', ANSWER.map((line) => line.replace(':', ' :').concat('  '))],
    ['HTTP/1.0', ANSWER.map((line) => line.replace('HTTP/1.1', 'HTTP/1.0'))],
    ['lines that are no headers', [...ANSWER.slice(0, 2), 'nonsense', ': empty', ...ANSWER.slice(2)]],
    ['version 2 of the device', ANSWER.map((line) => line.replace('Device:1', 'Device:2'))],
  ])('is read with %s', (_what, lines) => {
    expect(decodeSearchAnswer(answer(lines))).toBe(LOCATION);
  });

  it('is read with bare line feeds, and without the empty line at its end', () => {
    expect(decodeSearchAnswer(answer(ANSWER, '\n'))).toBe(LOCATION);
    expect(decodeSearchAnswer(new TextEncoder().encode(ANSWER.join('\r\n')))).toBe(LOCATION);
  });

  it.each([
    ['nothing', []],
    ['a search, as others on this network send', ['M-SEARCH * HTTP/1.1', ...ANSWER.slice(1)]],
    ['an announcement', ['NOTIFY * HTTP/1.1', ...ANSWER.slice(1)]],
    ['a failure', ['HTTP/1.1 412 Precondition Failed', ...ANSWER.slice(1)]],
    ['another status that begins alike', ['HTTP/1.1 2000 OK', ...ANSWER.slice(1)]],
    ['another device’s', ANSWER.map((line) => line.replace(/^ST: .*/, 'ST: upnp:rootdevice'))],
    ['an answer without a location', ANSWER.slice(0, -1)],
    ['an answer that names no device', ANSWER.filter((line) => !line.startsWith('ST:'))],
  ])('is not %s', (_what, lines) => {
    expect(decodeSearchAnswer(answer(lines))).toBeUndefined();
  });

  it('is not bytes that are no text', () => {
    expect(decodeSearchAnswer(Uint8Array.from({ length: 256 }, (_, index) => index))).toBeUndefined();
  });
});
