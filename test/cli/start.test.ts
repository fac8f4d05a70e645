/** `npm start` and what runs before it. */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { chooseHttpPort, chooseStunPorts } from '../../deploy/local/free-ports.ts';
import { collectOutput, endOf, type Finished } from '../lab/namespaces.ts';
import { ALTERNATE, ENVIRONMENT, finish, PRIMARY, ROOT, startProgram } from './programs.ts';

const START = `${ROOT}deploy/local/start.ts`;
const ENSURE_INSTALLED = 'deploy/local/ensure-installed.mjs';

describe('npm start', () => {
  it('with --once prints the verdict and ends with the exit code of the probe', async () => {
    const { stdout, stderr, code } = await finish(startProgram(START, ['--once']));
    expect(stdout.trimStart().split('\n')[0]).toBe('NAT type: open (no translation, EIF)');
    expect(stdout).not.toContain('until Ctrl-C');
    expect(stderr).toContain('natprobed: SIGTERM: stopping');
    expect(code).toBe(0);
  });

  it('serves until Ctrl-C, and says where', async () => {
    const child = startProgram(START, []);
    const output = collectOutput(child);
    const ended = endOf(child, 30_000);
    while (!output.stdout.includes('Ask it again')) {
      expect(child.exitCode).toBeNull();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const url = /http:\S+/.exec(output.stdout)?.[0];
    expect((await fetch(url!)).status).toBe(200);
    child.kill('SIGINT');
    expect(await ended).toBe(0);
    await expect(fetch(url!)).rejects.toThrow();
  });

  it('refuses what it does not know', async () => {
    expect(await finish(startProgram(START, ['--twice']))).toMatchObject({
      stdout: '',
      stderr: 'usage: npm start [-- --once]\n',
      code: 2,
    });
  });
});

describe('the ports it chooses', () => {
  it('are not ones that somebody holds, over UDP or TCP, on either address', async () => {
    const before = await chooseStunPorts([PRIMARY, ALTERNATE]);
    expect(before.alternatePort).toBe(before.port + 1);
    const holder = createSocket('udp4');
    holder.bind(before.alternatePort, ALTERNATE);
    await once(holder, 'listening');
    const after = await chooseStunPorts([PRIMARY, ALTERNATE]);
    holder.close();
    expect(after.port).toBeGreaterThan(before.alternatePort);
    expect(await chooseHttpPort(PRIMARY)).toBeGreaterThanOrEqual(8478);
  });
});

describe('ensure-installed', () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
  });

  interface Checkout {
    readonly folder: string;
    readonly installedNow: () => boolean;
  }

  const LOCK = {
    '': { name: 'x' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/other-platform': { version: '1.0.0', optional: true },
  };

  /** A checkout with this in node_modules, and an npm that installs what LOCK wants and notes that it ran. */
  function makeCheckout(installed: Record<string, { version: string }> | undefined): Checkout {
    const folder = mkdtempSync(join(tmpdir(), 'natprobe-install-'));
    folders.push(folder);
    mkdirSync(join(folder, dirname(ENSURE_INSTALLED)), { recursive: true });
    cpSync(join(ROOT, ENSURE_INSTALLED), join(folder, ENSURE_INSTALLED));
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ packages: LOCK }));
    if (installed !== undefined) writeInstalled(folder, installed);
    const wanted = JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } });
    const npm = join(folder, 'npm');
    writeFileSync(
      npm,
      `#!/bin/sh\necho "$@" > npm-ran\nmkdir -p node_modules/a\necho '${wanted}' > node_modules/.package-lock.json\n`,
    );
    chmodSync(npm, 0o755);
    return { folder, installedNow: () => existsSync(join(folder, 'npm-ran')) };
  }

  function writeInstalled(folder: string, packages: Record<string, { version: string }>): void {
    for (const path of Object.keys(packages)) mkdirSync(join(folder, path), { recursive: true });
    mkdirSync(join(folder, 'node_modules'), { recursive: true });
    writeFileSync(join(folder, 'node_modules/.package-lock.json'), JSON.stringify({ packages }));
  }

  function run({ folder }: Checkout): Promise<Finished> {
    const child = spawn(process.execPath, [ENSURE_INSTALLED], {
      cwd: folder,
      env: { ...ENVIRONMENT, PATH: [folder, ENVIRONMENT['PATH']].join(delimiter) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return finish(child);
  }

  it('does nothing, quietly, where everything is there', async () => {
    const checkout = makeCheckout({ 'node_modules/a': { version: '1.0.0' } });
    expect(await run(checkout)).toMatchObject({ stdout: '', stderr: '', code: 0 });
    expect(checkout.installedNow()).toBe(false);
  });

  const incomplete: [string, Record<string, { version: string }> | undefined, string][] = [
    ['there is no node_modules', undefined, 'node_modules is missing'],
    ['a package is missing', {}, 'node_modules/a is missing'],
    [
      'a package has another version',
      { 'node_modules/a': { version: '0.9.0' } },
      'node_modules/a is 0.9.0, not 1.0.0',
    ],
  ];
  for (const [what, installed, reason] of incomplete) {
    it(`runs npm ci where ${what}`, async () => {
      const checkout = makeCheckout(installed);
      expect(await run(checkout)).toMatchObject({
        stdout: '',
        stderr: `natprobe: installing dependencies with npm ci (${reason})\n`,
        code: 0,
      });
      const ran = readFileSync(join(checkout.folder, 'npm-ran'), 'utf8');
      expect(ran).toBe('ci --no-audit --no-fund --loglevel=error\n');
    });
  }

  it('runs npm ci where a folder was deleted', async () => {
    const checkout = makeCheckout({ 'node_modules/a': { version: '1.0.0' } });
    rmSync(join(checkout.folder, 'node_modules/a'), { recursive: true });
    expect((await run(checkout)).stderr).toContain('(node_modules/a is gone)');
    expect(checkout.installedNow()).toBe(true);
  });

  it('ends in 1 where npm fails', async () => {
    const checkout = makeCheckout(undefined);
    writeFileSync(join(checkout.folder, 'npm'), '#!/bin/sh\nexit 7\n');
    expect(await run(checkout)).toMatchObject({
      stderr:
        'natprobe: installing dependencies with npm ci (node_modules is missing)\n' +
        'natprobe: npm ci failed: it ended with 7\n',
      code: 1,
    });
  });

  it('finds this checkout complete', async () => {
    const child = startProgram(join(ROOT, ENSURE_INSTALLED), []);
    expect(await finish(child)).toMatchObject({ stdout: '', stderr: '', code: 0 });
  });
});
