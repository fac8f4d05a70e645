/** The search for port mappers as a machine: to the packet, in virtual time. */
import { describe, expect, it } from 'vitest';
import type { PortMapperInput } from '../../../probe/classify/port-mappers/io.ts';
import {
  PortMapperSearch,
  type PortMapperSearchEvent,
  SEARCH_LIMIT_MS,
} from '../../../probe/classify/port-mappers/search.ts';
import type { PortMapperEvidence } from '../../../shared/nat/evidence.ts';
import { encodePcpMapRequest, pcpQuestion } from '../../../shared/portmap/pcp.ts';
import { GATEWAY_DEVICES } from '../../../shared/portmap/ssdp.ts';
import { fromHex, toHex } from '../../vectors/hex.ts';
import { CLIENT, NAT_PMP_ADDRESS_ANSWER, NONCE, OUTSIDE, pcpAnswer, ROUTER } from '../portmap/requests.ts';
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

const SILENCE_LIMIT_MS = 1150;
const LOCATION = `http://${ROUTER}:5000/root.xml`;
const DESCRIPTION = `<service><serviceType>${SERVICE.type}</serviceType><controlURL>/ctl</controlURL></service>`;
const NO_ADDRESS = '00000000000000000000ffff00000000';

const ASK_NAT_PMP = 'send 0000';
const ASK_PCP = `send ${toHex(encodePcpMapRequest(pcpQuestion(CLIENT, NONCE)))}`;
const SEARCH = ['search InternetGatewayDevice:1', 'search InternetGatewayDevice:2'];

function at(ms: number, ...actions: readonly string[]): string[] {
  return actions.map((action) => `${ms} ${action}`);
}

function search(
  script: Script = [],
  change: { gateway?: string; local?: string } = {},
): Play<PortMapperSearchEvent> {
  const asked: number[] = [];
  const machine = new PortMapperSearch({
    gateway: ROUTER,
    local: CLIENT,
    ...change,
    random: (length) => {
      asked.push(length);
      return NONCE;
    },
  });
  const result = play(machine, script);
  expect(asked).toEqual([NONCE.length]);
  // Whatever happens: found one by one, then done with all of them, in time.
  const found = result.events.flatMap(({ event }) => (event.kind === 'found' ? [event.mapper] : []));
  expect(result.events.at(-1)!.event).toEqual({ kind: 'done', mappers: found });
  expect(result.events.at(-1)!.atMs).toBeLessThanOrEqual(SEARCH_LIMIT_MS);
  return result;
}

/** What was found, without what is the same for all. */
function found({ events }: Play<PortMapperSearchEvent>): Partial<PortMapperEvidence>[] {
  return events.flatMap(({ event }) => {
    if (event.kind !== 'found') return [];
    const { kind, gateway, ...rest } = event.mapper.evidence;
    expect([kind, gateway]).toEqual(['port-mapper', ROUTER]);
    return [rest];
  });
}

function doneMs({ events }: Play<PortMapperSearchEvent>): number {
  return events.at(-1)!.atMs;
}

/** The answer to the question that maps nothing. */
function pcpTo(change: Parameters<typeof pcpAnswer>[0] = {}): PortMapperInput {
  return datagram(pcpAnswer({ lifetime: '00000000', internalPort: '0009', externalPort: '0000', ...change }));
}

function searchAnswer(
  location = LOCATION,
  from = ROUTER,
  device: string = GATEWAY_DEVICES[0],
): PortMapperInput {
  const text = `HTTP/1.1 200 OK\r\nST: ${device}\r\nLOCATION: ${location}\r\n\r\n`;
  return {
    kind: 'search-answer',
    from: { address: from, port: 1900 },
    bytes: new TextEncoder().encode(text),
  };
}

const NAT_PMP = datagram(NAT_PMP_ADDRESS_ANSWER);
const REFUSED: PortMapperInput = { kind: 'refused' };

describe('where nobody answers', () => {
  it('asks in all three ways at once, again each quarter of a second, and is done after 1.15 s', () => {
    const silence = search();
    expect(silence.actions).toEqual([
      ...at(0, ASK_NAT_PMP, ASK_PCP, ...SEARCH),
      ...at(100, ...SEARCH),
      ...[250, 500, 750, 1000].flatMap((ms) => at(ms, ASK_NAT_PMP, ASK_PCP)),
    ]);
    expect(silence.events).toEqual([{ atMs: SILENCE_LIMIT_MS, event: { kind: 'done', mappers: [] } }]);
    expect(silence.endedMs).toBe(SILENCE_LIMIT_MS);
  });

  it('asks no more of a router that has no such port, and goes on searching by multicast', () => {
    const refused = search([[3, REFUSED]]);
    expect(refused.actions).toEqual([...at(0, ASK_NAT_PMP, ASK_PCP, ...SEARCH), ...at(100, ...SEARCH)]);
    expect(doneMs(refused)).toBe(SILENCE_LIMIT_MS);
  });

  it('asks by PCP alone over IPv6, and is done once that is refused', () => {
    const local = '2001:db8::2';
    const ask = `send ${toHex(encodePcpMapRequest(pcpQuestion(local, NONCE)))}`;
    const six = { gateway: 'fe80::1', local };
    expect(search([], six).actions).toEqual([0, 250, 500, 750, 1000].map((ms) => `${ms} ${ask}`));
    const refused = search([[7, REFUSED]], six);
    expect([refused.actions, doneMs(refused)]).toEqual([at(0, ask), 7]);
  });
});

describe('a router that speaks all three', () => {
  it('is found with its outer address, and no more is asked of it', () => {
    const all = search([
      [2, NAT_PMP],
      [3, pcpTo()],
      [40, searchAnswer()],
      [45, http(1, DESCRIPTION)],
      [50, external(2, OUTSIDE)],
    ]);
    expect(all.actions).toEqual([
      ...at(0, ASK_NAT_PMP, ASK_PCP, ...SEARCH),
      `40 GET ${LOCATION}`,
      '45 GetExternalIPAddress',
    ]);
    expect(found(all)).toEqual([
      { protocol: 'nat-pmp', latencyMs: 2, externalAddress: OUTSIDE },
      { protocol: 'pcp', latencyMs: 3, externalAddress: OUTSIDE },
      { protocol: 'upnp-igd', latencyMs: 50, externalAddress: OUTSIDE },
    ]);
    expect(all.events.at(-2)).toMatchObject({ atMs: 50, event: { mapper: { service: SERVICE } } });
    expect([doneMs(all), all.endedMs]).toEqual([50, 50]);
  });

  it('is found within 300 ms and 1.5 s also where the first question of each is lost', () => {
    const lossy = search([
      [255, NAT_PMP],
      [258, pcpTo()],
      // The device takes all of the second that it may, and then for its exchanges.
      [1105, searchAnswer()],
      [1250, http(1, DESCRIPTION)],
      [1400, external(2, OUTSIDE)],
    ]);
    expect(found(lossy).map(({ protocol, latencyMs }) => [protocol, latencyMs])).toEqual([
      ['nat-pmp', 255],
      ['pcp', 258],
      ['upnp-igd', 1400],
    ]);
  });

  it('is found by its answer to the last question', () => {
    const late = search([
      [1010, NAT_PMP],
      [1011, pcpTo()],
    ]);
    expect(late.actions.filter((line) => line.endsWith(ASK_NAT_PMP))).toHaveLength(5);
    expect(found(late).map(({ latencyMs }) => latencyMs)).toEqual([1010, 1011]);
    expect(doneMs(late)).toBe(SILENCE_LIMIT_MS);
  });

  it('is asked the rest once one protocol has answered', () => {
    const half = search([[10, NAT_PMP]]);
    expect(half.actions.slice(4)).toEqual([
      ...at(100, ...SEARCH),
      ...[250, 500, 750, 1000].map((ms) => `${ms} ${ASK_PCP}`),
    ]);
  });

  it('counts once however often it answers', () => {
    const twice = search([
      [1, NAT_PMP],
      [2, NAT_PMP],
      [3, pcpTo()],
      [4, pcpTo()],
      [5, searchAnswer()],
      [6, searchAnswer(LOCATION, ROUTER, GATEWAY_DEVICES[1])],
      [7, http(1, DESCRIPTION)],
      [8, http(1, DESCRIPTION)],
      [9, external(2, OUTSIDE)],
    ]);
    expect(found(twice)).toHaveLength(3);
    expect(twice.actions.filter((line) => line.includes('GET '))).toEqual([`5 GET ${LOCATION}`]);
    expect(doneMs(twice)).toBe(9);
  });
});

describe('a datagram', () => {
  it.each<readonly [string, PortMapperInput, Partial<PortMapperEvidence>]>([
    [
      'NAT-PMP without a line',
      datagram(fromHex('0080 0003 00012345 00000000')),
      { protocol: 'nat-pmp', error: 'no-external-address' },
    ],
    [
      'NAT-PMP that is switched off',
      datagram(fromHex('0080 0002 00012345')),
      { protocol: 'nat-pmp', error: 'not-authorized' },
    ],
    [
      'NAT-PMP cut off',
      datagram(fromHex('0080 0000 00012345 c000')),
      { protocol: 'nat-pmp', error: 'malformed' },
    ],
    [
      'PCP without a line',
      pcpTo({ result: '07', externalAddress: NO_ADDRESS }),
      { protocol: 'pcp', error: 'no-external-address' },
    ],
    [
      'PCP behind a NAT of this house',
      pcpTo({ result: '0c', externalAddress: NO_ADDRESS }),
      { protocol: 'pcp', error: 'address-mismatch' },
    ],
    ['PCP with nothing to say', pcpTo({ externalAddress: NO_ADDRESS }), { protocol: 'pcp' }],
    // As miniupnpd refuses to remove what isn't there.
    ['PCP that can’t remove nothing', pcpTo({ result: '08' }), { protocol: 'pcp', externalAddress: OUTSIDE }],
    [
      'PCP that may not remove nothing',
      pcpTo({ result: '02' }),
      { protocol: 'pcp', externalAddress: OUTSIDE },
    ],
  ])('of %s is a finding', (_what, input, evidence) => {
    expect(found(search([[12, input]]))).toEqual([{ latencyMs: 12, ...evidence }]);
  });

  it.each([
    ['NAT-PMP of another version', '0080 0001 00012345', ASK_PCP],
    ['a server of NAT-PMP alone to PCP', '0081 0001 00012345', ASK_NAT_PMP],
    ['a server of an older PCP', '0181 0001 00000000 00012345', ASK_NAT_PMP],
  ])('of %s ends that question, finds nothing, and leaves the other', (_what, hex, goesOn) => {
    const other = search([[12, datagram(fromHex(hex))]]);
    expect(found(other)).toEqual([]);
    expect(other.actions.slice(6)).toEqual([250, 500, 750, 1000].map((ms) => `${ms} ${goesOn}`));
  });

  it.each([
    ['nothing', ''],
    ['noise', 'ffffffffffffffff'],
    ['a question', '0000'],
    [
      'PCP’s answer to another nonce',
      toHex(pcpAnswer({ nonce: 'ffffffffffffffffffffffff', internalPort: '0009' })),
    ],
    ['PCP’s answer about another port', toHex(pcpAnswer())],
  ])('of %s changes nothing', (_what, hex) => {
    const noise = search([[12, datagram(fromHex(hex))]]);
    expect(noise).toEqual(search());
  });
});

describe('an answer to the search', () => {
  it.each([
    ['of a stranger', searchAnswer(LOCATION, '192.168.1.7')],
    ['that leads to a stranger', searchAnswer('http://192.168.1.7:5000/root.xml')],
    ['that leads to a name', searchAnswer('http://router.example/root.xml')],
    ['over HTTPS', searchAnswer(`https://${ROUTER}/root.xml`)],
    ['with a password', searchAnswer(`http://%E0:x@${ROUTER}/root.xml`)],
    ['of another device', searchAnswer(LOCATION, ROUTER, 'upnp:rootdevice')],
    ['without a location', searchAnswer('')],
  ])('%s is not followed', (_what, input) => {
    expect(search([[12, input]])).toEqual(search());
  });

  it('of a stranger leaves the router its own', () => {
    const script: Script = [
      [5, searchAnswer('http://192.168.1.7/evil.xml', '192.168.1.7')],
      [9, searchAnswer()],
    ];
    expect(search(script).actions).toContain(`9 GET ${LOCATION}`);
  });

  it('ends the searching, and the whole no later than 1.15 s once the device is done', () => {
    const only = search([
      [50, searchAnswer()],
      [60, http(1, DESCRIPTION)],
      [70, external(2, OUTSIDE)],
    ]);
    expect(only.actions.filter((line) => line.includes('search'))).toEqual(at(0, ...SEARCH));
    expect(doneMs(only)).toBe(SILENCE_LIMIT_MS);
  });
});

describe('a device that is asked', () => {
  const ASKED: Script = [
    [20, searchAnswer()],
    [21, REFUSED],
  ];

  function ask(...answers: Script): Play<PortMapperSearchEvent> {
    return search([...ASKED, ...answers]);
  }

  it.each<readonly [string, Script, Partial<PortMapperEvidence>]>([
    ['whose description doesn’t come', [[30, httpFailed(1)]], { error: 'silent', latencyMs: 30 }],
    ['that has no description', [[30, http(1, DESCRIPTION, 404)]], { error: 'malformed', latencyMs: 30 }],
    ['that redirects', [[30, http(1, DESCRIPTION, 301)]], { error: 'malformed', latencyMs: 30 }],
    ['that describes something else', [[30, http(1, '<html>')]], { error: 'malformed', latencyMs: 30 }],
    [
      'that has no address',
      [
        [30, http(1, DESCRIPTION)],
        [33, external(2, '0.0.0.0')],
      ],
      { error: 'no-external-address', latencyMs: 33 },
    ],
    [
      'whose line is down',
      [
        [30, http(1, DESCRIPTION)],
        [33, fault(2, 501)],
      ],
      { error: 'no-external-address', latencyMs: 33 },
    ],
    [
      'that forbids it',
      [
        [30, http(1, DESCRIPTION)],
        [33, fault(2, 606)],
      ],
      { error: 'not-authorized', latencyMs: 33 },
    ],
    [
      'that answers nonsense',
      [
        [30, http(1, DESCRIPTION)],
        [33, http(2, '', 404)],
      ],
      { error: 'malformed', latencyMs: 33 },
    ],
    [
      'that stops answering',
      [
        [30, http(1, DESCRIPTION)],
        [33, httpFailed(2)],
      ],
      { error: 'silent', latencyMs: 33 },
    ],
  ])('%s is found, and what is wrong with it', (_what, answers, evidence) => {
    const result = ask(...answers);
    expect(found(result)).toEqual([{ protocol: 'upnp-igd', ...evidence }]);
    // The others have refused: there is nothing to wait for.
    expect(doneMs(result)).toBe(evidence.latencyMs);
  });

  it('that doesn’t know the action is none', () => {
    expect(found(ask([30, http(1, DESCRIPTION)], [33, fault(2, 401)]))).toEqual([]);
  });

  it('that never answers is given up after 1.5 s', () => {
    const never = ask([30, http(1, DESCRIPTION)]);
    expect(found(never)).toEqual([{ protocol: 'upnp-igd', error: 'silent', latencyMs: SEARCH_LIMIT_MS }]);
  });

  it('is heard on the exchange that is under way alone', () => {
    const confused = ask(
      [25, http(7, DESCRIPTION)],
      [30, http(1, DESCRIPTION)],
      [31, external(1, '192.0.2.9')],
      [33, external(2, OUTSIDE)],
    );
    expect(found(confused)).toEqual([{ protocol: 'upnp-igd', latencyMs: 33, externalAddress: OUTSIDE }]);
  });

  it('is asked on each of its lines until one has an address', () => {
    const two = `${DESCRIPTION}<service><serviceType>urn:schemas-upnp-org:service:WANPPPConnection:1</serviceType><controlURL>/ppp</controlURL></service>`;
    const second = ask([30, http(1, two)], [33, external(2, '')], [36, external(3, OUTSIDE)]);
    expect(second.actions.slice(-3)).toEqual([
      `20 GET ${LOCATION}`,
      '30 GetExternalIPAddress',
      '33 GetExternalIPAddress',
    ]);
    expect(second.events[0]).toMatchObject({
      event: {
        mapper: {
          evidence: { externalAddress: OUTSIDE },
          service: { controlUrl: `http://${ROUTER}:5000/ppp` },
        },
      },
    });
    const none = ask([30, http(1, two)], [33, external(2, '0.0.0.0')], [36, fault(3, 501)]);
    expect(none.events[0]).toMatchObject({
      event: { mapper: { evidence: { error: 'no-external-address' }, service: SERVICE } },
    });
  });
});

it('wants nothing and hears nothing once it is done', () => {
  const late = search([
    [3, REFUSED],
    [2000, NAT_PMP],
    [2001, searchAnswer()],
    [2002, http(1, DESCRIPTION)],
    [2003, REFUSED],
  ]);
  expect(late.events).toEqual([{ atMs: SILENCE_LIMIT_MS, event: { kind: 'done', mappers: [] } }]);
  expect(late.actions.filter((line) => line.startsWith('2'))).toEqual([]);
});
