/** Layers and port mappers against a real miniupnpd: found in time, judged right, mapped, verified, removed. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MappedPort } from '../../shared/report/port-mapping.ts';
import {
  type Evidence,
  PORT_MAPPER_PROTOCOLS,
  type PortMapperEvidence,
  type PortMapperProtocol,
} from '../../shared/nat/evidence.ts';
import { assessLayers, describeLayers, type LayersAxis } from '../../shared/nat/layers.ts';
import { inLanes } from '../support/lanes.ts';
import { describeIf } from '../support/requirements.ts';
import { labHome } from './homes.ts';
import { collectOutput, endOf } from './namespaces.ts';
import {
  HOME_CLIENT,
  HOME_ROUTER,
  type HomeNetwork,
  openHomeNetwork,
  portMapperLabMissing,
  PUBLIC_ADDRESS,
} from './port-mapper-network.ts';

const AGENT = fileURLToPath(new URL('port-mapper-agent.ts', import.meta.url));
const LOCAL_PORT = 41_000;
/** MEASURING.md §2. */
const TIME_LIMITS_MS: Readonly<Record<PortMapperProtocol, number>> = {
  pcp: 300,
  'nat-pmp': 300,
  'upnp-igd': 1500,
};
/** The machine may be busy for a while: the best of so many runs is in time. */
const RUNS = 3;
const LOSSY_RUNS = 5;
const LANES = 3;

describeIf(portMapperLabMissing())('behind one router with miniupnpd', () => {
  const home = networkFor('home');

  it('finds all three protocols in time, and counts one NAT', async () => {
    const runs: Layers[] = [];
    for (let run = 0; run < RUNS; run++) runs.push(await layersOf(home()));
    for (const { axis } of runs) {
      expect([axis.value, axis.reasons[0]!.code]).toEqual(['one-nat', 'layers-one']);
      expect(axis.path).toEqual({
        name: 'eth0',
        kind: expect.stringMatching(/^(ethernet|container)$/) as unknown,
        address: HOME_CLIENT,
        gateway: HOME_ROUTER,
      });
      expect(byProtocol(axis)).toEqual({
        pcp: { externalAddress: PUBLIC_ADDRESS, gateway: HOME_ROUTER },
        'nat-pmp': { externalAddress: PUBLIC_ADDRESS, gateway: HOME_ROUTER },
        'upnp-igd': { externalAddress: PUBLIC_ADDRESS, gateway: HOME_ROUTER },
      });
    }
    for (const protocol of PORT_MAPPER_PROTOCOLS) {
      const took = runs.map(({ axis }) => latencyOf(axis, protocol));
      expect(Math.min(...took), `${protocol}: ${took.join(', ')} ms`).toBeLessThan(TIME_LIMITS_MS[protocol]);
    }
    expect(await home().listMappings()).toEqual([]);
  });

  for (const protocol of PORT_MAPPER_PROTOCOLS) {
    it(`maps a port by ${protocol}, hears the server through it, and removes it`, async () => {
      const before = await home().listMappings();
      const result = await map(home(), { localPort: LOCAL_PORT, protocol });
      expect(result).toMatchObject({
        protocol,
        gateway: HOME_ROUTER,
        transport: 'udp',
        local: { address: HOME_CLIENT, port: LOCAL_PORT },
        external: { address: PUBLIC_ADDRESS, port: LOCAL_PORT },
        lifetimeSeconds: 120,
        verification: {
          value: 'reachable',
          confidence: 1,
          public: { address: PUBLIC_ADDRESS, port: LOCAL_PORT },
          heardFrom: { address: '203.0.113.20', port: 3479 },
        },
        removal: 'removed',
        refusals: [],
      });
      expect(await home().listMappings()).toEqual(before);
    });

    it(`keeps a mapping by ${protocol} if it is to`, async () => {
      const localPort = LOCAL_PORT + 1 + PORT_MAPPER_PROTOCOLS.indexOf(protocol);
      const options = { localPort, protocol, keep: true, lifetimeSeconds: 600 };
      expect(await map(home(), options)).toMatchObject({ lifetimeSeconds: 600, removal: 'kept' });
      const mappings = await home().listMappings();
      expect(mappings.filter((line) => line.includes(`${HOME_CLIENT}:${localPort}`))).toHaveLength(1);
    });
  }

  it('takes another external port where the wished one is somebody’s, by UPnP too', async () => {
    for (const protocol of PORT_MAPPER_PROTOCOLS) {
      // Kept by the tests above for another local port.
      const taken = LOCAL_PORT + 1 + PORT_MAPPER_PROTOCOLS.indexOf(protocol);
      const before = await home().listMappings();
      const options = { localPort: LOCAL_PORT + 10, externalPort: taken, protocol };
      const result = await map(home(), options);
      expect(result, JSON.stringify(result)).toMatchObject({
        verification: { value: 'reachable' },
        removal: 'removed',
      });
      expect((result as MappedPort).external.port).not.toBe(taken);
      expect(await home().listMappings()).toEqual(before);
    }
  });

  it('maps a TCP port, and says that it was not tried', async () => {
    const result = await map(home(), { localPort: LOCAL_PORT, transport: 'tcp' });
    expect(result).toMatchObject({
      transport: 'tcp',
      external: { address: PUBLIC_ADDRESS, port: LOCAL_PORT },
      verification: { value: 'unknown', reasons: [{ code: 'port-mapping-tcp' }] },
      removal: 'removed',
    });
  });

  itTellsUnderLoss('home', home);
});

describeIf(portMapperLabMissing())('an interrupted attempt to map a port', () => {
  const home = networkFor('home');

  it.each(PORT_MAPPER_PROTOCOLS)('by %s leaves nothing in the router', async (protocol) => {
    // The server is not reached, so that its verification is under way when the interrupt comes.
    await home().router.script('nft insert rule inet filter forward meta l4proto udp drop');
    const args = [AGENT, 'map', JSON.stringify({ localPort: LOCAL_PORT, protocol })];
    const child = home().client.spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const output = collectOutput(child);
    const ended = endOf(child, 20_000);
    await expect.poll(() => home().listMappings(), { timeout: 10_000 }).toHaveLength(1);
    child.kill('SIGINT');
    await ended;
    expect(JSON.parse(output.stdout)).toMatchObject({ error: 'ERR_ABORTED' });
    expect(await home().listMappings()).toEqual([]);
  });
});

describeIf(portMapperLabMissing())('behind a carrier’s NAT', () => {
  describe('that gives its customers shared addresses', () => {
    const home = networkFor('home-carrier');

    it('is seen by the router’s outer address', async () => {
      const { axis } = await layersOf(home());
      expect([axis.value, axis.atLeast]).toEqual(['cgn', 2]);
    });

    itTellsUnderLoss('home-carrier', home);

    it('is why no port can be mapped', async () => {
      const result = await map(home(), { localPort: LOCAL_PORT });
      expect(result).toMatchObject({ error: 'ERR_MAPPING_REFUSED' });
      expect(await home().listMappings()).toEqual([]);
    });
  });

  describe('that gives its customers other people’s addresses', () => {
    const home = networkFor('home-carrier-public');

    it('is seen by the difference, and a mapping of the router is found not to work', async () => {
      const { axis } = await layersOf(home());
      expect([axis.value, axis.reasons[0]!.code]).toEqual(['cgn', 'layers-other-outside']);
      const result = await map(home(), { localPort: LOCAL_PORT });
      expect(result).toMatchObject({
        external: { address: '25.0.0.2', port: LOCAL_PORT },
        verification: { value: 'unreachable', public: { address: PUBLIC_ADDRESS, port: LOCAL_PORT } },
        removal: 'removed',
      });
      expect((result as MappedPort).verification.confidence).toBeGreaterThanOrEqual(0.999);
      expect(await home().listMappings()).toEqual([]);
    });

    itTellsUnderLoss('home-carrier-public', home);
  });
});

describeIf(portMapperLabMissing())('behind two routers of a house', () => {
  const home = networkFor('home-behind-home');

  it('says double NAT', async () => {
    const { axis } = await layersOf(home());
    expect([axis.value, axis.atLeast, axis.reasons[0]!.code]).toEqual([
      'double-nat',
      2,
      'layers-private-outside',
    ]);
  });

  itTellsUnderLoss('home-behind-home', home);
});

describeIf(portMapperLabMissing())('behind a router that speaks less', () => {
  describe('UPnP alone', () => {
    const home = networkFor('home-upnp');

    it('counts one NAT, and maps', async () => {
      const { axis } = await layersOf(home());
      expect(axis.value).toBe('one-nat');
      expect(Object.keys(byProtocol(axis))).toEqual(['upnp-igd']);
      const result = await map(home(), { localPort: LOCAL_PORT });
      expect(result).toMatchObject({ protocol: 'upnp-igd', verification: { value: 'reachable' } });
    });
  });

  describe('NAT-PMP and PCP alone', () => {
    const home = networkFor('home-pcp');

    it('counts one NAT', async () => {
      const { axis } = await layersOf(home());
      expect(axis.value).toBe('one-nat');
      expect(Object.keys(byProtocol(axis)).sort()).toEqual(['nat-pmp', 'pcp']);
    });
  });

  describe('nothing, through an interface that is called wg0', () => {
    const home = networkFor('home-vpn');

    it('names the VPN, and asks nobody', async () => {
      const { axis, tookMs } = await layersOf(home());
      expect([axis.value, axis.atLeast, axis.reasons[0]!.code]).toEqual([
        'unknown',
        1,
        'layers-behind-tunnel',
      ]);
      expect(axis.path).toMatchObject({ name: 'wg0', kind: 'vpn', address: HOME_CLIENT });
      expect(describeLayers(axis)[0]).toBe('this goes through the VPN interface wg0');
      expect(tookMs).toBeLessThan(500);
    });
  });

  describe('nothing', () => {
    const home = networkFor('home-silent');

    it('does not count the NATs, and says so in time', async () => {
      const { axis, tookMs } = await layersOf(home());
      expect([axis.value, axis.atLeast, axis.reasons[0]!.code]).toEqual(['unknown', 1, 'layers-uncounted']);
      expect(axis.portMappers).toEqual([]);
      expect(tookMs).toBeLessThan(1700);
      expect(await map(home(), { localPort: LOCAL_PORT })).toMatchObject({ error: 'ERR_NO_PORT_MAPPER' });
    });
  });
});

interface Layers {
  readonly axis: LayersAxis;
  readonly tookMs: number;
}

function networkFor(name: string): () => HomeNetwork {
  let network: HomeNetwork | undefined;
  beforeAll(async () => {
    network = await openHomeNetwork(labHome(name).setting);
  });
  afterAll(async () => {
    await network?.close();
  });
  return () => network!;
}

function itTellsUnderLoss(name: string, home: () => HomeNetwork): void {
  it('is told at 10 % loss each way between client and router as well', async () => {
    await home().setLoss(10);
    try {
      const runs = await inLanes(LANES, Array<HomeNetwork>(LOSSY_RUNS).fill(home()), layersOf);
      for (const { axis } of runs) expect(axis.value, JSON.stringify(axis)).toBe(labHome(name).layers);
    } finally {
      await home().setLoss(0);
    }
  });
}

async function layersOf({ client }: HomeNetwork): Promise<Layers> {
  const { stdout, stderr } = await client.run(process.execPath, [AGENT, 'layers']);
  expect(stderr).toBe('');
  const { evidence, tookMs } = JSON.parse(stdout) as { evidence: Evidence[]; tookMs: number };
  return { axis: assessLayers(evidence), tookMs };
}

async function map({ client }: HomeNetwork, options: object): Promise<unknown> {
  const { stdout, stderr } = await client.run(process.execPath, [AGENT, 'map', JSON.stringify(options)]);
  expect(stderr).toBe('');
  return JSON.parse(stdout) as unknown;
}

/** What each told, without the times. */
function byProtocol({ portMappers }: LayersAxis): Record<string, Partial<PortMapperEvidence>> {
  return Object.fromEntries(
    portMappers.map(({ protocol, gateway, externalAddress, error }) => [
      protocol,
      { gateway, ...(externalAddress && { externalAddress }), ...(error && { error }) },
    ]),
  );
}

function latencyOf({ portMappers }: LayersAxis, protocol: PortMapperProtocol): number {
  return portMappers.find((mapper) => mapper.protocol === protocol)?.latencyMs ?? Infinity;
}
