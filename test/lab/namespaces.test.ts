/** The lab leaves nothing behind, however its owner ends; the command passes signals and exit codes on. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { listExpectations } from './every-nat.ts';
import { LAB_HOMES } from './homes.ts';
import { collectOutput, endOf, labMissing, namespaceMaker } from './namespaces.ts';
import { LAB_NATS } from './nats.ts';
import { portMapperLabMissing } from './port-mapper-network.ts';
import { describeVerdict } from './table.ts';

const LAB = fileURLToPath(new URL('main.ts', import.meta.url));
/** Prints its process id and its namespace, and then stays. */
const STAY = 'echo $$ $(readlink /proc/self/ns/net) ; exec sleep 300';

describeIf(labMissing())('a namespace', () => {
  it('is another one than ours, and goes with all that runs in it', async () => {
    const namespace = await namespaceMaker().open('test');
    const { stdout } = await namespace.run('ip', ['-brief', 'link']);
    expect(stdout).toMatch(/^lo\s+DOWN/);
    const { pid } = await stayIn(namespace.spawn('sh', ['-c', STAY]));
    await namespace.close();
    await gone(pid);
  });

  it('says what a failing script said', async () => {
    const namespace = await namespaceMaker().open('test');
    await expect(namespace.script('echo here >&2\nfalse\necho never')).rejects.toThrow(/here/);
    await namespace.close();
  });

  it('kills a program that takes too long', async () => {
    const namespace = await namespaceMaker().open('test');
    await expect(namespace.run('sleep', ['300'], { timeoutMs: 100 })).rejects.toThrow(/more than 100 ms/);
    await namespace.close();
  });
});

describeIf(portMapperLabMissing())('npm run lab', () => {
  it('runs a command behind a NAT and ends as it does', async () => {
    const lab = startLab('run', 'restricted-cone', '--', 'sh', '-c', 'ip -brief -4 address show net; exit 7');
    const output = collectOutput(lab);
    expect(await endOf(lab)).toBe(7);
    expect(output.stdout).toMatch(/^net@\S+\s+UP\s+192\.168\.1\.2\/24/);
    expect(output.stderr).toBe('');
  });

  it('runs it also behind the NATs made for one axis, and in homes with a port mapper', async () => {
    const inside = { 'pool-paired': '192.168.1.2/24 192.168.1.3/24', home: '192.168.1.2/24' };
    for (const [name, addresses] of Object.entries(inside)) {
      const lab = startLab('run', name, '--loss', '5', '--', 'ip', '-brief', '-4', 'address');
      const output = collectOutput(lab);
      expect([await endOf(lab), output.stderr]).toEqual([0, '']);
      expect(output.stdout.replaceAll(/ +/g, ' '), name).toContain(` UP ${addresses}`);
    }
  });

  it('lists every NAT with what it is and what is expected of its axes', async () => {
    const lab = startLab('--list');
    const output = collectOutput(lab);
    expect([await endOf(lab), output.stderr]).toEqual([0, '']);
    for (const nat of LAB_NATS)
      expect(output.stdout).toContain(`${nat.name.padEnd(20)}  ${describeVerdict(nat.truth.ipv4)}`);
    for (const { nat, axes } of listExpectations()) {
      expect(output.stdout).toMatch(new RegExp(`^${nat.name} .*${axes[0]!.split(' ')[0]!}`, 'm'));
      for (const axis of axes) expect(output.stdout).toContain(axis);
    }
    for (const { name, layers } of LAB_HOMES)
      expect(output.stdout).toMatch(new RegExp(`^${name} +layers ${layers} `, 'm'));
  });

  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
    it(`leaves nothing behind after ${signal}`, async () => {
      const lab = startLab('run', 'symmetric-random', '--', 'sh', '-c', STAY);
      const { pid } = await stayIn(lab);
      // Ctrl-C reaches the whole process group; the others are sent to the command alone.
      if (signal === 'SIGINT') process.kill(-lab.pid!, signal);
      else lab.kill(signal);
      await endOf(lab);
      await gone(pid);
    });
  }

  it('names the NATs where one is not known, and ends in 2', async () => {
    const lab = startLab('run', 'nat-of-nowhere', '--', 'true');
    const output = collectOutput(lab);
    expect(await endOf(lab)).toBe(2);
    expect(output.stderr).toBe('no NAT nat-of-nowhere here; npm run lab -- --list names them\n');
  });
});

function startLab(...words: string[]): ChildProcess {
  return spawn(process.execPath, [LAB, ...words], { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
}

/** What STAY printed: it runs, in a namespace that is not ours. */
async function stayIn(child: ChildProcess): Promise<{ pid: string }> {
  const output = collectOutput(child);
  await until(() => output.stdout.endsWith('\n') || child.exitCode !== null, 'the command started');
  const [pid, namespace] = output.stdout.trim().split(' ');
  expect(pid, output.stderr).toMatch(/^\d+$/);
  expect(namespace).toMatch(/^net:/);
  expect(existsSync(`/proc/${pid!}`)).toBe(true);
  return { pid: pid! };
}

function gone(pid: string): Promise<void> {
  return until(() => !existsSync(`/proc/${pid}`), `process ${pid} was gone`);
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
