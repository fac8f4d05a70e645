#!/usr/bin/env node
import { enableCompileCache } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

// Before anything else is loaded, so that it is compiled once and not at every start. Not in Node's
// default place, which other users of this machine can write to: what lies there is run.
const { NODE_COMPILE_CACHE, XDG_CACHE_HOME } = process.env;
const caches = XDG_CACHE_HOME?.startsWith('/') === true ? XDG_CACHE_HOME : join(homedir(), '.cache');
enableCompileCache(NODE_COMPILE_CACHE ?? join(caches, 'natprobe'));
const { runProgram } = await import('./program.ts');
await runProgram(process.argv.slice(2));
