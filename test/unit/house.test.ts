/** The house of the design: pure folders stay pure, and imports run one way. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../..', import.meta.url).pathname;
const PURE_FOLDERS = [
  'shared',
  'server/answer',
  'server/broker',
  'server/ice',
  'server/pair',
  'server/witness',
  'probe/broker',
  'probe/classify',
  'probe/doctor',
  'probe/punch',
];

/** What a pure file may not mention: clocks, timers, randomness. */
const IMPURE = [
  /\bDate\.now\b/,
  /\bnew Date\(\s*\)/,
  /\bperformance\.now\b/,
  /\bprocess\.hrtime\b/,
  /\bMath\.random\b/,
  /\brandomBytes\b/,
  /\brandomUUID\b/,
  /\brandomFillSync\b/,
  /\bset(Timeout|Interval|Immediate)\b/,
  /\bprocess\.(env|argv|stdout|stderr|exit)\b/,
];

/** Built-in modules that do no I/O; node:crypto for its hashes alone (IMPURE holds its randomness off). */
const PURE_MODULES = new Set(['node:crypto', 'node:buffer']);
/** What the pages are made with and of: the package has them made already, and doesn't get there. */
const CHECKOUT_ONLY = new Set(['esbuild', 'uplot']);
const PURE_PACKAGES = new Set(['ip-num', 'typebox']);

interface Import {
  readonly file: string;
  readonly from: string;
}

function sourceFiles(folder: string): string[] {
  let entries;
  try {
    entries = readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
}

function read(file: string): string {
  return readFileSync(join(ROOT, file), 'utf8');
}

/** Comments may speak of clocks. */
function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:])\/\/.*$/gm, '$1');
}

function importsOf(file: string): Import[] {
  const pattern = /(?:\bfrom\s+|\bimport\s*\(\s*|\bimport\s+)['"]([^'"]+)['"]/g;
  return [...withoutComments(read(file)).matchAll(pattern)].map((match) => ({ file, from: match[1]! }));
}

/** The top-level folder that a relative import leads to, or undefined for a package. */
function roomOf({ file, from }: Import): string | undefined {
  if (!from.startsWith('.')) return undefined;
  return join(dirname(file), from).split('/')[0];
}

describe('the pure folders', () => {
  const files = PURE_FOLDERS.flatMap(sourceFiles);

  it('are there to be read', () => {
    expect(files).toContain('shared/nat/judge.ts');
    expect(files).toContain('probe/classify/classifier.ts');
    expect(files).toContain('server/answer/answer-core.ts');
  });

  it('know no clock, timer, randomness or process', () => {
    const found = files.flatMap((file) => {
      const source = withoutComments(read(file));
      return IMPURE.filter((pattern) => pattern.test(source)).map((pattern) => `${file}: ${pattern.source}`);
    });
    expect(found).toEqual([]);
  });

  it('import nothing that does I/O', () => {
    const found = files
      .flatMap(importsOf)
      .filter(({ from }) => !from.startsWith('.'))
      .filter(({ from }) => !PURE_MODULES.has(from) && !PURE_PACKAGES.has(from.split('/')[0]!))
      .map(({ file, from }) => `${file}: ${from}`);
    expect(found).toEqual([]);
  });

  it('import only pure folders', () => {
    const found = files
      .flatMap(importsOf)
      .filter(({ from }) => from.startsWith('.'))
      .map((item) => ({ ...item, target: join(dirname(item.file), item.from) }))
      .filter(({ target }) => !PURE_FOLDERS.some((folder) => target.startsWith(`${folder}/`)))
      .map(({ file, target }) => `${file}: ${target}`);
    expect(found).toEqual([]);
  });
});

describe('imports', () => {
  const ALLOWED: Readonly<Record<string, readonly string[]>> = {
    shared: ['shared'],
    probe: ['probe', 'shared'],
    server: ['server', 'shared'],
  };

  it.each(Object.entries(ALLOWED))('of %s lead to %j only', (room, allowed) => {
    const imports = sourceFiles(room).flatMap(importsOf);
    expect(imports.length).toBeGreaterThan(0);
    const found = imports
      .filter((item) => {
        const target = roomOf(item);
        return target !== undefined && !allowed.includes(target);
      })
      .map(({ file, from }) => `${file}: ${from}`);
    expect(found).toEqual([]);
  });

  it('use only what package.json lists for those who install it', () => {
    const { dependencies, optionalDependencies } = JSON.parse(read('package.json')) as Record<
      'dependencies' | 'optionalDependencies',
      Record<string, string>
    >;
    const found = ['shared', 'probe', 'server']
      .flatMap(sourceFiles)
      .flatMap(importsOf)
      .filter(({ from }) => !from.startsWith('.') && !from.startsWith('node:'))
      .map(({ from }) =>
        from
          .split('/')
          .slice(0, from.startsWith('@') ? 2 : 1)
          .join('/'),
      )
      .filter(
        (name) => !(name in dependencies) && !(name in optionalDependencies) && !CHECKOUT_ONLY.has(name),
      );
    expect([...new Set(found)]).toEqual([]);
    // What may be missing may only be loaded where that is heeded; types are gone by then.
    const loaded = ['shared', 'probe', 'server'].flatMap(sourceFiles).flatMap((file) => {
      const imports = withoutComments(read(file)).matchAll(/^import (?!type )[^;]*? from '([^.'][^']*)'/gm);
      return [...imports].map((found) => found[1]!).filter((name) => name in optionalDependencies);
    });
    expect(loaded).toEqual([]);
  });
});
