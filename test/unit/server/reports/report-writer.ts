/**
 * A process that adds reports to the directory it is given until it is killed, and prints each id
 * once it is kept. Every other report is of long ago; those are removed all the while.
 */
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import { newReport, openTestStore } from './reports.ts';

const AT_ONCE = 8;
const LONG_AGO_MS = Date.parse('2001-01-01');

let added = 0;
const { store } = await openTestStore(process.argv[2], {
  now: () => ((added += 1) % 2 === 0 ? LONG_AGO_MS + added : Date.now()),
  randomBytes,
});
for (let lane = 0; lane < AT_ONCE; lane += 1) void addForever(lane % 3 === 0 ? 'ipv6' : 'ipv4');
void removeForever();

async function addForever(family: 'ipv4' | 'ipv6'): Promise<void> {
  for (;;) {
    const { id, receivedAt } = await store.add(newReport({ family }));
    // At once: what is buffered when this process is killed would be lost.
    writeSync(1, `${receivedAt < '2002' ? 'old' : 'new'} ${id}\n`);
  }
}

async function removeForever(): Promise<void> {
  for (;;) {
    const removed = await store.removeBefore('2002-01-01');
    writeSync(1, `removed ${removed}\n`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
