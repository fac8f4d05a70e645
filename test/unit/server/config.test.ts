import { describe, expect, it } from 'vitest';
import { type ServerFlags, configureServer, describeEndpoints } from '../../../server/config.ts';
import { type LocalAddress, chooseAddresses, isLocalAddress } from '../../../server/local-addresses.ts';

const LOOPBACK: LocalAddress[] = [
  { interface: 'lo', family: 'ipv4', address: '127.0.0.1', prefixLength: 8, loopback: true },
  { interface: 'lo', family: 'ipv6', address: '::1', prefixLength: 128, loopback: true },
];
const LOCAL: LocalAddress[] = [
  ...LOOPBACK,
  { interface: 'eth0', family: 'ipv4', address: '192.0.2.1', prefixLength: 24, loopback: false },
  { interface: 'bridge0', family: 'ipv4', address: '172.17.0.1', prefixLength: 16, loopback: false },
  { interface: 'eth0', family: 'ipv4', address: '192.0.2.2', prefixLength: 24, loopback: false },
  { interface: 'eth0', family: 'ipv6', address: 'fe80::1', prefixLength: 64, loopback: false },
  { interface: 'eth0', family: 'ipv6', address: '2001:db8::1', prefixLength: 64, loopback: false },
];
const TWO: ServerFlags = { ip: ['192.0.2.1'], altIp: ['192.0.2.2'] };

function configure(flags: ServerFlags): ReturnType<typeof configureServer> {
  return configureServer(flags, LOCAL);
}

describe('addresses', () => {
  it('are those given, once a family, in any spelling', () => {
    const { families } = configure({
      ...TWO,
      ip: ['192.0.2.1', '2001:DB8:0::1'],
      port: '3000',
      altPort: '3001',
    });
    const endpoints = [
      { address: '192.0.2.1', port: 3000 },
      { address: '192.0.2.1', port: 3001 },
      { address: '192.0.2.2', port: 3000 },
      { address: '192.0.2.2', port: 3001 },
    ];
    const ipv6 = [
      { address: '2001:db8::1', port: 3000 },
      { address: '2001:db8::1', port: 3001 },
      undefined,
      undefined,
    ];
    expect(families).toEqual([
      { family: 'ipv4', bound: endpoints, advertised: endpoints },
      { family: 'ipv6', bound: ipv6, advertised: ipv6 },
    ]);
  });

  it('are chosen without --ip: reachable, the second from the same interface', () => {
    expect(chooseAddresses(LOCAL)).toEqual([
      { family: 'ipv4', primary: '192.0.2.1', alternate: '192.0.2.2' },
      { family: 'ipv6', primary: '2001:db8::1', alternate: undefined },
    ]);
    expect(configure({}).families.map(({ family }) => family)).toEqual(['ipv4', 'ipv6']);
    expect(configure({}).families[0]!.bound[0]).toEqual({ address: '192.0.2.1', port: 3478 });
    expect(configure({}).families[0]!.bound[3]).toEqual({ address: '192.0.2.2', port: 3479 });
  });

  it('are loopback where there is nothing else', () => {
    expect(chooseAddresses(LOOPBACK)).toEqual([
      { family: 'ipv4', primary: '127.0.0.1', alternate: undefined },
      { family: 'ipv6', primary: '::1', alternate: undefined },
    ]);
    expect(chooseAddresses([])).toEqual([]);
  });

  it('may be any of the loopback network', () => {
    expect(['127.0.0.2', '127.255.0.9', '::1'].map((address) => isLocalAddress(address, LOCAL))).toEqual([
      true,
      true,
      true,
    ]);
    expect(['128.0.0.1', '192.0.2.3', '::2'].map((address) => isLocalAddress(address, LOCAL))).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe('--advertise', () => {
  it('is what clients are told, while sockets keep the private addresses', () => {
    const { families } = configure({ ...TWO, advertise: ['192.0.2.1=203.0.113.1', '192.0.2.2=203.0.113.2'] });
    const [family] = families;
    expect(family!.bound.map((endpoint) => endpoint?.address)).toEqual([
      '192.0.2.1',
      '192.0.2.1',
      '192.0.2.2',
      '192.0.2.2',
    ]);
    expect(family!.advertised.map((endpoint) => endpoint?.address)).toEqual([
      '203.0.113.1',
      '203.0.113.1',
      '203.0.113.2',
      '203.0.113.2',
    ]);
    expect(describeEndpoints(family!).split(', ')[3]).toBe('192.0.2.2:3479 (advertised as 203.0.113.2:3479)');
  });
});

describe('HTTP and SERVICE', () => {
  it('HTTP is on loopback unless asked elsewhere, or for nothing', () => {
    expect(configure(TWO).http).toEqual({ host: '127.0.0.1', port: 8478, required: false });
    expect(configure({ ...TWO, http: '192.0.2.1:8080' }).http).toEqual({
      host: '192.0.2.1',
      port: 8080,
      required: true,
    });
    expect(configure({ ...TWO, http: '[::]' }).http).toEqual({ host: '::', port: 8478, required: true });
    expect(configure({ ...TWO, http: false }).http).toBeUndefined();
  });

  it('SERVICE is told only where clients would find it', () => {
    expect(configure(TWO).service).toBeUndefined();
    expect(configure({ ...TWO, http: '192.0.2.1:8080' }).service).toEqual({ scheme: 'http', port: 8080 });
    expect(configure({ ...TWO, http: '0.0.0.0:8080' }).service).toEqual({ scheme: 'http', port: 8080 });
    expect(configure({ ip: ['2001:db8::1'], http: '0.0.0.0:8080' }).service).toBeUndefined();
    expect(configure({ ip: ['2001:db8::1'], http: '[::]:8080' }).service).toEqual({
      scheme: 'http',
      port: 8080,
    });
    expect(configure({ ip: ['127.0.0.1'] }).service).toEqual({ scheme: 'http', port: 8478 });
    expect(configure({ ...TWO, http: false }).service).toBeUndefined();
    expect(configure({ ...TWO, publicUrl: 'https://nat.example.org' }).service).toEqual({
      scheme: 'https',
      port: 443,
    });
    expect(configure({ ...TWO, publicUrl: 'http://nat.example.org:81/x' }).service).toEqual({
      scheme: 'http',
      port: 81,
    });
  });
});

describe('who may ask over HTTP', () => {
  it('is everybody within limits, reading everything aside, unless said otherwise', () => {
    expect(configure(TWO).access).toEqual({
      corsOrigins: [],
      rateLimits: { post: 60, read: 600 },
      metricsPublic: false,
      loggedAddresses: 'prefix',
    });
    expect(configure({ ...TWO, rateLimit: false }).access).not.toHaveProperty('rateLimits');
  });

  it('is read from the flags', () => {
    const access = configure({
      ...TWO,
      cors: ['https://App.example.org/', 'http://localhost:3000', '*'],
      trustProxy: ['10.0.0.0/8, 192.0.2.9', '2001:db8::/32'],
      rateLimit: '5',
      readRateLimit: '60',
      tokenFile: 'tokens',
      metricsPublic: true,
      logAddresses: 'none',
    }).access!;
    expect(access).toMatchObject({
      corsOrigins: ['https://app.example.org', 'http://localhost:3000', '*'],
      rateLimits: { post: 5, read: 60 },
      tokenFile: 'tokens',
      metricsPublic: true,
      loggedAddresses: 'none',
    });
    const asked = [
      '10.200.0.1',
      '::ffff:10.1.2.3',
      '192.0.2.9',
      '2001:db8:9::1',
      '192.0.2.10',
      '2001:db9::1',
      'x',
    ];
    expect(asked.map(access.isTrustedProxy!)).toEqual([true, true, true, true, false, false, false]);
  });
});

describe('mistakes', () => {
  const mistakes: [string, ServerFlags, RegExp][] = [
    ['no address', { ip: ['example.org'] }, /^--ip: not an IP address .*got "example\.org"/],
    [
      'not on this machine',
      { ip: ['192.0.2.9'] },
      /^--ip: this machine does not have that address \(got 192\.0\.2\.9; it has 127\.0\.0\.1, 192\.0\.2\.1,/,
    ],
    ['wildcard', { ip: ['0.0.0.0'] }, /^--ip: this machine does not have that address/],
    ['second not here', { ip: ['192.0.2.1'], altIp: ['192.0.2.9'] }, /^--alt-ip: this machine does not have/],
    ['link-local', { ip: ['fe80::1'] }, /^--ip: .*fe80::1 is link-local/],
    ['twice a family', { ip: ['192.0.2.1', '192.0.2.2'] }, /^--ip: .*given twice for IPv4/],
    ['--alt-ip alone', { altIp: ['192.0.2.2'] }, /^--alt-ip: .*192\.0\.2\.2 needs an IPv4 --ip/],
    ['--alt-ip of another family', { ip: ['2001:db8::1'], altIp: ['192.0.2.2'] }, /needs an IPv4 --ip/],
    [
      'the same address',
      { ip: ['192.0.2.1'], altIp: ['192.0.2.1'] },
      /^--alt-ip: .*the same as --ip, 192\.0\.2\.1/,
    ],
    ['the same port', { ...TWO, port: '3479' }, /^--alt-port: .*the same as --port, 3479/],
    ['port 0', { ...TWO, port: '0' }, /^--port: not a port \(got "0"\)/],
    ['port 65536', { ...TWO, altPort: '65536' }, /^--alt-port: not a port/],
    ['--advertise without =', { ...TWO, advertise: ['203.0.113.1'] }, /^--advertise: .*PRIVATE=PUBLIC/],
    [
      '--advertise of a name',
      { ...TWO, advertise: ['192.0.2.1=example.org'] },
      /^--advertise: not an IP address/,
    ],
    [
      '--advertise of a stranger',
      { ...TWO, advertise: ['192.0.2.7=203.0.113.1'] },
      /192\.0\.2\.7 is none of the addresses served: 192\.0\.2\.1, 192\.0\.2\.2/,
    ],
    [
      '--advertise twice',
      { ...TWO, advertise: ['192.0.2.1=203.0.113.1', '192.0.2.1=203.0.113.2'] },
      /192\.0\.2\.1 is there twice/,
    ],
    ['--advertise across families', { ...TWO, advertise: ['192.0.2.1=2001:db8::9'] }, /mixes IPv4 and IPv6/],
    [
      'one public for both',
      { ...TWO, advertise: ['192.0.2.1=192.0.2.2'] },
      /both addresses would be 192\.0\.2\.2/,
    ],
    ['--http', { ...TWO, http: 'host:http' }, /^--http: not a port/],
    [
      '--trust-proxy of a name',
      { ...TWO, trustProxy: ['proxy'] },
      /^--trust-proxy: not a range .*got "proxy"/,
    ],
    ['--trust-proxy of nothing', { ...TWO, trustProxy: [''] }, /^--trust-proxy: not a range/],
    ['a prefix too long', { ...TWO, trustProxy: ['10.0.0.0/33'] }, /^--trust-proxy: .*"10\.0\.0\.0\/33"/],
    ['two prefixes', { ...TWO, trustProxy: ['10.0.0.0/8/8'] }, /^--trust-proxy: not a range/],
    ['--cors of a name', { ...TWO, cors: ['app.example.org'] }, /^--cors: not an origin/],
    ['--cors with a path', { ...TWO, cors: ['https://app.example.org/x'] }, /^--cors: not an origin/],
    ['--rate-limit', { ...TWO, rateLimit: '0' }, /^--rate-limit: .*got "0"; it takes requests a minute/],
    ['--read-rate-limit', { ...TWO, readRateLimit: '1e3' }, /^--read-rate-limit: not a number/],
    [
      'a limit and none',
      { ...TWO, rateLimit: false, readRateLimit: '5' },
      /^--read-rate-limit: .*not with --no-rate-limit/,
    ],
    ['--log-addresses', { ...TWO, logAddresses: 'all' }, /^--log-addresses: .*full, prefix, none/],
    ['--public-url', { ...TWO, publicUrl: 'nat.example.org' }, /^--public-url: not an http or https URL/],
    [
      '--public-url',
      { ...TWO, publicUrl: 'ftp://nat.example.org' },
      /^--public-url: not an http or https URL/,
    ],
  ];
  it.each(mistakes)('%s is named', (_, flags, message) => {
    expect(() => configure(flags)).toThrow(message);
  });
});

describe('lanes', () => {
  it('are as many as told, or one a core', () => {
    expect(configure(TWO).lanes).toBe('auto');
    expect(configure({ ...TWO, lanes: '0' }).lanes).toBe(0);
    expect(configure({ ...TWO, lanes: '256' }).lanes).toBe(256);
  });

  it.each(['257', '-1', 'two', ''])('are no %j', (lanes) => {
    expect(() => configure({ ...TWO, lanes })).toThrow(
      expect.objectContaining({ code: 'ERR_NUMBER', message: expect.stringContaining('--lanes') as string }),
    );
  });
});

describe('how much is answered over UDP', () => {
  it('is limited by address, network and customer unless said otherwise', () => {
    const one = { perSecond: 500, burst: 2000 };
    expect(configure(TWO).answerLimits).toEqual({
      rates: { ipv4Address: one, ipv4Network: { perSecond: 2000, burst: 8000 }, ipv6Customer: one },
    });
    expect(configure({ ...TWO, rateLimit: false }).answerLimits).toEqual({});
    expect(configure({ ...TWO, answerRate: '7', amplification: '1.5' }).answerLimits).toMatchObject({
      rates: { ipv6Customer: { perSecond: 7, burst: 28 } },
      amplification: 1.5,
    });
  });

  it('is refused where it means nothing', () => {
    for (const answerRate of ['0', '-1', '1.5', 'many', '100000001'])
      expect(() => configure({ ...TWO, answerRate })).toThrow(/--answer-rate.*answers a second/);
    for (const amplification of ['0', '0.5', '101', 'x'])
      expect(() => configure({ ...TWO, amplification })).toThrow(/--amplification.*factor/);
    expect(() => configure({ ...TWO, rateLimit: false, answerRate: '5' })).toThrow(
      /--answer-rate.*--no-rate-limit/,
    );
  });
});

describe('a pair', () => {
  it('has the other address elsewhere, though the machine has a second one', () => {
    const { families, pair } = configure({
      pair: 'nat-1',
      nats: ['nats://192.0.2.9'],
      witnessKeyFile: 'keys',
    });
    expect(pair).toEqual({ name: 'nat-1' });
    expect(families.map(({ bound }) => [bound[0].address, bound[2]])).toEqual([
      ['192.0.2.1', undefined],
      ['2001:db8::1', undefined],
    ]);
  });
});
