/** TCP clients of natprobed that are gone without a word: their link is dead, and neither FIN nor RST comes. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { DEFAULT_CONNECTION_LIMITS } from '../../server/tcp/connection-limits.ts';
import { describeIf } from '../support/requirements.ts';
import { joinBehind } from './links.ts';
import { labMissing, type Namespace, namespaceMaker } from './namespaces.ts';
import { readCounters, type RunningServer, startNatprobedOn } from './natprobe.ts';

const AGENT = fileURLToPath(new URL('dead-link-agent.ts', import.meta.url));
const SERVER = '192.0.2.1';
const API = '127.0.0.1:8478';
/** As many as the agent opens. */
const CONNECTIONS = 3;
const { messageTimeoutMs } = DEFAULT_CONNECTION_LIMITS;
/** A loaded machine takes long. */
const SLACK_MS = 10_000;

describeIf(labMissing())('natprobed whose TCP clients are behind a link that dies', () => {
  let host: Namespace;
  let client: Namespace;
  let server: RunningServer;
  beforeAll(async () => {
    const maker = namespaceMaker();
    [host, client] = [await maker.open('server'), await maker.open('client')];
    await host.script('ip link set lo up');
    await joinBehind(client, 'out', '192.0.2.7', host, 'in');
    server = await startNatprobedOn(host, ['--ip', SERVER], ['--http', API]);
  });
  afterAll(async () => {
    await server.stop();
    await Promise.all([client.close(), host.close()]);
  });

  it('frees their connections in time, counts them, and lets others in', async () => {
    const agent = client.spawn(process.execPath, [AGENT, SERVER, '3478'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(agent.stdout!, 'data');
    await client.script(
      'nft add table ip t\nnft "add chain ip t o { type filter hook output priority 0; policy drop; }"',
    );
    const deadAt = performance.now();
    agent.kill('SIGKILL');
    await once(agent, 'exit');
    expect(await standing()).toBe(CONNECTIONS);
    await vi.waitFor(async () => expect(await standing()).toBe(0), {
      timeout: messageTimeoutMs + SLACK_MS,
      interval: 500,
    });
    expect(performance.now() - deadAt).toBeGreaterThan(messageTimeoutMs / 2);
    expect(await countTcp('timed-out')).toBe(CONNECTIONS);
    await client.script('nft delete table ip t');
    const again = client.spawn(process.execPath, [AGENT, SERVER, '3478'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(again.stdout!, 'data');
    expect(await standing()).toBe(CONNECTIONS);
    again.kill();
    await once(again, 'exit');
  });

  /** Connections that the server's kernel has, in whatever state. */
  async function standing(): Promise<number> {
    const { stdout } = await host.run('ss', ['-Htan', 'sport = :3478']);
    return stdout.split('\n').filter((line) => line !== '' && !line.startsWith('LISTEN')).length;
  }

  async function countTcp(event: string): Promise<number> {
    const counters = await readCounters(host, API);
    return counters('natprobed_tcp_events_total', `transport="tcp",event="${event}"`);
  }
});
