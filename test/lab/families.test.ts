/** Punches between sites that have both families: IPv6 first, and IPv4 where that leads nowhere. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { familyOf, parseEndpoint } from '../../shared/endpoint.ts';
import { isClassified } from '../../shared/report/report.ts';
import { describeIf } from '../support/requirements.ts';
import { changedNat } from './axis-nats.ts';
import { FAMILIES, type Internet, openInternet, SERVER_ADDRESSES } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { type LabNat, labNat } from './nats.ts';
import { joinFrom, type LabPunch, type Member, punchBetween, startBroker } from './punches.ts';

const RUNS = 5;
/** A plan's time, for at most three attempts, with what it takes to ask for each. */
const BUDGET_MS = 3 * 3000;

/** The gateway takes IPv6 to the server, and loses what is for anybody else. */
const BLACK_HOLE = `
nft -f - <<END
table ip6 black_hole {
  chain forward {
    type filter hook forward priority filter + 1;
    oifname "wan" ip6 daddr != { ${SERVER_ADDRESSES.ipv6.primary}, ${SERVER_ADDRESSES.ipv6.alternate} } drop
  }
}
END
`;
const withoutIpv6 = (name: string): LabNat =>
  changedNat(`${name}-black-hole`, name, 'IPv6 reaches the server alone', BLACK_HOLE);

describeIf(labMissing())('a punch between sites with both families', () => {
  let internet: Internet;
  beforeAll(async () => {
    internet = await openInternet();
    await startBroker(internet);
  });
  afterAll(() => internet.close());

  async function punchOften(a: LabNat, b: LabNat): Promise<LabPunch[]> {
    const join = async (nat: LabNat, name: string): Promise<Member> =>
      joinFrom((await internet.attach(nat)).client, `${nat.name} ${name}`, { families: FAMILIES });
    const [one, other] = await Promise.all([join(a, 'a'), join(b, 'b')]);
    for (const { report } of [one, other])
      expect(FAMILIES.map((family) => isClassified(report.families[family]))).toEqual([true, true]);
    const punches: LabPunch[] = [];
    for (let run = 0; run < RUNS; run++) punches.push(await punchBetween(one, other));
    await Promise.all([one.leave(), other.leave()]);
    return punches;
  }

  function familiesOf({ reports, carries }: LabPunch): string[] {
    expect(carries).toBe(true);
    return [reports.a, reports.b].map(({ endpoints }) =>
      familyOf(parseEndpoint(endpoints.remote!, 'remote').address),
    );
  }

  it('opens over IPv6, through two firewalls, where IPv4 needs a relay', async () => {
    const punches = await punchOften(labNat('symmetric-random'), labNat('symmetric-random'));
    for (const punch of punches) {
      expect(familiesOf(punch)).toEqual(['ipv6', 'ipv6']);
      expect(punch.reports.a.predicted.outcome).toBe('likely');
      expect(punch.reports.a.attempts).toBe(1);
    }
  }, 120_000);

  it('opens over IPv6 where IPv4 would do as well', async () => {
    const punches = await punchOften(labNat('port-restricted-cone'), labNat('full-cone'));
    for (const punch of punches) expect(familiesOf(punch)).toEqual(['ipv6', 'ipv6']);
  }, 120_000);

  it('falls back to IPv4 at the first attempt where IPv6 loses all between the two', async () => {
    const punches = await punchOften(withoutIpv6('port-restricted-cone'), labNat('port-restricted-cone'));
    for (const punch of punches) {
      expect(familiesOf(punch)).toEqual(['ipv4', 'ipv4']);
      expect(punch.reports.a).toMatchObject({ attempts: 1, strategy: 'plain' });
    }
  }, 120_000);

  it('fails with a reason, in time, where neither family leads to the other', async () => {
    const [{ reports }] = (await punchOften(withoutIpv6('symmetric-random'), labNat('symmetric-random'))) as [
      LabPunch,
    ];
    for (const report of Object.values(reports)) {
      expect(report).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(/\w/) as string });
      expect(report.timing.totalMs).toBeLessThan(BUDGET_MS);
    }
  }, 120_000);
});
