import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { defaultConfigPath, readConfigFile } from '../../../probe/cli/config-file.ts';
import { type Flags, settle } from '../../../probe/cli/settings.ts';

const NO_FLAGS: Flags = { color: true };
const DEFAULTS = ['public.example:3478'];

const folder = mkdtempSync(join(tmpdir(), 'natprobe-settings-'));
afterAll(() => rmSync(folder, { recursive: true }));

function writeConfig(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('the server', () => {
  const env = { NATPROBE_SERVER: 'env-a, env-b:5000,' };
  const file = { server: 'file-a', alt: 'file-alt' };

  it('comes from the flag over the environment over the file over the list', () => {
    expect(settle({ ...NO_FLAGS, server: ['flag'] }, env, file, DEFAULTS)).toMatchObject({
      servers: ['flag'],
      serversFrom: 'flag',
    });
    expect(settle(NO_FLAGS, env, file, DEFAULTS)).toMatchObject({
      servers: ['env-a', 'env-b:5000'],
      serversFrom: 'environment',
    });
    expect(settle(NO_FLAGS, {}, file, DEFAULTS)).toMatchObject({ servers: ['file-a'], serversFrom: 'file' });
    expect(settle(NO_FLAGS, {}, {}, DEFAULTS)).toMatchObject({
      servers: DEFAULTS,
      serversFrom: 'default list',
    });
  });

  it('is not taken from an empty environment', () => {
    expect(settle(NO_FLAGS, { NATPROBE_SERVER: ' , ' }, file, DEFAULTS).serversFrom).toBe('file');
  });

  it("brings the file's alternate only together with the file's server", () => {
    expect(settle(NO_FLAGS, {}, file, DEFAULTS).alternate).toBe('file-alt');
    expect(settle({ ...NO_FLAGS, server: ['flag'] }, {}, file, DEFAULTS).alternate).toBeUndefined();
    expect(settle({ ...NO_FLAGS, alt: 'flag-alt' }, {}, file, DEFAULTS).alternate).toBe('flag-alt');
  });

  it('is checked wherever it comes from', () => {
    expect(() => settle(NO_FLAGS, { NATPROBE_SERVER: 'ok,300.0.0.1' }, {}, DEFAULTS)).toThrow(
      'NATPROBE_SERVER: not an address or HOST[:PORT] (got "300.0.0.1"); write HOST',
    );
  });
});

describe('the other settings', () => {
  it('come from the flag over the file', () => {
    const file = { timeout: 3, localPort: 1000, gentle: true, family: 'ipv6', color: false } as const;
    expect(settle(NO_FLAGS, {}, file, DEFAULTS)).toMatchObject({
      timeoutMs: 3000,
      localPort: 1000,
      gentle: true,
      families: ['ipv6'],
      color: false,
    });
    expect(
      settle({ ...NO_FLAGS, timeout: 0.5, localPort: 2000, ipv4: true }, {}, file, DEFAULTS),
    ).toMatchObject({ timeoutMs: 500, localPort: 2000, families: ['ipv4'] });
  });

  it('are these without either', () => {
    expect(settle(NO_FLAGS, {}, { family: 'both' }, DEFAULTS)).toEqual({
      servers: DEFAULTS,
      serversFrom: 'default list',
      families: ['ipv4', 'ipv6'],
      gentle: false,
      full: false,
      hairpin: false,
      keepMapping: false,
      report: false,
      json: false,
      verbose: false,
      color: true,
    });
  });

  it('refuses -4 with -6, and --alt without a server', () => {
    expect(() => settle({ ...NO_FLAGS, ipv4: true, ipv6: true }, {}, {}, DEFAULTS)).toThrow(
      '-4 and -6: these options do not go together',
    );
    expect(() => settle({ ...NO_FLAGS, alt: 'x' }, {}, {}, DEFAULTS)).toThrow(
      '--alt: these options do not go together',
    );
  });
});

describe('the configuration file', () => {
  it('is where the XDG specification has it', () => {
    expect(defaultConfigPath({ XDG_CONFIG_HOME: '/x' })).toBe('/x/natprobe/config.json');
    expect(defaultConfigPath({ XDG_CONFIG_HOME: 'relative' })).toMatch(/\/\.config\/natprobe\/config\.json$/);
    expect(defaultConfigPath({})).toMatch(/\/\.config\/natprobe\/config\.json$/);
  });

  it('may be missing, unless it was named', () => {
    expect(readConfigFile(undefined, { XDG_CONFIG_HOME: folder })).toEqual({});
    expect(() => readConfigFile(join(folder, 'none.json'), {})).toThrow(
      `${folder}/none.json: the configuration file cannot be used (ENOENT); correct it`,
    );
  });

  it('is read from its default place', () => {
    mkdirSync(join(folder, 'natprobe'));
    writeFileSync(join(folder, 'natprobe', 'config.json'), '{"timeout": 4}');
    expect(readConfigFile(undefined, { XDG_CONFIG_HOME: folder })).toEqual({ timeout: 4 });
  });

  it('may hold every key', () => {
    const all = {
      server: ['a', 'b:1'],
      alt: '[2001:db8::1]:3479',
      family: 'ipv4',
      localPort: 65535,
      timeout: 0.5,
      gentle: true,
      color: false,
    };
    expect(readConfigFile(writeConfig('all.json', JSON.stringify(all)), {})).toEqual(all);
  });

  const mistakes: [string, string][] = [
    ['{', 'JSON'],
    ['[]', 'wanted a JSON object'],
    ['{"servers": "a"}', 'unknown key "servers", known are server, alt, family'],
    ['{"toString": "a"}', 'unknown key "toString"'],
    ['{"server": 5}', 'key "server": got 5, wanted HOST[:PORT], or a list of them'],
    ['{"server": []}', 'key "server": got []'],
    ['{"server": ["a", "b:x"]}', 'key "server": got ["a","b:x"]'],
    ['{"alt": "a:0"}', 'key "alt": got "a:0"'],
    ['{"family": "ipv5"}', 'key "family": got "ipv5", wanted "ipv4", "ipv6" or "both"'],
    ['{"localPort": 1.5}', 'key "localPort": got 1.5'],
    ['{"localPort": 65536}', 'key "localPort": got 65536'],
    ['{"timeout": "5"}', 'key "timeout": got "5", wanted seconds'],
    ['{"timeout": 0}', 'key "timeout": got 0'],
    ['{"gentle": 1}', 'key "gentle": got 1, wanted true or false'],
    ['{"color": null}', 'key "color": got null'],
  ];
  for (const [text, complaint] of mistakes) {
    it(`refuses ${text}, naming the file`, () => {
      const path = writeConfig('bad.json', text);
      expect(() => readConfigFile(path, {})).toThrow(
        expect.objectContaining({
          code: 'ERR_CONFIG_FILE',
          place: path,
          message: expect.stringContaining(complaint) as string,
        }),
      );
    });
  }
});
