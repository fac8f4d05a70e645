#!/usr/bin/env node
import { enableCompileCache } from 'node:module';

// Before anything else is loaded, so that it is compiled once and not at every start.
enableCompileCache();
const { runProgram } = await import('./program.ts');
await runProgram(process.argv.slice(2));
