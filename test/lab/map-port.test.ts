/** `natprobe --map-port` as a person runs it, behind a router with Debian's miniupnpd. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { SERVER_ADDRESSES } from './internet.ts';
import { NATPROBE_COMMAND, NATPROBE_ENVIRONMENT, readReport, runNatprobe } from './natprobe.ts';
import {
  HOME_CLIENT,
  type HomeNetwork,
  openHomeNetwork,
  portMapperLabMissing,
  PUBLIC_ADDRESS,
} from './port-mapper-network.ts';

const SERVER = ['-4', '--server', SERVER_ADDRESSES.ipv4.primary];
const NO_MAPPER = { natPmpAndPcp: false, upnp: false };
const ALL_MAPPERS = { natPmpAndPcp: true, upnp: true };

function openHome(speaks: typeof ALL_MAPPERS): Promise<HomeNetwork> {
  return openHomeNetwork({ outside: PUBLIC_ADDRESS, isBehindNat: false, speaks });
}

describeIf(portMapperLabMissing())('natprobe --map-port', () => {
  let home: HomeNetwork;
  beforeAll(async () => {
    home = await openHome(ALL_MAPPERS);
  });
  afterAll(async () => {
    await home.close();
  });

  it('says beside the verdict what was mapped, that it works, and that it is gone again', async () => {
    const args = [...NATPROBE_COMMAND.slice(1), ...SERVER, '--map-port', '5100'];
    const run = { env: NATPROBE_ENVIRONMENT };
    const { stdout, code } = await home.client.run(NATPROBE_COMMAND[0], args, run);
    expect(stdout).toMatch(/^NAT type: /);
    const rows = stdout.slice(stdout.indexOf('Port map')).split('\n');
    expect(rows.slice(0, 4)).toEqual([
      `Port map    192.168.1.1 maps UDP ${PUBLIC_ADDRESS}:5100 to ${HOME_CLIENT}:5100 (PCP)`,
      `            ${PUBLIC_ADDRESS}:5100 is reached from outside: ${SERVER_ADDRESSES.ipv4.alternate}:3479 was heard`,
      '            there',
      '            the mapping is removed again',
    ]);
    expect(code).toBe(0);
    expect(await home.listMappings()).toEqual([]);
  });

  it('leaves the mapping there with --keep', async () => {
    const { portMapping } = readReport(
      await runNatprobe(home.client, [...SERVER, '--map-port', '5101', '--keep']),
    );
    expect(portMapping).toMatchObject({ outcome: 'mapped', removal: 'kept', lifetimeSeconds: 7200 });
    expect((await home.listMappings()).join('\n')).toContain(`${HOME_CLIENT}:5101`);
  });
});

describeIf(portMapperLabMissing())('natprobe --map-port without a port mapper', () => {
  it('still gives the verdict, says why not, and ends in 1', async () => {
    const home = await openHome(NO_MAPPER);
    try {
      const finished = await runNatprobe(home.client, [...SERVER, '--map-port', '5100']);
      const { verdict, portMapping } = readReport(finished);
      expect(verdict.type).not.toBe('inconclusive');
      expect(portMapping).toMatchObject({ outcome: 'failed', reason: { code: 'ERR_NO_PORT_MAPPER' } });
      expect(finished.code).toBe(1);
    } finally {
      await home.close();
    }
  });
});
