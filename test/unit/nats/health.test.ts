/** What natprobed says over HTTP of the NATS that it works with, while that is there and after it has ended. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type HttpServer, startHttpServer } from '../../support/http-load.ts';
import { natsMissing, startNats, type TestNats } from '../../support/nats-server.ts';
import { describeIf } from '../../support/requirements.ts';

describeIf(natsMissing())('natprobed over NATS', () => {
  let nats: TestNats;
  let server: HttpServer;
  beforeAll(async () => {
    nats = await startNats();
    server = await startHttpServer(['--nats', nats.servers[0]!.url, '--lanes', '0']);
  }, 60_000);
  afterAll(async () => {
    await server.kill();
    await nats.remove();
  });

  async function health(): Promise<unknown> {
    return ((await (await fetch(`${server.api}/healthz`)).json()) as { nats?: unknown }).nats;
  }

  async function gauges(): Promise<string[]> {
    const text = await (await fetch(`${server.api}/metrics`)).text();
    return text.match(/^natprobed_(nats|broker_names)_up .*$/gm) ?? [];
  }

  it('says whether it is connected, and whether names can be claimed, and works without', async () => {
    await expect.poll(health, { timeout: 15_000 }).toEqual({ connection: 'there', names: 'there' });
    expect(await gauges()).toEqual(['natprobed_nats_up 1', 'natprobed_broker_names_up 1']);
    await nats.servers[0]!.kill();
    await expect.poll(health, { timeout: 15_000 }).toEqual({ connection: 'lost', names: 'lost' });
    expect(await gauges()).toEqual(['natprobed_nats_up 0', 'natprobed_broker_names_up 0']);
    expect((await fetch(`${server.api}/readyz`)).status).toBe(200);
    await nats.servers[0]!.restart();
    await expect.poll(health, { timeout: 15_000 }).toEqual({ connection: 'there', names: 'there' });
  }, 60_000);
});
