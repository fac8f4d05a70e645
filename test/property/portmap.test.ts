import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatIpv4, formatIpv6, parseIpAddress } from '../../shared/address.ts';
import {
  decodeActionAnswer,
  decodeDescription,
  encodeAddAction,
  externalAddressOf,
  urlOn,
} from '../../shared/portmap/igd.ts';
import type { MapAnswer, MapRequest } from '../../shared/portmap/mapping.ts';
import {
  decodeAddressAnswer,
  decodeNatPmpMapAnswer,
  encodeAddressRequest,
  encodeNatPmpMapRequest,
} from '../../shared/portmap/nat-pmp.ts';
import { decodePcpMapAnswer, encodePcpMapRequest, type PcpMapRequest } from '../../shared/portmap/pcp.ts';
import { decodeSearchAnswer, GATEWAY_DEVICES } from '../../shared/portmap/ssdp.ts';
import { PORT_MAPPER_ERRORS } from '../../shared/nat/evidence.ts';
import { checkProperty, SEED } from './property.ts';

console.log(`seed ${SEED}`);

const ROUTER = '192.168.1.1';
const port = fc.integer({ min: 0, max: 65_535 });
const someLifetime = fc.integer({ min: 1, max: 0xffff_ffff });
const anyAddress = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => formatIpv4(bytes, 0)),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => formatIpv6(bytes, 0)),
);
const anyRequest: fc.Arbitrary<PcpMapRequest> = fc.record({
  transport: fc.constantFrom('udp', 'tcp'),
  internalAddress: anyAddress,
  internalPort: port,
  externalPort: port,
  lifetimeSeconds: fc.oneof(fc.constant(0), someLifetime),
  nonce: fc.uint8Array({ minLength: 12, maxLength: 12 }),
});
const granted = fc.record({
  externalPort: fc.integer({ min: 1, max: 65_535 }),
  lifetimeSeconds: someLifetime,
});

/** What a router makes of a NAT-PMP request that it grants: RFC 6886 §3.3. */
function natPmpAnswerTo(request: Uint8Array, externalPort: number, lifetimeSeconds: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  bytes.set(request.subarray(0, 2));
  bytes[1]! += 128;
  bytes.set(request.subarray(4, 6), 8);
  view.setUint16(10, externalPort);
  view.setUint32(12, lifetimeSeconds);
  return bytes;
}

/** The same for PCP: RFC 6887 §7.2, §11.3. */
function pcpAnswerTo(
  request: Uint8Array,
  externalPort: number,
  lifetimeSeconds: number,
  externalAddress: Uint8Array,
): Uint8Array {
  const bytes = Uint8Array.from(request);
  const view = new DataView(bytes.buffer);
  bytes[1]! |= 0x80;
  view.setUint32(4, lifetimeSeconds);
  bytes.fill(0, 8, 24);
  view.setUint16(42, externalPort);
  bytes.set(externalAddress, 44);
  return bytes;
}

/** Bytes that are an answer, or one with some bytes changed or cut off, or anything. */
function nearly(answer: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(fc.nat({ max: 59 }), fc.integer({ min: 0, max: 255 }));
  const changed = fc
    .tuple(answer, fc.array(change, { maxLength: 3 }), fc.nat({ max: 60 }))
    .map(([bytes, changes, length]) => {
      const copy = Uint8Array.from(bytes);
      for (const [index, value] of changes) if (index < copy.length) copy[index] = value;
      return copy.subarray(0, length);
    });
  return fc.oneof(changed, fc.uint8Array({ maxLength: 80 }));
}

function expectSound(answer: MapAnswer | undefined, request: MapRequest): void {
  if (answer === undefined) return;
  if (answer.kind === 'refused') {
    expect(PORT_MAPPER_ERRORS).toContain(answer.error);
    return;
  }
  if (answer.externalAddress !== undefined) expect(parseIpAddress(answer.externalAddress)).toBeDefined();
  if (request.lifetimeSeconds > 0) {
    expect(answer.externalPort).toBeGreaterThan(0);
    expect(answer.lifetimeSeconds).toBeGreaterThan(0);
  }
}

describe('NAT-PMP and PCP', () => {
  it('requests come back as the mapping that a router grants', () => {
    checkProperty(
      fc.property(anyRequest, granted, anyAddress, (request, { externalPort, lifetimeSeconds }, outside) => {
        const mapped = { kind: 'mapped', externalPort, lifetimeSeconds };
        const natPmp = natPmpAnswerTo(encodeNatPmpMapRequest(request), externalPort, lifetimeSeconds);
        expect(decodeNatPmpMapAnswer(natPmp, request)).toEqual(mapped);
        const address = parseIpAddress(outside.includes(':') ? outside : `::ffff:${outside}`)!;
        const pcp = pcpAnswerTo(encodePcpMapRequest(request), externalPort, lifetimeSeconds, address);
        const answer = decodePcpMapAnswer(pcp, request);
        expect(answer).toMatchObject(mapped);
        expect(parseIpAddress(answer?.externalAddress ?? '::')).toBeDefined();
      }),
      3_000,
    );
  });

  it('answers to one request are never taken for those to another nonce, port or transport', () => {
    checkProperty(
      fc.property(anyRequest, anyRequest, granted, (request, other, { externalPort, lifetimeSeconds }) => {
        const isSame = request.transport === other.transport && request.internalPort === other.internalPort;
        const natPmp = natPmpAnswerTo(encodeNatPmpMapRequest(request), externalPort, lifetimeSeconds);
        if (!isSame) expect(decodeNatPmpMapAnswer(natPmp, other)).toBeUndefined();
        const nothing = new Uint8Array(16);
        const pcp = pcpAnswerTo(encodePcpMapRequest(request), externalPort, lifetimeSeconds, nothing);
        expect(decodePcpMapAnswer(pcp, { ...request, nonce: other.nonce }) === undefined).toBe(
          Buffer.compare(request.nonce, other.nonce) !== 0,
        );
      }),
      3_000,
    );
  });

  it('answers decode to a sound mapping, a known refusal or nothing, and never throw', () => {
    const natPmp = anyRequest.map((request) => natPmpAnswerTo(encodeNatPmpMapRequest(request), 1, 1));
    const pcp = anyRequest.map((request) =>
      pcpAnswerTo(encodePcpMapRequest(request), 1, 1, new Uint8Array(16)),
    );
    const address = fc
      .uint8Array({ minLength: 10, maxLength: 10 })
      .map((rest) => Uint8Array.from([0, 128, 0, 0, ...rest.subarray(2)]));
    const kinds = new Set<string | undefined>();
    checkProperty(
      fc.property(anyRequest, nearly(fc.oneof(natPmp, pcp, address)), (any, bytes) => {
        // The request that the bytes may be an answer to, else most would be some other's.
        const isTcp = bytes[1] === 130 || bytes[36] === 6;
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        const natPmpRequest: MapRequest = {
          ...any,
          transport: isTcp ? 'tcp' : 'udp',
          internalPort: bytes.length >= 10 ? view.getUint16(8) : any.internalPort,
        };
        expectSound(decodeNatPmpMapAnswer(bytes, natPmpRequest), natPmpRequest);
        const pcpRequest: PcpMapRequest = {
          ...natPmpRequest,
          internalPort: bytes.length >= 42 ? view.getUint16(40) : any.internalPort,
          nonce: bytes.length >= 36 ? bytes.slice(24, 36) : any.nonce,
        };
        const answer = decodePcpMapAnswer(bytes, pcpRequest);
        expectSound(answer, pcpRequest);
        const told = decodeAddressAnswer(bytes);
        if (told?.kind === 'external-address') expect(parseIpAddress(told.address)).toHaveLength(4);
        kinds.add(answer?.kind).add(told?.kind);
      }),
      20_000,
    );
    expect(kinds).toEqual(new Set([undefined, 'mapped', 'refused', 'external-address']));
  });

  it('the question for the address is no answer to itself', () => {
    expect(decodeAddressAnswer(encodeAddressRequest())).toBeUndefined();
  });
});

describe('UPnP', () => {
  /** Text out of what such documents are made of, whole or in pieces. */
  const xml = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          ...['<service>', '</service>', '<serviceType>', '</serviceType>', '<controlURL>', '</controlURL>'],
          ...[
            'urn:schemas-upnp-org:service:WANIPConnection:1',
            '<URLBase>',
            '</URLBase>',
            '<errorCode>',
            '718',
          ],
          ...[
            '</errorCode>',
            '<NewExternalIPAddress>',
            '192.0.2.1',
            '</NewExternalIPAddress>',
            '<New',
            '>',
            '<',
          ],
          ...[
            'http://',
            'http://192.168.1.1:5000/',
            '//',
            '/ctl',
            '@',
            '%E0',
            ':',
            '&amp;',
            '&',
            ';',
            '\0',
            ' ',
          ],
        ),
        fc.webUrl(),
        anyAddress,
        fc.string({ maxLength: 6 }),
      ),
      { maxLength: 24 },
    )
    .map((parts) => parts.join(''));

  it('descriptions lead nowhere but to the router, over HTTP and without a password, and never throw', () => {
    let found = 0;
    const bait = xml.map(
      (inside) =>
        `<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>${inside}</controlURL></service>`,
    );
    checkProperty(
      fc.property(fc.oneof(xml, bait), (text) => {
        for (const { controlUrl } of decodeDescription(text, `http://${ROUTER}:5000/root.xml`)) {
          found += 1;
          const { protocol, hostname, username, password } = new URL(controlUrl);
          expect([protocol, hostname, username, password]).toEqual(['http:', ROUTER, '', '']);
        }
      }),
      10_000,
    );
    expect(found).toBeGreaterThan(1000);
  });

  it('answers decode to values, a fault of the protocol or a refusal, and never throw', () => {
    checkProperty(
      fc.property(xml, fc.constantFrom(0, 200, 404, 500), (body, status) => {
        const answer = decodeActionAnswer({ kind: 'answered', status, body });
        if (answer.kind === 'fault') expect(Number.isSafeInteger(answer.code)).toBe(true);
        if (answer.kind !== 'done') return;
        expect(status).toBe(200);
        const address = externalAddressOf(answer.values);
        if (address !== undefined) expect(parseIpAddress(address)).toBeDefined();
      }),
      10_000,
    );
  });

  it('actions have the arguments that they were given', () => {
    const service = {
      type: 'urn:schemas-upnp-org:service:WANIPConnection:1',
      controlUrl: `http://${ROUTER}/ctl`,
    };
    checkProperty(
      fc.property(anyRequest, (request) => {
        const { body } = encodeAddAction(service, request);
        const read = decodeActionAnswer({ kind: 'answered', status: 200, body });
        expect(read.kind === 'done' ? Object.fromEntries(read.values) : read).toMatchObject({
          NewExternalPort: String(request.externalPort),
          NewProtocol: request.transport.toUpperCase(),
          NewInternalPort: String(request.internalPort),
          NewInternalClient: request.internalAddress,
          NewLeaseDuration: String(request.lifetimeSeconds),
        });
      }),
      1_000,
    );
  });

  it('search answers lead nowhere but to the router, and never throw', () => {
    const line = fc.oneof(
      fc.constantFrom(
        'HTTP/1.1 200 OK',
        `ST: ${GATEWAY_DEVICES[0]}`,
        `LOCATION: http://${ROUTER}/`,
        'EXT:',
        '',
      ),
      fc.webUrl().map((url) => `Location: ${url}`),
      xml.map((text) => `LOCATION:${text}`),
      fc.string({ maxLength: 12 }),
    );
    const start = ['HTTP/1.1 200 OK', `ST: ${GATEWAY_DEVICES[0]}`];
    const text = fc.oneof(
      fc.array(line, { maxLength: 6 }).map((lines) => [...start, ...lines].join('\r\n')),
      fc.array(line, { maxLength: 8 }).map((lines) => lines.join('\n')),
    );
    const bytes = fc.oneof(
      text.map((answer) => new TextEncoder().encode(answer)),
      fc.uint8Array({ maxLength: 80 }),
    );
    checkProperty(
      fc.property(bytes, (answer) => {
        const url = urlOn(ROUTER, decodeSearchAnswer(answer) ?? '');
        if (url !== undefined) expect(new URL(url).hostname).toBe(ROUTER);
      }),
      10_000,
    );
  });
});
