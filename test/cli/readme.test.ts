/** What the README shows runs as it stands: its examples, its commands, its files. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REPORT_LINES } from '../../probe/cli/help-details.ts';
import { findFreePorts } from '../unit/server/loopback.ts';
import { finish, type LocalServer, ROOT, startNatprobed, startProgram } from './programs.ts';

const readme = readFileSync(`${ROOT}README.md`, 'utf8');
const packageJson = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
  scripts: Readonly<Record<string, string>>;
};

/** What an example says that it prints, in comments: after the line that does, or on one of their own. */
function printedBy(example: string): string[] {
  return [...example.matchAll(/\/\/ (.+)/g)].map((match) => match[1]!);
}

describe('README', () => {
  const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]!);
  let server: LocalServer;

  beforeAll(async () => {
    // Its API too, which the examples with a broker find by themselves.
    const [port] = await findFreePorts('127.0.0.1');
    server = await startNatprobed(['127.0.0.1', '127.0.0.2'], ['--http', `127.0.0.1:${port}`]);
  });
  afterAll(() => server.stop());

  it('has examples', () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  it.each(examples.map((example, index) => [index + 1, example] as const))(
    'runs example %i',
    async (index, example) => {
      // Inside the checkout, so that the example's imports resolve as this package's own do.
      const file = `${ROOT}test/cli/.readme-example-${process.pid}-${index}.ts`;
      const here = example
        .replaceAll("'natprobe'", "'../../probe/index.ts'")
        .replaceAll("'127.0.0.1'", `'${server.name}'`);
      writeFileSync(file, here);
      try {
        const { code, stdout, stderr } = await finish(startProgram(file, []));
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        expect(stdout.trimEnd().split('\n')).toEqual(printedBy(example));
      } finally {
        rmSync(file);
      }
    },
  );

  it('has a row for every line of the report that the help explains', () => {
    const rows = [...readme.matchAll(/^\| ([\w, ]+) \|/gm)].flatMap((match) => match[1]!.split(', '));
    const labels = REPORT_LINES.flatMap(([label]) => label.split(', '));
    expect(labels.filter((label) => !rows.includes(label))).toEqual([]);
  });

  it('names only npm scripts that there are', () => {
    const named = [...readme.matchAll(/npm run ([\w:-]+)/g)].map((match) => match[1]!);
    expect(named.filter((script) => !(script in packageJson.scripts))).toEqual([]);
    const files = Object.values(packageJson.scripts).flatMap(
      (script) => script.match(/\S+\.m?[tj]s\b/g) ?? [],
    );
    expect(files.filter((file) => !existsSync(`${ROOT}${file}`))).toEqual([]);
  });

  it('links only to files that there are', () => {
    const links = [...readme.matchAll(/\]\((?!https?:|#)([^)]+)\)/g)].map((match) => match[1]!);
    expect(links.filter((link) => !existsSync(`${ROOT}${link}`))).toEqual([]);
  });
});
