/** Runs in a namespace: prints what inspectInterfaces tells of the way from one address to another. */
import { inspectInterfaces } from '../../probe/drive/system-facts.ts';

const [server, local] = process.argv.slice(2);
process.stdout.write(
  `${JSON.stringify(await inspectInterfaces({ address: server!, port: 3478 }, local!))}\n`,
);
