/** What deploy/ holds, for the tests of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { finish, NATPROBED, ROOT, startProgram } from '../cli/programs.ts';

export const DEPLOY = join(ROOT, 'deploy');

/** Paths below deploy/, of all files whose names end so. */
export function deployFiles(...endings: string[]): string[] {
  return readdirSync(DEPLOY, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => relative(DEPLOY, join(entry.parentPath, entry.name)))
    .sort();
}

export function readDeployFile(path: string): string {
  return readFileSync(join(DEPLOY, path), 'utf8');
}

/** Every document of a YAML file. Throws where it is no YAML, also on repeated keys. */
export function readYaml(path: string): unknown[] {
  return parseAllDocuments(readDeployFile(path), { strict: true, uniqueKeys: true }).map((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw new Error(`${path}: ${problem.message}`);
    return document.toJS() as unknown;
  });
}

/** The long options that `natprobed --help` lists. */
export async function natprobedOptions(): Promise<ReadonlySet<string>> {
  const { stdout, code } = await finish(startProgram(NATPROBED, ['--help']));
  if (code !== 0) throw new Error(`natprobed --help ended with ${String(code)}`);
  return new Set([...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z][a-z-]*)/gm)].map(([, name]) => name!));
}
