/** The files of the pages: as the build has left them beside this module, or made from source where it has not. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';

export interface WebAsset {
  readonly type: string;
  readonly bytes: Buffer;
}

/** By file name: `index.html`, `page.js`, `page.css`. */
export type WebAssets = ReadonlyMap<string, WebAsset>;

const FOLDER = new URL('./web/', import.meta.url);
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
};
/** What esbuild starts from. Pages are taken as they are. */
const ENTRY_POINTS = ['page.ts', 'page.css'];

/** Rejects where neither built files nor esbuild, which a checkout has, are to be found. */
export async function loadWebAssets(): Promise<WebAssets> {
  const names = await readdir(FOLDER);
  return names.includes('page.js') ? readAssets(names) : bundleWebAssets();
}

/** Bundles the scripts and styles of this checkout, each into one file, and adds the pages. */
export async function bundleWebAssets(): Promise<WebAssets> {
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
  const pages = (await readdir(FOLDER)).filter((name) => extname(name) === '.html');
  const assets = new Map(await readAssets(pages));
  for (const { path, contents } of outputFiles) {
    const name = basename(path);
    assets.set(name, { type: TYPES[extname(name)]!, bytes: Buffer.from(contents) });
  }
  return assets;
}

async function readAssets(names: readonly string[]): Promise<WebAssets> {
  const known = names.filter((name) => extname(name) in TYPES);
  const assets = known.map(async (name): Promise<[string, WebAsset]> => {
    return [name, { type: TYPES[extname(name)]!, bytes: await readFile(new URL(name, FOLDER)) }];
  });
  return new Map(await Promise.all(assets));
}
