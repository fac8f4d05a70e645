/** Two hosts with one address each, paired over NATS, as one server with two: verdicts, and what befalls them when a part dies. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Family } from '../../shared/endpoint.ts';
import { natsMissing, startNats, type TestNats } from '../support/nats-server.ts';
import { describeIf } from '../support/requirements.ts';
import type { Classified } from './classify-agent.ts';
import { crowding } from './crowding.ts';
import { behind } from './inquire.ts';
import {
  FAMILIES,
  openInternet,
  ROUTER_ADDRESS,
  SERVER_ADDRESSES,
  type Internet,
  type Site,
} from './internet.ts';
import { labMissing, type Namespace } from './namespaces.ts';
import { readReport, runNatprobe, startNatprobedOn, type RunningServer } from './natprobe.ts';
import { LAB_NATS, labNat } from './nats.ts';
import { contradicts, type Said, verdictOf } from './verdicts.ts';

const AGENT = fileURLToPath(new URL('classify-agent.ts', import.meta.url));
const HTTP_PORT = 8478;
/** By then the other host says that it is alone. */
const ALONE_WITHIN_MS = 3000;
/** Lanes look for what the main thread tells them at least as often. */
const LANES_HEED_MS = 500;
const PATIENCE = { timeout: 30_000, interval: 50 };
/** One of each filtering, and one where the mapping depends on the second address too. */
const WATCHED = ['full-cone', 'restricted-cone', 'port-restricted-cone', 'adm-adf'];
/** How long verdicts are collected before and after the death. */
const WATCH_BEFORE_MS = 1500;
const WATCH_AFTER_MS = 6000;

describeIf(labMissing(), natsMissing())('two natprobed that are a pair', () => {
  let internet: Internet;
  let nats: TestNats;
  let folder: string;
  let first: RunningServer;
  let second: RunningServer;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'natprobe-pair-'));
    writeFileSync(join(folder, 'keys'), `${randomBytes(32).toString('hex')}\n`);
    writeFileSync(join(folder, 'credentials'), 'pair:some secret');
    internet = await openInternet('two-hosts');
    nats = await startNats({
      host: ROUTER_ADDRESS,
      ports: [4222, 6222],
      spawn: (program, args) => internet.router.spawn(program, args, { stdio: 'ignore' }),
      lines: ['authorization { user: pair, password: "some secret" }'],
    });
    [first, second] = await Promise.all([startHost('primary'), startHost('alternate')]);
    await untilLanesKnow();
  }, 120_000);

  afterAll(async () => {
    await nats.remove();
    await internet.close();
    rmSync(folder, { recursive: true });
  });

  describe('name', () => {
    for (const nat of LAB_NATS) {
      it(`${nat.name} as it is, in both families, from either host`, async () => {
        await behind(internet, nat, 0, async (site) => {
          for (const family of FAMILIES) {
            for (const server of Object.values(SERVER_ADDRESSES[family])) {
              expect(await sayOf(site, server), `${family} ${server}`).toEqual(verdictOf(nat.truth[family]));
            }
          }
        });
      });
    }
  });

  it('say no wrong word when one is killed, are one-address in time, and recover', async () => {
    await watched(async (killedAt) => {
      await second.kill();
      killedAt();
      await untilAlone([internet.server]);
      return async () => {
        second = await startHost('alternate');
      };
    });
  }, 300_000);

  it('say no wrong word when NATS is killed, are one-address in time, and recover', async () => {
    await watched(async (killedAt) => {
      await nats.servers[0]!.kill();
      killedAt();
      await untilAlone([internet.server, internet.secondServer!]);
      return () => nats.servers[0]!.restart();
    });
  }, 300_000);

  it('tell that a host stops at once', async () => {
    await second.stop();
    await vi.waitFor(() => expect(first.log()).toContain('the other host has stopped'), PATIENCE);
    second = await startHost('alternate');
    await untilPaired();
  }, 60_000);

  /** Asks again where the hosts lost each other meanwhile, as they may for a moment where a machine is too busy. */
  async function sayOf(site: Site, server: string): Promise<Said> {
    for (;;) {
      await untilPaired();
      const losses = countLosses();
      await site.forget();
      const said = verdictOf(readReport(await runNatprobe(site.client, ['--server', server])));
      if (losses === countLosses()) return said;
      await untilLanesKnow();
    }
  }

  function countLosses(): number {
    return (first.log() + second.log()).split('one-address mode, since').length - 1;
  }

  /** Collects verdicts while `kill` goes on, and once what it gives back has repaired the damage. */
  async function watched(kill: (killedAt: () => void) => Promise<() => Promise<void>>): Promise<void> {
    const sites = await Promise.all(WATCHED.map((name) => internet.attach(labNat(name))));
    try {
      const watches = sites.map((site) => watch(site));
      // The agents have to start, too.
      await vi.waitFor(() => {
        for (const { classified } of watches) expect(classified.length).toBeGreaterThan(1);
      }, PATIENCE);
      const losses = countLosses();
      const watchedFrom = Date.now();
      await pause(WATCH_BEFORE_MS);
      const hasLasted = losses === countLosses();
      let killedAt = Infinity;
      const repair = await kill(() => (killedAt = Date.now()));
      const aloneAfterMs = Date.now() - killedAt;
      await pause(WATCH_AFTER_MS);
      await Promise.all(watches.map(({ stop }) => stop()));
      for (const [index, { classified }] of watches.entries()) {
        const { name, truth } = sites[index]!.nat;
        const wrong = classified.filter(({ said }) => contradicts(said, truth.ipv4));
        expect(wrong, name).toEqual([]);
        const before = classified.filter(
          ({ begunAt, endedAt }) => begunAt > watchedFrom && endedAt < killedAt,
        );
        if (hasLasted)
          expect(
            before.map(({ said }) => said),
            name,
          ).toEqual(before.map(() => verdictOf(truth.ipv4)));
        // What another port of the same address tells is known without the other one.
        const left = truth.ipv4.filtering === 'address-and-port-dependent' ? truth.ipv4.filtering : 'unknown';
        const after = classified.filter(({ begunAt }) => begunAt > killedAt + aloneAfterMs + LANES_HEED_MS);
        expect(after.length, name).toBeGreaterThan(0);
        expect(
          after.map(({ said }) => said.filtering),
          name,
        ).toEqual(after.map(() => left));
        const within = classified.filter(({ endedAt }) => endedAt >= killedAt).length - after.length;
        console.info(
          `${name}: ${before.length} verdicts before, ${within} until it was noticed, ${after.length} after`,
        );
      }
      expect(aloneAfterMs).toBeLessThan(ALONE_WITHIN_MS * crowding());
      console.info(`one-address after ${aloneAfterMs} ms`);
      await repair();
      for (const site of sites) {
        expect(await sayOf(site, SERVER_ADDRESSES.ipv4.primary)).toEqual(verdictOf(site.nat.truth.ipv4));
      }
    } finally {
      await Promise.all(sites.map((site) => site.close()));
    }
  }

  function startHost(which: 'primary' | 'alternate'): Promise<RunningServer> {
    const namespace = which === 'primary' ? internet.server : internet.secondServer!;
    return startNatprobedOn(
      namespace,
      FAMILIES.flatMap((family) => ['--ip', SERVER_ADDRESSES[family][which]]),
      [
        ...['--http', `127.0.0.1:${HTTP_PORT}`, '--pair', 'lab', '--nats', nats.servers[0]!.url],
        ...['--nats-credentials', join(folder, 'credentials'), '--witness-key-file', join(folder, 'keys')],
      ],
    );
  }

  async function untilPaired(): Promise<void> {
    for (const host of [internet.server, internet.secondServer!])
      await vi.waitFor(async () => expect(await modesOf(host)).toEqual(bothAs('two-address')), PATIENCE);
  }

  /** Also that they answer so, which the lanes do a moment later. */
  async function untilLanesKnow(): Promise<void> {
    await untilPaired();
    await pause(LANES_HEED_MS);
  }

  async function untilAlone(hosts: readonly Namespace[]): Promise<void> {
    await Promise.all(
      hosts.map((host) =>
        vi.waitFor(async () => expect(await modesOf(host)).toEqual(bothAs('one-address')), PATIENCE),
      ),
    );
  }
});

function bothAs(mode: string): Record<Family, string> {
  return { ipv4: mode, ipv6: mode };
}

/** By /healthz; curl, since it has to be quick. */
async function modesOf(host: Namespace): Promise<Record<string, string>> {
  const { stdout } = await host.run('curl', ['-s', `http://127.0.0.1:${HTTP_PORT}/healthz`]);
  const { families } = JSON.parse(stdout) as { families: { family: string; mode: string }[] };
  return Object.fromEntries(families.map(({ family, mode }) => [family, mode]));
}

/** Classifies from a site's client until it is stopped. */
function watch(site: Site): {
  readonly classified: readonly Classified[];
  readonly stop: () => Promise<void>;
} {
  const classified: Classified[] = [];
  const agent = site.client.spawn(process.execPath, [AGENT, SERVER_ADDRESSES.ipv4.primary], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(agent, 'close');
  createInterface({ input: agent.stdout! }).on('line', (line) => {
    classified.push(JSON.parse(line) as Classified);
  });
  return {
    classified,
    stop: async () => {
      agent.stdin!.end();
      await ended;
    },
  };
}

function pause(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs));
}
