/** `natprobe --report` behind kernel NATs: the server names its API, takes the report, and knows whom it answered. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isSent } from '../../shared/report/report.ts';
import { describeIf } from '../support/requirements.ts';
import { behind } from './inquire.ts';
import { FAMILIES, openInternet, SERVER_ADDRESSES, type Internet } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { readReport, runNatprobe, startNatprobedOn } from './natprobe.ts';
import { labNat } from './nats.ts';

const HTTP_PORT = 8478;

describeIf(labMissing())('natprobe --report behind the kernel’s NATs', () => {
  let internet: Internet;

  beforeAll(async () => {
    internet = await openInternet();
    const addresses = FAMILIES.flatMap((family) => {
      const { primary, alternate } = SERVER_ADDRESSES[family];
      return ['--ip', primary, '--alt-ip', alternate];
    });
    await startNatprobedOn(internet.server, addresses, ['--http', `[::]:${HTTP_PORT}`]);
  });

  afterAll(async () => {
    await internet.close();
  });

  // Over blocked UDP nobody was answered; the API is then learnt over TCP.
  it.each([
    ['port-restricted-cone', true],
    ['symmetric-random', true],
    ['firewall', true],
    ['udp-blocked', false],
  ] as const)(
    'is taken from behind %s over both families, with and without loss; witnessed: %s',
    async (name, witnessed) => {
      for (const lossPercent of [0, 10]) {
        await behind(internet, labNat(name), lossPercent, async ({ client, nat }) => {
          for (const family of FAMILIES) {
            const { primary } = SERVER_ADDRESSES[family];
            const finished = await runNatprobe(client, ['--report', '--server', primary]);
            const { verdict, report } = readReport(finished);
            const place = `${family}, ${lossPercent} %: ${JSON.stringify(report)}`;
            if (lossPercent === 0) expect(verdict.type, place).toBe(nat.truth[family].type);
            if (report === undefined || !isSent(report)) throw new Error(place);
            const host = family === 'ipv6' ? `[${primary}]` : primary;
            expect(report.url).toBe(`http://${host}:${HTTP_PORT}/classify/${report.id}`);
            expect(report, place).toMatchObject({ claimsFollow: true });
            expect(report.endpointsWitnessed, place).toBe(witnessed && verdict.type !== 'udp-blocked');
          }
        });
      }
    },
  );
});
