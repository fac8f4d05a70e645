/** Scripts and styles of the pages: as the build has left them beside this module, or made from source where it has not. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

export interface WebAsset {
  readonly type: string;
  readonly bytes: Buffer;
  readonly gzipped: Buffer;
}

/** Where pages find assets, by the name of the file. */
export interface AssetUrls {
  urlOf(file: 'page.js' | 'page.css' | 'stats.js' | 'icon.svg'): string;
}

export interface WebAssets extends AssetUrls {
  /** `name` is the last part of a URL that `urlOf` gave; it changes with the content. */
  find(name: string): WebAsset | undefined;
}

/** Where the assets are, on the server. */
export const ASSETS_PATH = '/assets/';

const FOLDER = new URL('./web/', import.meta.url);
const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** What esbuild starts from. Pictures are taken as they are. */
const ENTRY_POINTS = ['page.ts', 'stats.ts', 'page.css'];

/** Rejects where neither built files nor esbuild, which a checkout has, are to be found. */
export async function loadWebAssets(): Promise<WebAssets> {
  const names = await readdir(FOLDER);
  const files = names.includes('page.js')
    ? await readFiles(names.filter((name) => extname(name) in TYPES))
    : await bundleWebAssets();
  return hashAssets(files);
}

/** Bundles the scripts and styles of this checkout, each into one file, and adds the pictures; by file name. */
export async function bundleWebAssets(): Promise<ReadonlyMap<string, Buffer>> {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: ENTRY_POINTS.map((name) => new URL(name, FOLDER).pathname),
    bundle: true,
    write: false,
    outdir: FOLDER.pathname,
    format: 'esm',
    // What has WebRTC statistics and modules, for some years.
    target: ['chrome110', 'firefox115', 'safari16'],
    minify: true,
    legalComments: 'none',
  });
  const pictures = await readFiles((await readdir(FOLDER)).filter((name) => extname(name) === '.svg'));
  return new Map([
    ...pictures,
    ...outputFiles.map(({ path, contents }) => [basename(path), Buffer.from(contents)] as const),
  ]);
}

async function readFiles(names: readonly string[]): Promise<ReadonlyMap<string, Buffer>> {
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(new URL(name, FOLDER))] as const)),
  );
}

/** Names them by their content, so that they may be cached for ever. */
async function hashAssets(files: ReadonlyMap<string, Buffer>): Promise<WebAssets> {
  const hashedNames = new Map<string, string>();
  const assets = new Map<string, WebAsset>();
  for (const [name, bytes] of files) {
    const extension = extname(name);
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
    const hashedName = `${basename(name, extension)}-${hash}${extension}`;
    hashedNames.set(name, hashedName);
    assets.set(hashedName, { type: TYPES[extension]!, bytes, gzipped: await promisify(gzip)(bytes) });
  }
  return {
    find: (name) => assets.get(name),
    urlOf: (file) => ASSETS_PATH + hashedNames.get(file)!,
  };
}
