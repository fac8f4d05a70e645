/**
 * Notices what a machine takes from a running server: one of its addresses, or the last file descriptor.
 * Neither needs repair: sockets stay bound to an address that is away and go on when it is back, and
 * connections that there is no descriptor for are closed as they come. But somebody has to be told.
 */
import type { FamilyConfig } from './config.ts';
import { isLocalAddress, type LocalAddress } from './local-addresses.ts';
import type { Log } from './log.ts';

const CHECK_EVERY_MS = 1000;
/** Descriptors come and go with connections: said to be there again once they were for so many checks. */
const CHECKS_TO_TRUST = 5;

export interface MachineFacts {
  /** May throw. */
  readonly listLocalAddresses: () => readonly LocalAddress[];
  readonly hasFreeDescriptor: () => boolean;
}

export class MachineWatch {
  private readonly addresses: readonly string[];
  private readonly facts: MachineFacts;
  private readonly log: Log;
  private readonly timer: NodeJS.Timeout;
  private readonly away = new Set<string>();
  /** Checks that are still to find a free descriptor. */
  private distrust = 0;

  /** Looks every second, until it is closed. */
  constructor(families: readonly FamilyConfig[], facts: MachineFacts, log: Log) {
    const bound = families.flatMap((family) => family.bound.flatMap((endpoint) => endpoint?.address ?? []));
    this.addresses = [...new Set(bound)];
    this.facts = facts;
    this.log = log;
    this.timer = setInterval(() => this.check(), CHECK_EVERY_MS).unref();
  }

  /** What is amiss, as the end of a sentence; undefined while nothing is. */
  findFault(): string | undefined {
    const [address] = this.away;
    if (address !== undefined) return `${address} is not this machine's address any more`;
    return this.distrust > 0 ? 'it has run out of file descriptors' : undefined;
  }

  close(): Promise<void> {
    clearInterval(this.timer);
    return Promise.resolve();
  }

  private check(): void {
    this.checkDescriptors();
    let local: readonly LocalAddress[];
    try {
      local = this.facts.listLocalAddresses();
    } catch {
      // Then nothing is known, and nothing new is said.
      return;
    }
    for (const address of this.addresses) {
      const isAway = !isLocalAddress(address, local);
      if (isAway === this.away.has(address)) continue;
      if (isAway) this.away.add(address);
      else this.away.delete(address);
      if (isAway)
        this.log(
          'error',
          `${address} is not this machine's address any more, and nobody is answered there; give it back (ip address add)`,
          { address },
        );
      else this.log('info', `${address} is this machine's address again, and is answered on`, { address });
    }
  }

  private checkDescriptors(): void {
    if (!this.facts.hasFreeDescriptor()) {
      if (this.distrust === 0) {
        this.log(
          'error',
          'no file descriptor is left: TCP and HTTP connections are closed as they come, UDP is answered; ' +
            'allow more (ulimit -n, LimitNOFILE=)',
        );
      }
      this.distrust = CHECKS_TO_TRUST;
    } else if (this.distrust > 0 && --this.distrust === 0) {
      this.log('info', 'there are free file descriptors again');
    }
  }
}
