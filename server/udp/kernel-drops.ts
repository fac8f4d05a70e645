/** What the kernel says that it has dropped at sockets of which nothing but the endpoint is known: those of node:dgram. */
import { readFileSync } from 'node:fs';
import { parseIpAddress } from '../../shared/address.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import type { FamilyConfig } from '../config.ts';

/** Reads how many datagrams were dropped at the family's sockets; undefined where the kernel doesn't say. */
export function openDropReader({ family, bound }: FamilyConfig): () => number | undefined {
  if (process.platform !== 'linux') return () => undefined;
  const file = family === 'ipv4' ? '/proc/self/net/udp' : '/proc/self/net/udp6';
  const sockets = new Set(bound.flatMap((endpoint) => (endpoint === undefined ? [] : [procName(endpoint)])));
  return () => {
    try {
      return sumDrops(readFileSync(file, 'utf8'), sockets);
    } catch {
      // A system that hides /proc.
      return undefined;
    }
  };
}

/** The last column of the lines whose second is one of `sockets`. */
function sumDrops(table: string, sockets: ReadonlySet<string>): number {
  let drops = 0;
  for (const line of table.split('\n')) {
    const columns = line.trim().split(/\s+/);
    if (sockets.has(columns[1] ?? '')) drops += Number(columns.at(-1));
  }
  return drops;
}

/** `0100007F:0D96`: the address by words in the machine's byte order, then the port. */
function procName({ address, port }: Endpoint): string {
  const bytes = parseIpAddress(address)!;
  const words = new Uint32Array(bytes.buffer);
  const digits = (number: number, length: number): string =>
    number.toString(16).toUpperCase().padStart(length, '0');
  return `${Array.from(words, (word) => digits(word, 8)).join('')}:${digits(port, 4)}`;
}
