/** Part of `npm run build`: bundles the pages into the package, beside the module that serves them. */
import { mkdir, writeFile } from 'node:fs/promises';
import { bundleWebAssets } from '../server/http/web-assets.ts';

const folder = new URL('../dist/server/http/web/', import.meta.url);
await mkdir(folder, { recursive: true });
for (const [name, bytes] of await bundleWebAssets()) await writeFile(new URL(name, folder), bytes);
