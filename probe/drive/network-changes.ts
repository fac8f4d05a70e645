import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** Asking the system costs next to nothing, and a person who changes networks waits for about this long. */
const POLL_MS = 2000;

/**
 * Resolves with `changed` when this machine's addresses are no longer what they were at the call,
 * or with `elapsed` after `timeoutMs`.
 */
export async function waitForNetworkChange(timeoutMs: number): Promise<'changed' | 'elapsed'> {
  const before = describeInterfaces();
  const until = performance.now() + timeoutMs;
  for (let left = timeoutMs; left > 0; left = until - performance.now()) {
    await sleep(Math.min(POLL_MS, left));
    if (describeInterfaces() !== before) return 'changed';
  }
  return 'elapsed';
}

/** Every address of every interface, as text that is equal if and only if they are. */
function describeInterfaces(): string {
  return Object.entries(networkInterfaces())
    .flatMap(([name, addresses = []]) => addresses.map(({ cidr, address }) => `${name} ${cidr ?? address}`))
    .sort()
    .join('\n');
}
