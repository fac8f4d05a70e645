/** The inputs that are kept: in corpus/TARGET/, as hexadecimal where they are not text. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const CORPUS = new URL('corpus', import.meta.url).pathname;
const LINE = 100;

export function readCorpus(target: string): Uint8Array[] {
  const folder = join(CORPUS, target);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => {
      const bytes = readFileSync(join(folder, name));
      return name.endsWith('.hex') ? Buffer.from(bytes.toString().replace(/\s/g, ''), 'hex') : bytes;
    });
}

/** Keeps an input under a name of its own, which is returned. */
export function keepInput(target: string, input: Uint8Array): string {
  const bytes = Buffer.from(input);
  const isText = /^[\n\x20-\x7e]*$/.test(bytes.toString('latin1'));
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  const file = join(CORPUS, target, `${hash}.${isText ? 'txt' : 'hex'}`);
  mkdirSync(join(CORPUS, target), { recursive: true });
  const hex = bytes.toString('hex').replace(new RegExp(`.{${LINE}}`, 'g'), '$&\n');
  writeFileSync(file, isText ? bytes : `${hex}\n`);
  return file;
}
