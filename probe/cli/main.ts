#!/usr/bin/env node
import { existsSync } from 'node:fs';
import module from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** As package.json's `engines` has it. Everything that an older one may lack is loaded after the check. */
const NEEDED_NODE_MAJOR = 24;

if (Number.parseInt(process.versions.node) < NEEDED_NODE_MAJOR) {
  process.stderr.write(
    `natprobe: error: it needs Node ${NEEDED_NODE_MAJOR} or newer, and this is ${process.version}\n`,
  );
  process.exit(2);
}

// Before anything else is loaded, so that it is compiled once and not at every start. Not in Node's
// default place, which other users of this machine can write to: what lies there is run.
// A folder that isn't there is not made: its parent may be no place for folders.
const { XDG_CACHE_HOME } = process.env;
const base = XDG_CACHE_HOME ?? homedir();
if (existsSync(base)) {
  module.enableCompileCache(join(base, XDG_CACHE_HOME === undefined ? '.cache' : '', 'natprobe'));
}
const { runProgram } = await import('./program.ts');
await runProgram(process.argv.slice(2));
