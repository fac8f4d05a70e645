/** coturn with the settings of deploy/coturn: it knows each, takes natprobed's credentials, and relays to no private network. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { nameRelay } from '../../server/peering/relay-credentials.ts';
import { finish } from '../cli/programs.ts';
import type { RunningServer } from '../lab/natprobe.ts';
import { COTURN_PORT, startCoturn } from '../support/coturn.ts';
import { describeIf } from '../support/requirements.ts';
import { missingPrograms, programPath } from '../support/system-programs.ts';

const RELAY = '127.0.0.41';
const PEER = '127.0.0.42';
const SECRET = 'a secret of this test alone';

describeIf(missingPrograms('turnserver', 'turnutils_uclient'))('coturn as deploy/ has it', () => {
  let relay: RunningServer;

  beforeAll(async () => {
    relay = await startCoturn({ address: RELAY, secret: SECRET });
  });

  afterAll(async () => {
    await relay.stop();
  });

  async function allocate(username: string, credential: string): Promise<string> {
    const who = ['-u', username, '-w', credential];
    const args = [...who, '-p', String(COTURN_PORT), '-y', '-n', '1', '-e', PEER, RELAY];
    const { stdout, stderr } = await finish(spawn(programPath('turnutils_uclient')!, args));
    return stdout + stderr;
  }

  it('knows every setting', () => {
    expect(relay.log()).not.toMatch(/Bad configuration|unrecognized/);
  });

  it('takes the credentials that natprobed gives, and refuses peers on this machine', async () => {
    const { username = '', credential = '' } = nameRelay([], SECRET, 'alice', Date.now());
    expect(await allocate(username, credential)).toMatch(/403 \(Forbidden IP\)/);
  });

  it('refuses credentials made with another secret', async () => {
    const { username = '', credential = '' } = nameRelay([], `${SECRET}?`, 'alice', Date.now());
    expect(await allocate(username, credential)).not.toMatch(/403 \(Forbidden IP\)/);
  });
});
