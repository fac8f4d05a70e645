import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EXIT, EXIT_CODE_LINES } from '../../probe/cli/exit-codes.ts';
import { ERROR_CATALOGUE } from '../../shared/errors.ts';
import { VERSION } from '../../shared/version.ts';
import { natprobe, ROOT } from './programs.ts';

describe('natprobe --help', () => {
  it('says this, on stdout, and ends in 0', async () => {
    const { stdout, stderr, code } = await natprobe(['--help']);
    expect(stdout).toMatchSnapshot();
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  it('lists every exit code that a command or an error can end with', () => {
    const listed = EXIT_CODE_LINES.map(([code]) => code);
    const { interrupted, ...own } = EXIT;
    expect(interrupted).toBe(130);
    expect(new Set(listed)).toEqual(new Set(Object.values(own)));
    for (const { exitCode } of Object.values(ERROR_CATALOGUE)) expect(listed).toContain(exitCode);
  });
});

describe('natprobe --version', () => {
  it("prints the package's version", async () => {
    const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { version: string };
    expect(VERSION).toBe(version);
    expect(await natprobe(['--version'])).toMatchObject({ stdout: `${version}\n`, stderr: '', code: 0 });
  });
});

describe('natprobe on an older Node', () => {
  it('says which one it needs, and ends in 2', async () => {
    // Stands in for an older one: it is told of its version before the program is.
    const pretend = "Object.defineProperty(process.versions, 'node', { value: '20.20.2' })";
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(pretend)}`;
    expect(await natprobe(['--help'], { NODE_OPTIONS })).toMatchObject({
      stdout: '',
      stderr: `natprobe: error: it needs Node 24 or newer, and this is ${process.version}\n`,
      code: 2,
    });
  });
});
