/**
 * Installs what package-lock.json names, if anything of it is missing. Runs before `npm start` and
 * `npm test`, so it must do without node_modules and on a Node older than the one it installs.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What the TypeScript sources need to run as they are (package.json, engines). */
const NEEDED_NODE_MAJOR = 24;

const missing = findMissing();
if (missing !== undefined) {
  console.error(`natprobe: installing dependencies with npm ci (${missing})`);
  const { status, error } = install();
  const still = status === 0 ? findMissing() : undefined;
  if (error !== undefined || status !== 0 || still !== undefined) {
    console.error(`natprobe: npm ci failed: ${error?.message ?? still ?? `it ended with ${String(status)}`}`);
    process.exitCode = 1;
  }
}

/** The first thing that is not there as the lock file has it, in words. */
function findMissing() {
  const wanted = readPackages('package-lock.json');
  const installed = readPackages(join('node_modules', '.package-lock.json'));
  if (wanted === undefined) return undefined;
  if (installed === undefined) return 'node_modules is missing';
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '' || entry.link === true) continue;
    const present = installed[path];
    if (present === undefined) {
      // Packages for other platforms stay away.
      if (entry.optional === true || entry.devOptional === true) continue;
      return `${path} is missing`;
    }
    if (present.version !== entry.version) return `${path} is ${present.version}, not ${entry.version}`;
    if (!existsSync(join(ROOT, path))) return `${path} is gone`;
  }
  const isOld = Number(process.versions.node.split('.')[0]) < NEEDED_NODE_MAJOR;
  if (isOld && !existsSync(join(ROOT, 'node_modules', '.bin', 'node'))) {
    return `node ${NEEDED_NODE_MAJOR} is missing`;
  }
  return undefined;
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(join(ROOT, path), 'utf8')).packages;
  } catch {
    return undefined;
  }
}

function install() {
  // npm ci begins with removing node_modules: it must not run on the node in there.
  const own = `node_modules${sep}.bin`;
  const path = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !folder.endsWith(own))
    .join(delimiter);
  return spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: ROOT,
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 'ignore', 'inherit'],
    shell: process.platform === 'win32',
  });
}
