/** Punches over TCP between two sites behind kernel NATs, on real sockets; this process plans in a broker's place. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { predictTcp } from '../../shared/punch/tcp-predict.ts';
import { inLanes } from '../support/lanes.ts';
import { describeIf } from '../support/requirements.ts';
import { type Internet, openInternet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { startNatprobed } from './natprobe.ts';
import { LAB_TCP_NATS, type LabTcpNat } from './tcp-nats.ts';
import { punchOverTcp, tcpBehaviourOfLab, type TcpPunchResult } from './tcp-punch.ts';

/** Three attempts of 4.3 s, and registrations between them. */
const BUDGET_MS = 20_000;

/** Each behaviour once: PR, a router without input chain, ADF, refusals, symmetric, open. */
const TESTED = [
  'open',
  'port-restricted-cone',
  'linux-router',
  'tcp-restricted-reset',
  'tcp-icmp',
  'tcp-symmetric',
  'tcp-symmetric-eif',
].map((name) => LAB_TCP_NATS.find(({ nat }) => nat.name === name)!);
const PAIRS = TESTED.flatMap((a, index) => TESTED.slice(index).map((b) => [a, b] as const));

describeIf(labMissing())('punches over TCP behind the kernel’s NATs', () => {
  let internet: Internet;
  const sites = new Map<string, Site>();

  beforeAll(async () => {
    internet = await openInternet();
    await startNatprobed(internet.server);
    for (const { nat } of TESTED)
      for (const side of ['a', 'b']) sites.set(`${side} ${nat.name}`, await internet.attach(nat));
  }, 60_000);

  afterAll(async () => {
    await internet.close();
  });

  const punch = (a: LabTcpNat, b: LabTcpNat): Promise<TcpPunchResult> =>
    punchOverTcp(
      { site: sites.get(`a ${a.nat.name}`)!, behaviour: tcpBehaviourOfLab(a) },
      { site: sites.get(`b ${b.nat.name}`)!, behaviour: tcpBehaviourOfLab(b) },
    );

  it('connect where they should, and else fail with the reason in time', { timeout: 300_000 }, async () => {
    const found = await inLanes(2, PAIRS, async ([a, b]) => {
      const result = await punch(a, b);
      return { what: `${a.nat.name} × ${b.nat.name}`, chance: chanceOf(a, b), ...result };
    });
    for (const { what, chance, a, b } of found) {
      const seen = `${what}: ${JSON.stringify([a, b])}`;
      if (chance > LEAST_SURE) expect([seen, carries(a), carries(b)]).toEqual([seen, true, true]);
      else if (chance === 0)
        expect([seen, a.outcome === 'open', b.outcome === 'open']).toEqual([seen, false, false]);
      else expect([seen, a.outcome === 'open']).toEqual([seen, b.outcome === 'open']);
      for (const { outcome, tookMs } of [a, b]) {
        expect([seen, tookMs < BUDGET_MS]).toEqual([seen, true]);
        expect(['open', 'refused', 'nothing-heard']).toContain(outcome);
      }
    }
  });

  const named = (name: string): LabTcpNat => TESTED.find(({ nat }) => nat.name === name)!;

  it('connect five times of five through two strict NATs, and with a router without input chain', async () => {
    const strict = named('port-restricted-cone');
    for (const other of [named('linux-router'), strict])
      for (let run = 0; run < 5; run++) {
        const result = await punch(strict, other);
        expect([carries(result.a), carries(result.b), result.a.attempt]).toEqual([true, true, 1]);
      }
  }, 120_000);

  it('connect all the same where one packet of fifty is lost each way', async () => {
    const strict = named('port-restricted-cone');
    const lossy = sites.get(`a ${strict.nat.name}`)!;
    await lossy.setLoss(2);
    try {
      for (const other of [named('linux-router'), strict])
        for (let run = 0; run < 4; run++) {
          const { a, b } = await punch(strict, other);
          const seen = JSON.stringify([a, b]);
          expect([seen, carries(a), carries(b)]).toEqual([seen, true, true]);
        }
    } finally {
      await lossy.setLoss(0);
    }
  }, 240_000);

  it('connect over IPv6 through two firewalls that let in only what was called', async () => {
    const firewall = LAB_TCP_NATS.find(({ nat }) => nat.name === 'firewall')!;
    const behaviour = tcpBehaviourOfLab(firewall, 'ipv6');
    const [one, other] = await Promise.all([1, 2].map(() => internet.attach(firewall.nat)));
    const { a, b } = await punchOverTcp({ site: one!, behaviour }, { site: other!, behaviour });
    expect([a.outcome, carries(a), carries(b)]).toEqual(['open', true, true]);
    expect(a.remote).toMatch(/^2001:db8:/);
  }, 60_000);
});

/** Below that it takes SYNs that cross, which without delay hardly any do. */
const LEAST_SURE = 0.97;

function chanceOf(a: LabTcpNat, b: LabTcpNat): number {
  return predictTcp(tcpBehaviourOfLab(a), tcpBehaviourOfLab(b)).probability;
}

function carries({ outcome, carried }: TcpPunchResult['a']): boolean {
  return outcome === 'open' && carried?.startsWith('from port') === true;
}
