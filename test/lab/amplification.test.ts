/** A server that sends nobody more bytes than came in, between real NATs: what carries its own filling is right still. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { FAMILIES, type Internet, openInternet, SERVER_ADDRESSES } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { readReport, runNatprobe, startNatprobedOn } from './natprobe.ts';
import { labNat } from './nats.ts';

describeIf(labMissing())('natprobed --amplification 1', () => {
  let internet: Internet;
  beforeAll(async () => {
    internet = await openInternet();
    const addresses = FAMILIES.flatMap((family) => [
      ...['--ip', SERVER_ADDRESSES[family].primary],
      ...['--alt-ip', SERVER_ADDRESSES[family].alternate],
    ]);
    await startNatprobedOn(internet.server, [...addresses, '--amplification', '1']);
  });
  afterAll(() => internet.close());

  for (const name of ['port-restricted-cone', 'symmetric-random', 'full-cone'])
    it(`has natprobe name ${name} in both families`, async () => {
      const nat = labNat(name);
      const site = await internet.attach(nat);
      for (const [family, flag] of [
        ['ipv4', '-4'],
        ['ipv6', '-6'],
      ] as const) {
        const args = ['--server', SERVER_ADDRESSES[family].primary, flag];
        const { verdict } = readReport(await runNatprobe(site.client, args));
        const { type, mapping, filtering } = nat.truth[family];
        expect(verdict).toMatchObject({ type, mapping, filtering });
      }
      await site.close();
    });
});
