/** The exchange that makes or removes one mapping, as a machine: to the packet, in virtual time. */
import { describe, expect, it } from 'vitest';
import type { PortMapperInput } from '../../../probe/classify/port-mappers/io.ts';
import {
  MAP_EXCHANGE_LIMIT_MS,
  MapExchange,
  type MapExchangeEvent,
  type MapExchangeOptions,
} from '../../../probe/classify/port-mappers/map-exchange.ts';
import type { MapAnswer } from '../../../shared/portmap/mapping.ts';
import { encodeNatPmpMapRequest } from '../../../shared/portmap/nat-pmp.ts';
import { encodePcpMapRequest } from '../../../shared/portmap/pcp.ts';
import { fromHex, toHex } from '../../vectors/hex.ts';
import {
  NAT_PMP_ADDRESS_ANSWER,
  NAT_PMP_MAP_ANSWER,
  NONCE,
  OUTSIDE,
  pcpAnswer,
  REMOVAL,
  REQUEST,
} from '../portmap/requests.ts';
import {
  datagram,
  external,
  fault,
  http,
  httpFailed,
  type Play,
  play,
  type Script,
  SERVICE,
} from './port-mapper-play.ts';

const PORT = REQUEST.externalPort;
const UPNP_LIMIT_MS = 4 * MAP_EXCHANGE_LIMIT_MS;
const REFUSED: PortMapperInput = { kind: 'refused' };
const SILENT: MapAnswer = { kind: 'refused', error: 'silent' };

function exchange(
  options: Pick<MapExchangeOptions, 'protocol'> & Partial<MapExchangeOptions>,
  script: Script = [],
): Play<MapExchangeEvent> {
  const service = options.protocol === 'upnp-igd' ? { service: SERVICE } : {};
  const machine = new MapExchange({ request: REQUEST, nonce: NONCE, otherPorts: [], ...service, ...options });
  return play(machine, script);
}

function done(atMs: number, answer: MapAnswer): Play<MapExchangeEvent>['events'] {
  return [{ atMs, event: { kind: 'done', answer } }];
}

const DATAGRAM_PROTOCOLS = [
  {
    protocol: 'nat-pmp',
    ask: toHex(encodeNatPmpMapRequest(REQUEST)),
    askRemoval: toHex(encodeNatPmpMapRequest(REMOVAL)),
    granted: NAT_PMP_MAP_ANSWER,
    refused: fromHex('0081 0004 00012345 a028 0000 00000000'),
    removed: fromHex('0081 0000 00012345 a028 0000 00000000'),
    mapped: { kind: 'mapped', externalPort: PORT, lifetimeSeconds: 7200 },
    strangers: [
      NAT_PMP_ADDRESS_ANSWER,
      pcpAnswer(),
      fromHex('0082 0000 00012345 a028 b26e 00001c20'),
      fromHex('0081 0000 00012345 a029 b26e 00001c20'),
      fromHex(''),
    ],
  },
  {
    protocol: 'pcp',
    ask: toHex(encodePcpMapRequest({ ...REQUEST, nonce: NONCE })),
    askRemoval: toHex(encodePcpMapRequest({ ...REMOVAL, nonce: NONCE })),
    granted: pcpAnswer(),
    refused: pcpAnswer({ result: '08', externalAddress: '00000000000000000000000000000000' }),
    removed: pcpAnswer({ lifetime: '00000000', externalPort: '0000' }),
    mapped: { kind: 'mapped', externalPort: PORT, lifetimeSeconds: 7200, externalAddress: OUTSIDE },
    strangers: [
      NAT_PMP_ADDRESS_ANSWER,
      pcpAnswer({ nonce: 'ffffffffffffffffffffffff' }),
      pcpAnswer({ protocol: '06' }),
      pcpAnswer({ internalPort: 'a029' }),
      pcpAnswer({ op: '01' }),
    ],
  },
] as const;

describe.each(DATAGRAM_PROTOCOLS)('by $protocol', (of) => {
  const { protocol, ask, askRemoval, granted, refused, removed, mapped, strangers } = of;

  it('asks once if it is answered', () => {
    const { actions, events, endedMs } = exchange({ protocol }, [[8, datagram(granted)]]);
    expect(actions).toEqual([`0 send ${ask}`]);
    expect(events).toEqual(done(8, mapped));
    expect(endedMs).toBe(8);
  });

  it('asks the same four times, twice as long apart each time, and gives up after 3 s', () => {
    const { actions, events } = exchange({ protocol });
    expect(actions).toEqual([0, 250, 750, 1750].map((ms) => `${ms} send ${ask}`));
    expect(events).toEqual(done(MAP_EXCHANGE_LIMIT_MS, SILENT));
  });

  it('is granted it by a router that answers the fourth time only', () => {
    const { actions, events } = exchange({ protocol }, [[1790, datagram(granted)]]);
    expect(actions).toHaveLength(4);
    expect(events).toEqual(done(1790, mapped));
  });

  it('takes a refusal', () => {
    const { events } = exchange({ protocol }, [[8, datagram(refused)]]);
    expect(events).toEqual(done(8, { kind: 'refused', error: 'no-resources' }));
  });

  it('takes an ICMP error for nobody there', () => {
    expect(exchange({ protocol }, [[5, REFUSED]]).events).toEqual(done(5, SILENT));
  });

  it('goes on past answers to something else', () => {
    const script = strangers.map((bytes, index) => [10 + index, datagram(bytes)] as const);
    const { actions, events } = exchange({ protocol }, [...script, [260, datagram(granted)]]);
    expect(actions).toEqual([0, 250].map((ms) => `${ms} send ${ask}`));
    expect(events).toEqual(done(260, mapped));
  });

  it('has no ear for UPnP', () => {
    const stray: Script = [
      [5, http(0, 'x')],
      [6, http(1, 'x')],
      [7, { kind: 'search-answer', from: { address: '192.168.1.1', port: 1900 }, bytes: granted }],
    ];
    expect(exchange({ protocol }, stray)).toEqual(exchange({ protocol }));
  });

  it('removes with the request that made it, of lifetime 0', () => {
    const { actions, events } = exchange({ protocol, request: REMOVAL }, [[4, datagram(removed)]]);
    expect(actions).toEqual([`0 send ${askRemoval}`]);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ event: { answer: { kind: 'mapped', lifetimeSeconds: 0 } } });
  });

  it('tells when a removal was put off', () => {
    const { events } = exchange({ protocol, request: REMOVAL }, [[4, datagram(granted)]]);
    expect(events).toEqual(done(4, mapped));
  });

  it('hears nothing after its end', () => {
    const { events } = exchange({ protocol }, [
      [8, datagram(granted)],
      [9, datagram(refused)],
      [10, REFUSED],
    ]);
    expect(events).toEqual(done(8, mapped));
  });
});

describe('by UPnP', () => {
  const protocol = 'upnp-igd';
  const FREE = 714;
  const asking = (atMs: number, externalPort: number): Play<MapExchangeEvent>['events'] => [
    { atMs, event: { kind: 'asking', externalPort } },
  ];

  it('looks whether the port is free, maps it, asks for the outer address', () => {
    const { actions, events, endedMs } = exchange({ protocol }, [
      [5, fault(1, FREE)],
      [10, http(2, '')],
      [15, external(3, OUTSIDE)],
    ]);
    expect(actions).toEqual([
      `0 GetSpecificPortMappingEntry ${PORT}`,
      `5 AddPortMapping ${PORT} for 7200`,
      '10 GetExternalIPAddress',
    ]);
    expect(events).toEqual([
      ...asking(5, PORT),
      ...done(15, {
        kind: 'mapped',
        externalPort: PORT,
        lifetimeSeconds: 7200,
        externalAddress: OUTSIDE,
      }),
    ]);
    expect(endedMs).toBe(15);
  });

  it.each([
    ['doesn’t say', external(3, '')],
    ['refuses to say', fault(3, 501)],
    ['no longer answers', httpFailed(3)],
  ])('has the mapping though the router %s its outer address', (_what, answer) => {
    const { events } = exchange({ protocol }, [
      [5, fault(1, FREE)],
      [10, http(2, '')],
      [15, answer],
    ]);
    expect(events.at(-1)!.event).toEqual({
      kind: 'done',
      answer: { kind: 'mapped', externalPort: PORT, lifetimeSeconds: 7200 },
    });
  });

  it('asks for ever where the router knows no lifetimes', () => {
    const { actions, events } = exchange({ protocol }, [
      [5, fault(1, FREE)],
      [10, fault(2, 725)],
      [15, http(3, '')],
      [20, external(4, OUTSIDE)],
    ]);
    expect(actions.slice(1, 3)).toEqual([
      `5 AddPortMapping ${PORT} for 7200`,
      `10 AddPortMapping ${PORT} for 0`,
    ]);
    expect(events.at(-1)!.event).toMatchObject({
      answer: { kind: 'mapped', lifetimeSeconds: 'unlimited' },
    });
  });

  it('does not ask for ever twice', () => {
    const { events } = exchange({ protocol }, [
      [5, fault(1, FREE)],
      [10, fault(2, 725)],
      [15, fault(3, 725)],
    ]);
    expect(events.at(-1)).toEqual(done(15, { kind: 'refused', error: 'refused' })[0]);
  });

  it('tries the other ports in turn where one is held, or given away in between', () => {
    const { actions, events } = exchange({ protocol, otherPorts: [20_001, 20_002] }, [
      [1, http(1, '<NewInternalClient>192.168.1.9</NewInternalClient>')],
      [2, fault(2, FREE)],
      [3, fault(3, 718)],
      [4, fault(4, FREE)],
      [5, http(5, '')],
      [6, external(6, OUTSIDE)],
    ]);
    expect(actions).toEqual([
      `0 GetSpecificPortMappingEntry ${PORT}`,
      '1 GetSpecificPortMappingEntry 20001',
      '2 AddPortMapping 20001 for 7200',
      '3 GetSpecificPortMappingEntry 20002',
      '4 AddPortMapping 20002 for 7200',
      '5 GetExternalIPAddress',
    ]);
    expect(events.slice(0, -1)).toEqual([...asking(2, 20_001), ...asking(4, 20_002)]);
    expect(events.at(-1)!.event).toMatchObject({ answer: { kind: 'mapped', externalPort: 20_002 } });
  });

  it('says conflict where all are held', () => {
    const { events } = exchange({ protocol, otherPorts: [20_001] }, [
      [1, http(1, '')],
      [2, fault(2, FREE)],
      [3, fault(3, 729)],
    ]);
    expect(events.at(-1)).toEqual(done(3, { kind: 'refused', error: 'conflict' })[0]);
  });

  it.each([401, 402, 501, 606])('asks for the port although the router answers the look with %d', (code) => {
    const { actions } = exchange({ protocol }, [[5, fault(1, code)]]);
    expect(actions.at(-1)).toBe(`5 AddPortMapping ${PORT} for 7200`);
  });

  it.each([
    [401, 'unsupported'],
    [501, 'refused'],
    [606, 'not-authorized'],
    [728, 'no-resources'],
  ] as const)('is refused by fault %d: %s', (code, error) => {
    const { events } = exchange({ protocol, otherPorts: [20_001] }, [
      [5, fault(1, FREE)],
      [10, fault(2, code)],
    ]);
    expect(events).toEqual([...asking(5, PORT), ...done(10, { kind: 'refused', error })]);
  });

  it.each([
    ['silence', httpFailed(2), 'silent'],
    ['nonsense', http(2, '<html>', 404), 'malformed'],
  ] as const)('ends at %s, the port named that may be mapped', (_what, answer, error) => {
    const { events } = exchange({ protocol, otherPorts: [20_001] }, [
      [5, fault(1, FREE)],
      [10, answer],
    ]);
    expect(events).toEqual([...asking(5, PORT), ...done(10, { kind: 'refused', error })]);
  });

  it('ends without having asked for anything where the first look fails', () => {
    expect(exchange({ protocol }, [[5, httpFailed(1)]]).events).toEqual(done(5, SILENT));
    const nonsense = exchange({ protocol }, [[5, http(1, '', 500)]]);
    expect(nonsense.events).toEqual(done(5, { kind: 'refused', error: 'malformed' }));
  });

  it('repeats nothing, waits for each exchange as long as its driver does, and ends after 12 s', () => {
    const { actions, events } = exchange({ protocol });
    expect(actions).toEqual([`0 GetSpecificPortMappingEntry ${PORT}`]);
    expect(events).toEqual(done(UPNP_LIMIT_MS, SILENT));
  });

  it('hears no datagram, no ICMP error, and no other exchange', () => {
    const { actions, events } = exchange({ protocol }, [
      [1, datagram(NAT_PMP_MAP_ANSWER)],
      [2, REFUSED],
      [3, http(2, '')],
      [4, fault(0, 606)],
      [5, fault(1, FREE)],
      [6, fault(1, 606)],
    ]);
    expect(actions).toHaveLength(2);
    expect(events).toEqual([...asking(5, PORT), ...done(UPNP_LIMIT_MS, SILENT)]);
  });

  it.each([
    ['removed', http(1, ''), { kind: 'mapped', externalPort: PORT, lifetimeSeconds: 0 }],
    ['was not there', fault(1, FREE), { kind: 'mapped', externalPort: PORT, lifetimeSeconds: 0 }],
    ['may not be removed', fault(1, 606), { kind: 'refused', error: 'not-authorized' }],
    ['answered by nonsense', http(1, '', 404), { kind: 'refused', error: 'malformed' }],
    ['not answered', httpFailed(1), SILENT],
  ] as const)('removes a mapping by its external port, which is %s', (_what, answer, result) => {
    const { actions, events } = exchange({ protocol, request: REMOVAL }, [[5, answer]]);
    expect(actions).toEqual([`0 DeletePortMapping ${PORT}`]);
    expect(events).toEqual(done(5, result));
  });

  it('is nothing without a service to ask', () => {
    const options = { request: REQUEST, nonce: NONCE, otherPorts: [] };
    expect(() => new MapExchange({ protocol, ...options })).toThrow(RangeError);
  });
});
