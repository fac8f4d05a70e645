#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

// Before anything else is loaded, so that it is compiled once and not at every start. Not in Node's
// default place, which other users of this machine can write to: what lies there is run.
// A folder that isn't there is not made: its parent may be no place for folders.
const { XDG_CACHE_HOME } = process.env;
const base = XDG_CACHE_HOME ?? homedir();
if (existsSync(base))
  enableCompileCache(join(base, XDG_CACHE_HOME === undefined ? '.cache' : '', 'natprobe'));
const { runProgram } = await import('./program.ts');
await runProgram(process.argv.slice(2));
