/** `natprobe join`, `peers`, `preflight` and `punch` behind the kernel's NATs, as people run them. */
import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PunchReport } from '../../probe/hole.ts';
import { describeIf } from '../support/requirements.ts';
import { openInternet, SERVER_ADDRESSES, type Internet, type Site } from './internet.ts';
import { collectOutput, labMissing } from './namespaces.ts';
import { NATPROBE_COMMAND, NATPROBE_ENVIRONMENT, runNatprobe } from './natprobe.ts';
import { labNat } from './nats.ts';
import { startBroker } from './punches.ts';

const SERVER = ['--server', SERVER_ADDRESSES.ipv4.primary, '-4'] as const;
const REGISTERED_WITHIN_MS = 30_000;

describeIf(labMissing())('natprobe punch behind the kernel’s NATs', () => {
  let internet: Internet;
  beforeAll(async () => {
    internet = await openInternet();
    await startBroker(internet);
  });
  afterAll(() => internet.close());

  /** With `natprobe join alice` behind one NAT, runs `act` behind the other. */
  async function withAlice(
    [hers, ours]: readonly [string, string],
    act: (site: Site, told: () => string) => Promise<void>,
  ): Promise<void> {
    const [there, here] = await Promise.all([internet.attach(labNat(hers)), internet.attach(labNat(ours))]);
    const [node, script] = NATPROBE_COMMAND;
    const alice = there.client.spawn(node, [script, 'join', 'alice', ...SERVER], {
      env: { ...process.env, ...NATPROBE_ENVIRONMENT },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = collectOutput(alice);
    try {
      await expect
        .poll(() => output.stdout + output.stderr, { timeout: REGISTERED_WITHIN_MS })
        .toContain('registered as alice');
      await act(here, () => output.stdout);
      const ended = once(alice, 'exit');
      alice.kill('SIGINT');
      expect(await ended).toEqual([130, null]);
    } finally {
      alice.kill('SIGKILL');
      await Promise.all([there.close(), here.close()]);
    }
  }

  it('opens a hole that takes guessing, as foreseen, and both sides say so', async () => {
    await withAlice(['port-restricted-cone', 'symmetric-random'], async ({ client }, told) => {
      const listed = await runNatprobe(client, ['peers', ...SERVER]);
      expect(JSON.parse(listed.stdout)).toMatchObject({
        peers: [{ name: 'alice', type: 'port-restricted-cone' }],
      });
      const foreseen = await runNatprobe(client, ['preflight', 'alice', ...SERVER]);
      expect(JSON.parse(foreseen.stdout)).toMatchObject({
        decision: 'go-with-strategy',
        strategy: 'birthday',
      });
      expect(foreseen.code).toBe(0);
      const punched = await runNatprobe(client, ['punch', 'alice', ...SERVER]);
      expect(JSON.parse(punched.stdout) as PunchReport, punched.stderr).toMatchObject({
        outcome: 'open',
        strategy: 'birthday',
        path: 'direct',
      });
      expect(punched.code).toBe(0);
      await expect.poll(told, { timeout: 5000 }).toMatch(/open by the birthday\s+method/);
    });
  });

  it('connects over TCP in the order that what both have measured of it asks for, as foreseen', async () => {
    // Without an input chain the router's own TCP refuses what comes too early.
    await withAlice(['linux-router', 'port-restricted-cone'], async ({ client }, told) => {
      const foreseen = await runNatprobe(client, ['preflight', 'alice', '--tcp', ...SERVER]);
      expect(JSON.parse(foreseen.stdout)).toMatchObject({
        decision: 'go-with-strategy',
        strategy: 'sequential',
      });
      expect(foreseen.stdout).not.toContain('assumed');
      const punched = await runNatprobe(client, ['punch', 'alice', '--tcp', ...SERVER]);
      expect(JSON.parse(punched.stdout) as PunchReport, punched.stderr).toMatchObject({
        outcome: 'open',
        transport: 'tcp',
        strategy: 'sequential',
        path: 'direct',
        attempts: 1,
      });
      expect([foreseen.code, punched.code]).toEqual([0, 0]);
      await expect.poll(told, { timeout: 5000 }).toContain('open by connecting one after the other');
    });
  });

  it('ends in 4 where it takes a relay, before and after the punch', async () => {
    await withAlice(['symmetric-random', 'symmetric-random'], async ({ client }) => {
      const foreseen = await runNatprobe(client, ['preflight', 'alice', ...SERVER]);
      expect(JSON.parse(foreseen.stdout)).toMatchObject({ decision: 'no-go' });
      expect(foreseen.code).toBe(4);
      const punched = await runNatprobe(client, ['punch', 'alice', ...SERVER]);
      const report = JSON.parse(punched.stdout) as PunchReport;
      expect(report).toMatchObject({ outcome: 'failed', predicted: { outcome: 'relay' } });
      expect(report.reason).not.toBe('');
      expect(punched.code).toBe(4);
    });
  });
});
