/** coturn with the settings of deploy/coturn: it knows each, takes natprobed's credentials, and relays to no private network. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { nameRelay } from '../../server/peering/relay-credentials.ts';
import { finish } from '../cli/programs.ts';
import { serverOf, type RunningServer } from '../lab/natprobe.ts';
import { describeIf } from '../support/requirements.ts';
import { missingPrograms, programPath } from '../support/system-programs.ts';
import { readDeployFile } from './deploy-files.ts';

const RELAY = '127.0.0.41';
const PEER = '127.0.0.42';
const SECRET = 'a secret of this test alone';

describeIf(missingPrograms('turnserver', 'turnutils_uclient'))('coturn as deploy/ has it', () => {
  const settings = readDeployFile('coturn/turnserver.conf');
  const port = /^listening-port=(\d+)$/m.exec(settings)?.[1] ?? '';
  let folder: string;
  let relay: RunningServer;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'natprobe-coturn-'));
    const file = join(folder, 'turnserver.conf');
    await writeFile(file, `${settings}\nstatic-auth-secret=${SECRET}\n`);
    const own = [`--pidfile=${join(folder, 'pid')}`, `--userdb=${join(folder, 'users')}`];
    const args = ['-c', file, `--listening-ip=${RELAY}`, `--relay-ip=${RELAY}`, ...own];
    const child = spawn(programPath('turnserver')!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    relay = await serverOf(child, 'turnserver', (log) => log.includes('admin thread'));
  });

  afterAll(async () => {
    await relay.stop();
    await rm(folder, { recursive: true });
  });

  async function allocate(username: string, credential: string): Promise<string> {
    const who = ['-u', username, '-w', credential];
    const args = [...who, '-p', port, '-y', '-n', '1', '-e', PEER, RELAY];
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
