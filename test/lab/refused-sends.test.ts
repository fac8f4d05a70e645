/** Answers that the server's own firewall refuses: the system says so to who sends, and natprobed counts them. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { BURST } from '../../server/udp/answer-sender.ts';
import { describeIf } from '../support/requirements.ts';
import { labMissing, type Namespace, namespaceMaker } from './namespaces.ts';
import { readCounters, startNatprobedOn } from './natprobe.ts';

const AGENT = fileURLToPath(new URL('refused-sends-agent.ts', import.meta.url));
const API = '127.0.0.1:8478';
const COUNT = 1000;
const PATIENCE = { timeout: 20_000, interval: 100 };

interface Sends {
  readonly responses: number;
  readonly errors: number;
}

describeIf(labMissing())('natprobed whose answers the firewall refuses', () => {
  let host: Namespace;
  beforeAll(async () => {
    host = await namespaceMaker().open('host');
    await host.script('ip link set lo up');
  });
  afterAll(() => host.close());

  // A lane hears of each send; node:dgram is asked after the first of a burst until one was refused.
  it.each([
    ['1', 0],
    ['0', BURST],
  ])('with --lanes %s: counts them, but for %i at most, and goes on', async (lanes, mostUnseen) => {
    const server = await startNatprobedOn(host, ['--ip', '127.0.0.1', '--lanes', lanes], ['--http', API]);
    const before = await readSends();
    await host.script(
      'nft add table ip t\nnft "add chain ip t o { type filter hook output priority 0; }"\n' +
        'nft add rule ip t o udp sport 3478 drop',
    );
    await ask();
    const refused = await sendsSince(before, COUNT);
    expect(refused.responses).toBeLessThanOrEqual(mostUnseen);
    await host.script('nft delete table ip t');
    await ask();
    const { responses, errors } = await sendsSince(before, 2 * COUNT);
    expect({ responses: responses - refused.responses, errors: errors - refused.errors }).toEqual({
      responses: COUNT,
      errors: 0,
    });
    await server.stop();
  });

  async function ask(): Promise<void> {
    const { code, stderr } = await host.run(process.execPath, [AGENT, '127.0.0.1', '3478', `${COUNT}`]);
    if (code !== 0) throw new Error(stderr);
  }

  /** Once they are so many together. */
  async function sendsSince(before: Sends, count: number): Promise<Sends> {
    return vi.waitFor(async () => {
      const { responses, errors } = await readSends();
      const since = { responses: responses - before.responses, errors: errors - before.errors };
      expect(since.responses + since.errors).toBe(count);
      return since;
    }, PATIENCE);
  }

  async function readSends(): Promise<Sends> {
    const counters = await readCounters(host, API);
    const count = (outcome: string): number => counters('natprobed_udp_sends_total', `outcome="${outcome}"`);
    return { responses: count('responses'), errors: count('errors') };
  }
});
