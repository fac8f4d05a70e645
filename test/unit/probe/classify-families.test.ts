/** Both families at the same time: what is skipped and why, and that neither waits for the other. */
import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { classifyFamilies, FAMILY_GRACE_MS } from '../../../probe/drive/classify-families.ts';
import type { Endpoint, Family } from '../../../shared/endpoint.ts';
import { describeIf } from '../../support/requirements.ts';
import type { Addresses } from '../../../probe/drive/resolve.ts';
import { parseNat64Prefix } from '../../../shared/nat64.ts';
import { RESULT, ScriptedMachine } from './scripted-machine.ts';

const SERVER = { ipv4: { address: '127.0.0.1', port: 9 }, ipv6: { address: '::1', port: 9 } };
const hasIpv6Loopback = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.address === '::1');

/** Ends at once, with a result that says which family it was. */
function answeringMachine(family: Family): ScriptedMachine {
  const machine = new ScriptedMachine();
  machine.end({ family, timing: { totalMs: family === 'ipv4' ? 4 : 6 } });
  return machine;
}

/** Waits for a datagram that nobody sends. */
function silentMachine(towards: Endpoint): ScriptedMachine {
  return new ScriptedMachine().want({
    kind: 'open-socket',
    socket: 'mapping',
    family: 'ipv6',
    port: 0,
    given: false,
    towards,
  });
}

describe('which families are classified', () => {
  it('says that a family was not asked for', async () => {
    const asked: Family[] = [];
    const outcomes = await classifyFamilies({
      families: ['ipv4'],
      servers: [SERVER],
      createMachine: (family) => {
        asked.push(family);
        return answeringMachine(family);
      },
    });
    expect(asked).toEqual(['ipv4']);
    expect(outcomes.ipv4).toMatchObject({ kind: 'classified', timing: { totalMs: 4 } });
    expect(outcomes.ipv6).toEqual({
      kind: 'skipped',
      skip: { code: 'not-asked', text: 'IPv6 was not asked for' },
    });
  });

  it('says that the server has no address of a family', async () => {
    const { ipv4, ipv6 } = await classifyFamilies({
      families: ['ipv4', 'ipv6'],
      servers: [{ ipv4: SERVER.ipv4 }],
      createMachine: answeringMachine,
    });
    expect(ipv4.kind).toBe('classified');
    expect(ipv6).toEqual({
      kind: 'skipped',
      skip: { code: 'no-address', text: 'the server has no IPv6 address' },
    });
  });

  it('gives each family the addresses that it has, in order, and its alternate', async () => {
    const given: unknown[] = [];
    const second = { address: '127.0.0.3', port: 1 };
    await classifyFamilies({
      families: ['ipv4'],
      servers: [{ ipv4: SERVER.ipv4 }, { ipv6: SERVER.ipv6 }, { ipv4: second }],
      alternate: { ipv4: { address: '127.0.0.2', port: 10 } },
      createMachine: (family, servers, alternate) => {
        given.push(servers, alternate);
        return answeringMachine(family);
      },
    });
    expect(given).toEqual([[SERVER.ipv4, second], { address: '127.0.0.2', port: 10 }]);
  });

  it('takes what a DNS64 made of a server’s IPv4 address for that address', async () => {
    const given: unknown[] = [];
    const classify = async (server: Addresses, prefixes: readonly string[] = []) => {
      const { ipv4, ipv6 } = await classifyFamilies({
        families: ['ipv4', 'ipv6'],
        servers: [server],
        findNat64: () => Promise.resolve(prefixes.map((text) => parseNat64Prefix(text)!)),
        createMachine: (family, servers, _alternate, nat64) => {
          given.push([family, ...servers, nat64]);
          return answeringMachine(family);
        },
      });
      expect(ipv4.kind).toBe('classified');
      return ipv6;
    };
    const skipped = (prefix: string): unknown => ({
      kind: 'skipped',
      skip: {
        code: 'no-address',
        text: `the server has no IPv6 address; its IPv4 one can be reached under ${prefix}`,
      },
    });
    const wellKnown = { address: '64:ff9b::7f00:1', port: 9 };
    expect(await classify({ ...SERVER, ipv6: wellKnown })).toEqual(skipped('64:ff9b::/96'));
    expect(await classify({ ipv6: wellKnown })).toEqual(skipped('64:ff9b::/96'));
    const specific = { address: '2001:db8:64::7f00:1', port: 9 };
    const shown = ['2001:db8:65::/96', '2001:db8:64::/96'];
    expect(await classify({ ...SERVER, ipv6: specific }, shown)).toEqual(skipped('2001:db8:64::/96'));
    expect(given).toEqual(Array(3).fill(['ipv4', SERVER.ipv4, undefined]));
  });

  it('asks for NAT64 prefixes only where an address looks like it', async () => {
    let asked = 0;
    await classifyFamilies({
      families: ['ipv4', 'ipv6'],
      servers: [SERVER],
      findNat64: () => {
        asked += 1;
        return Promise.resolve([]);
      },
      createMachine: answeringMachine,
    });
    expect(asked).toBe(0);
  });

  it('says why no server can be reached', async () => {
    const { ipv4 } = await classifyFamilies({
      families: ['ipv4'],
      servers: [SERVER],
      createMachine: () => {
        const machine = new ScriptedMachine();
        machine.end({ outcome: { kind: 'unreachable', reason: 'silent over UDP and TCP' } });
        return machine;
      },
    });
    expect(ipv4).toEqual({ kind: 'skipped', skip: { code: 'unreachable', text: 'silent over UDP and TCP' } });
  });
});

describeIf(hasIpv6Loopback ? undefined : 'no ::1 on this machine')('a slow family', () => {
  // Something to be silent: a bound socket, so that no ICMP error ends the wait.
  const hole = createSocket('udp6');
  let towards: Endpoint;
  beforeAll(async () => {
    await new Promise<void>((resolve) => {
      hole.bind(0, '::1', resolve);
    });
    towards = { address: '::1', port: hole.address().port };
  });
  afterAll(() => hole.close());

  it('is not waited for beyond its grace once the other has a verdict', async () => {
    const startedAt = performance.now();
    const outcomes = await classifyFamilies({
      families: ['ipv4', 'ipv6'],
      servers: [{ ipv4: SERVER.ipv4, ipv6: towards }],
      createMachine: (family) => (family === 'ipv4' ? answeringMachine(family) : silentMachine(towards)),
    });
    const tookMs = performance.now() - startedAt;
    expect(outcomes.ipv4).toMatchObject({ kind: 'classified' });
    expect(outcomes.ipv6).toEqual({
      kind: 'skipped',
      skip: {
        code: 'late',
        text: expect.stringMatching(/^no IPv6 verdict within \d\.\d s, while the other had one$/) as string,
      },
    });
    expect(tookMs).toBeGreaterThanOrEqual(FAMILY_GRACE_MS);
    expect(tookMs).toBeLessThan(10 * FAMILY_GRACE_MS);
  });

  it('is waited for while the other is inconclusive', async () => {
    const inconclusive = new ScriptedMachine();
    inconclusive.end({
      outcome: {
        kind: 'verdict',
        verdict: {
          type: 'inconclusive',
          mapping: 'unknown',
          filtering: 'unknown',
          confidence: 0,
          reasons: [],
        },
      },
    });
    const slow = silentMachine(towards);
    slow.onInput = () => {
      slow.timeoutAt = performance.now() + FAMILY_GRACE_MS + 200;
    };
    slow.onTimeout = () => slow.end({ ...RESULT, family: 'ipv6' });
    const { ipv6 } = await classifyFamilies({
      families: ['ipv4', 'ipv6'],
      servers: [{ ipv4: SERVER.ipv4, ipv6: towards }],
      createMachine: (family) => (family === 'ipv4' ? inconclusive : slow),
    });
    expect(ipv6).toMatchObject({ kind: 'classified', verdict: { type: 'open' } });
  });
});
