/** Programs through holes between kernel NATs: what is typed, what is piped, what is bridged, and another program. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { copyThroughHole, hashOfFile, writeNoise } from './copies.ts';
import { openInternet, type Internet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import type { RunningServer } from './natprobe.ts';
import { labNat } from './nats.ts';
import { startBroker } from './punches.ts';
import { chatThroughHole, runThroughHole } from './stream-pairs.ts';
import { startUdpEcho } from './udp-echo.ts';

describeIf(labMissing())('through a hole between two NATs', () => {
  let internet: Internet;
  let server: RunningServer;
  let alice: Site;
  let bob: Site;
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-streams-'));

  beforeAll(async () => {
    internet = await openInternet();
    server = await startBroker(internet);
    [alice, bob] = await Promise.all([
      internet.attach(labNat('port-restricted-cone')),
      internet.attach(labNat('restricted-cone')),
    ]);
  });
  afterAll(async () => {
    await server.stop();
    await internet.close();
    rmSync(folder, { recursive: true });
  });

  it('two people chat', async () => {
    await chatThroughHole(alice.client, bob.client);
  });

  for (const { megabytes, loss } of [
    { megabytes: 100, loss: 0 },
    { megabytes: 20, loss: 2 },
  ]) {
    it(`${megabytes} MB come out as they went in, at ${loss} % loss`, { timeout: 180_000 }, async () => {
      await alice.setLoss(loss);
      const [from, to] = [join(folder, 'from'), join(folder, 'to')];
      writeNoise(from, megabytes);
      await copyThroughHole(alice.client, bob.client, from, to);
      expect(await hashOfFile(to)).toBe(await hashOfFile(from));
      await alice.setLoss(0);
    });
  }

  it('a UDP program asks one on the other side', async () => {
    const echo = await startUdpEcho(bob.client);
    const ends = await runThroughHole(alice.client, bob.client, {
      alice: ['--bridge', '127.0.0.1:9', '--bridge-port', '5555'],
      bob: ['--bridge', `127.0.0.1:${echo.port}`],
    });
    await Promise.all([ends.alice.said(/^Bridge: /m), ends.bob.said(/^Bridge: /m)]);
    expect(await echo.ask(alice.client, 5555, [1, 700, 1428])).toEqual([1, 700, 1428]);
    ends.alice.process.kill('SIGINT');
    expect(await Promise.all([ends.alice.ended, ends.bob.ended])).toEqual([130, 0]);
    expect(ends.bob.talk()).toContain('3 datagrams sent, 3 received, 0 dropped');
    echo.stop();
  });

  it('another program takes the local port over on each side, and the hole is still there', async () => {
    const program = ['--exec', `'${process.execPath}' -e '${HANDED_OVER}'`];
    const ends = await runThroughHole(alice.client, bob.client, { alice: program, bob: program });
    const heard = { alice: '', bob: '' };
    for (const name of ['alice', 'bob'] as const)
      ends[name].process.stdout!.setEncoding('utf8').on('data', (text: string) => (heard[name] += text));
    expect(await Promise.all([ends.alice.ended, ends.bob.ended])).toEqual([0, 0]);
    expect(heard).toEqual({ alice: 'heard alice\n', bob: 'heard bob\n' });
  });
});

/** Says to the peer whom it takes it for, until it has heard the same from it. */
const HANDED_OVER = `
const { NATPROBE_LOCAL_PORT, NATPROBE_REMOTE_ADDRESS, NATPROBE_REMOTE_PORT, NATPROBE_PEER } = process.env;
const socket = require("node:dgram").createSocket("udp4");
let heard = false;
socket.on("message", (bytes) => {
  if (!heard) console.log("heard " + bytes);
  heard = true;
  setTimeout(() => process.exit(0), 2000);
});
socket.on("error", () => undefined);
setTimeout(() => process.exit(1), 20000);
socket.bind(Number(NATPROBE_LOCAL_PORT), () =>
  setInterval(() => socket.send(NATPROBE_PEER, Number(NATPROBE_REMOTE_PORT), NATPROBE_REMOTE_ADDRESS), 100));
`;
