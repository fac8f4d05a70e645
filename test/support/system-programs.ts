/** Finds the system's own programs (nft, ip, coturn); Debian's sbin folders count, whoever runs this. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** PATH with the sbin folders, where nft, ip and the servers live. */
export function systemPath(): string {
  return [process.env['PATH'] ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter);
}

/** Says which of these programs are not installed, or undefined if all are. */
export function missingPrograms(...programs: string[]): string | undefined {
  const absent = programs.filter((program) => programPath(program) === undefined);
  return absent.length === 0 ? undefined : `not installed: ${absent.join(', ')}`;
}

/** Where a program is, or undefined if it isn't installed. */
export function programPath(program: string): string | undefined {
  return systemPath()
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
