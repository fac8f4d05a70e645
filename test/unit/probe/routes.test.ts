/** Routes, as the systems print them. */
import { describe, expect, it } from 'vitest';
import {
  parseLinuxIpv4Routes,
  parseLinuxIpv6Routes,
  parseRouteGet,
  parseWindowsRoutes,
  type Route,
  routeTo,
} from '../../../probe/drive/routes.ts';

describe('/proc/net/route', () => {
  const HEAD =
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                     ';
  const TEXT = [
    HEAD,
    'eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0              ',
    'wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0           ',
    'eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0              ',
    'wg0\t0000400A\t00000000\t0001\t0\t0\t0\t0000C0FF\t0\t0\t0               ',
    // Down; and unreachable by order.
    'eth1\t00000000\t010310AC\t0002\t0\t0\t0\t00000000\t0\t0\t0              ',
    '*\t0000000A\t00000000\t0201\t0\t0\t0\t000000FF\t0\t0\t0                 ',
    // By way of an IPv6 router, as the kernel shows it.
    'eth0\t007100CB\t00000000\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0              ',
    '',
  ].join('\n');

  it('is read with its numbers in the order of a little-endian machine', () => {
    expect(parseLinuxIpv4Routes(TEXT, true)).toEqual([
      { destination: '0.0.0.0', prefixLength: 0, gateway: '192.0.2.1', interface: 'eth0', metric: 0 },
      { destination: '0.0.0.0', prefixLength: 0, gateway: '192.168.1.1', interface: 'wlan0', metric: 600 },
      { destination: '192.0.2.0', prefixLength: 24, interface: 'eth0', metric: 0 },
      { destination: '10.64.0.0', prefixLength: 10, interface: 'wg0', metric: 0 },
      { destination: '203.0.113.0', prefixLength: 24, interface: 'eth0', metric: 0 },
    ]);
  });

  it('is read with its numbers in the order of a big-endian machine', () => {
    const text = `${HEAD}\neth0\t0A000000\tC0000201\t0003\t0\t0\t7\tFF000000\t0\t0\t0\n`;
    expect(parseLinuxIpv4Routes(text, false)).toEqual([
      { destination: '10.0.0.0', prefixLength: 8, gateway: '192.0.2.1', interface: 'eth0', metric: 7 },
    ]);
  });

  it.each(['', '\n', HEAD, 'eth0', 'eth0\tzz\tzz', 'eth0\t00000000\t010200C0'])('has none in %j', (text) => {
    expect(parseLinuxIpv4Routes(text, true)).toEqual([]);
  });
});

describe('/proc/net/ipv6_route', () => {
  const ZERO = '0'.repeat(32);
  const TEXT = [
    `fd000000000000000000000000000000 40 ${ZERO} 00 ${ZERO} 00000100 00000001 00000000 00000001     eth0`,
    `${ZERO} 00 ${ZERO} 00 fe800000000000000000000000000001 00000400 00000002 00000000 00000003     eth0`,
    `20010db8000100000000000000000000 30 ${ZERO} 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0`,
    `00000000000000000000ffff00000000 60 ${ZERO} 00 ${ZERO} 00000400 00000001 00000000 00000001     eth0`,
    // This machine's own address, which the kernel keeps here as well; and what is not to be reached.
    `00000000000000000000000000000001 80 ${ZERO} 00 ${ZERO} 00000000 00000002 00000000 80200001       lo`,
    `20010db8ffff00000000000000000000 30 ${ZERO} 00 ${ZERO} 00000400 00000001 00000000 00200201       lo`,
    `${ZERO} 00 ${ZERO} 00 ${ZERO} ffffffff 00000001 00000000 00200200       lo`,
    '',
  ].join('\n');

  it('is read', () => {
    expect(parseLinuxIpv6Routes(TEXT)).toEqual([
      { destination: 'fd00::', prefixLength: 64, interface: 'eth0', metric: 256 },
      { destination: '::', prefixLength: 0, gateway: 'fe80::1', interface: 'eth0', metric: 1024 },
      { destination: '2001:db8:1::', prefixLength: 48, gateway: 'fd00::1', interface: 'eth0', metric: 1024 },
      { destination: '::ffff:0.0.0.0', prefixLength: 96, interface: 'eth0', metric: 1024 },
      { destination: '::1', prefixLength: 128, interface: 'lo', metric: 0 },
    ]);
  });

  it('leads to what it says, also past destinations that look like IPv4', () => {
    const routes = parseLinuxIpv6Routes(TEXT);
    expect(routeTo(routes, '2001:db8:1::7', 'eth0')?.gateway).toBe('fd00::1');
    expect(routeTo(routes, '2001:db8:2::7', 'eth0')?.gateway).toBe('fe80::1');
    expect(routeTo(routes, 'fd00::7', 'eth0')?.gateway).toBeUndefined();
    expect(routeTo(routes, '::ffff:192.0.2.1', 'eth0')?.prefixLength).toBe(96);
    expect(routeTo(routes, '2001:db8::1', 'lo')).toBeUndefined();
  });

  it.each(['', '\n', 'eth0', ZERO])('has none in %j', (text) => {
    expect(parseLinuxIpv6Routes(text)).toEqual([]);
  });
});

describe('route -n get', () => {
  function output(fields: readonly string[]): string {
    return `   route to: 198.51.100.1\n${fields.join('\n')}
 recvpipe  sendpipe  ssthresh  rtt,msec    rttvar  hopcount      mtu     expire
       0         0         0         0         0         0      1500         0 \n`;
  }

  const ROUTED = [
    'destination: default',
    '       mask: default',
    '    gateway: 192.168.1.1',
    '  interface: en0',
    '      flags: <UP,GATEWAY,DONE,STATIC,PRCLONING,GLOBAL>',
  ];

  it('tells the router and the interface', () => {
    expect(parseRouteGet(output(ROUTED), '198.51.100.1')).toEqual([
      {
        destination: '198.51.100.1',
        prefixLength: 32,
        gateway: '192.168.1.1',
        interface: 'en0',
        metric: 0,
      },
    ]);
  });

  it('tells an IPv6 router without its zone', () => {
    const text = output(ROUTED.map((line) => line.replace('192.168.1.1', 'fe80::1%en0')));
    expect(parseRouteGet(text, '2001:db8::1')).toEqual([
      { destination: '2001:db8::1', prefixLength: 128, gateway: 'fe80::1', interface: 'en0', metric: 0 },
    ]);
  });

  it.each([
    ['a link', '    gateway: link#4', '<UP,DONE,CLONING,STATIC>'],
    ['a neighbour’s hardware address', '    gateway: 2:50:0:0:0:1', '<UP,HOST,DONE,LLINFO,WASCLONED>'],
    ['this machine’s own address', '    gateway: 192.168.1.20', '<UP,DONE,CLONING,CONNECTED>'],
    ['nothing', '', '<UP,DONE>'],
  ])('tells no router where there is %s for one', (_what, gateway, flags) => {
    const text = output(['destination: 198.51.100.0', gateway, '  interface: em0', `      flags: ${flags}`]);
    expect(parseRouteGet(text, '198.51.100.1')).toEqual([
      { destination: '198.51.100.1', prefixLength: 32, interface: 'em0', metric: 0 },
    ]);
  });

  it.each(['', 'route: writing to routing socket: not in table\n', '   route to: 198.51.100.1\n'])(
    'tells no route by %j',
    (text) => {
      expect(parseRouteGet(text, '198.51.100.1')).toEqual([]);
    },
  );
});

describe('route print -4', () => {
  function output(onLink: string): string {
    return [
      '===========================================================================',
      'Interface List',
      ' 12...00 15 5d 01 02 03 ......Hyper-V Virtual Ethernet Adapter',
      '  1...........................Software Loopback Interface 1',
      '===========================================================================',
      '',
      'IPv4 Route Table',
      '===========================================================================',
      'Active Routes:',
      'Network Destination        Netmask          Gateway       Interface  Metric',
      '          0.0.0.0          0.0.0.0      192.168.1.1     192.168.1.20     25',
      '          0.0.0.0          0.0.0.0     192.168.44.1    192.168.44.20     50',
      `        127.0.0.0        255.0.0.0         ${onLink}         127.0.0.1    331`,
      `      192.168.1.0    255.255.255.0         ${onLink}      192.168.1.20    281`,
      `     192.168.1.20  255.255.255.255         ${onLink}      192.168.1.20    281`,
      `        224.0.0.0        240.0.0.0         ${onLink}      192.168.1.20    281`,
      '===========================================================================',
      'Persistent Routes:',
      '  Network Address          Netmask  Gateway Address  Metric',
      '          0.0.0.0          0.0.0.0      192.168.1.1       1',
      '         10.0.0.0        255.0.0.0      192.168.1.2  Default ',
      '===========================================================================',
      '',
    ].join('\r\n');
  }

  it.each(['On-link', 'Auf Verbindung', 'En vínculo', '在链路上'])(
    'lists the active ones, “%s” for no router',
    (word) => {
      expect(parseWindowsRoutes(output(word))).toEqual([
        {
          destination: '0.0.0.0',
          prefixLength: 0,
          gateway: '192.168.1.1',
          interface: '192.168.1.20',
          metric: 25,
        },
        {
          destination: '0.0.0.0',
          prefixLength: 0,
          gateway: '192.168.44.1',
          interface: '192.168.44.20',
          metric: 50,
        },
        { destination: '127.0.0.0', prefixLength: 8, interface: '127.0.0.1', metric: 331 },
        { destination: '192.168.1.0', prefixLength: 24, interface: '192.168.1.20', metric: 281 },
        { destination: '192.168.1.20', prefixLength: 32, interface: '192.168.1.20', metric: 281 },
        { destination: '224.0.0.0', prefixLength: 4, interface: '192.168.1.20', metric: 281 },
      ]);
    },
  );

  it('leads to a neighbour without a router, in any language', () => {
    const routes = parseWindowsRoutes(output('Auf Verbindung'));
    expect(routeTo(routes, '192.168.1.30', '192.168.1.20')).toMatchObject({ prefixLength: 24 });
    expect(routeTo(routes, '192.168.1.30', '192.168.1.20')?.gateway).toBeUndefined();
    expect(routeTo(routes, '198.51.100.1', '192.168.44.20')?.gateway).toBe('192.168.44.1');
  });

  it('lists none of what is no table', () => {
    expect(parseWindowsRoutes('The requested operation requires elevation.\r\n')).toEqual([]);
    expect(parseWindowsRoutes('')).toEqual([]);
  });
});

describe('routeTo', () => {
  function route(destination: string, prefixLength: number, metric = 0, through = 'eth0'): Route {
    return {
      destination,
      prefixLength,
      gateway: `192.168.1.${prefixLength + metric}`,
      interface: through,
      metric,
    };
  }

  it.each([
    ['10.1.2.3', '10.1.2.0', 24],
    ['10.1.3.3', '10.1.0.0', 16],
    ['10.1.2.129', '10.1.2.128', 25],
    ['10.1.2.255', '10.1.2.255', 32],
    ['11.0.0.1', '0.0.0.0', 0],
  ])('takes the longest prefix for %s: %s/%d', (address, destination, prefixLength) => {
    const routes = [
      route('0.0.0.0', 0),
      route('10.1.2.0', 24),
      route('10.1.2.255', 32),
      route('10.1.0.0', 16),
      route('10.1.2.128', 25),
    ];
    expect(routeTo(routes, address, 'eth0')).toMatchObject({ destination, prefixLength });
  });

  it('then takes the least metric, and of those the first', () => {
    const routes = [
      route('0.0.0.0', 0, 9),
      route('0.0.0.0', 0, 3),
      { ...route('0.0.0.0', 0, 3), gateway: 'x' },
    ];
    expect(routeTo(routes, '198.51.100.1', 'eth0')).toBe(routes[1]);
  });

  it('takes only what goes through the interface', () => {
    const routes = [route('198.51.100.0', 24, 0, 'wg0'), route('0.0.0.0', 0)];
    expect(routeTo(routes, '198.51.100.1', 'eth0')?.prefixLength).toBe(0);
    expect(routeTo(routes, '198.51.100.1', 'eth1')).toBeUndefined();
  });

  it('never takes one of the other family', () => {
    expect(routeTo([route('::', 0)], '198.51.100.1', 'eth0')).toBeUndefined();
    expect(routeTo([route('0.0.0.0', 0)], '2001:db8::1', 'eth0')).toBeUndefined();
    expect(routeTo([route('0.0.0.0', 0)], 'example', 'eth0')).toBeUndefined();
  });
});
