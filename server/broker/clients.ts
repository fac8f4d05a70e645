/** What the peers of one client, which is an address or a customer's prefix, may take together. */
import { Allowance } from './allowance.ts';
import type { BrokerLimits } from './limits.ts';

interface Client {
  /** Connections, and names kept for those that are lost. */
  places: number;
  readonly introductions: Allowance;
}

export class Clients {
  private readonly limits: BrokerLimits;
  private readonly clients = new Map<string, Client>();

  constructor(limits: BrokerLimits) {
    this.limits = limits;
  }

  /** Takes a place for a connection; false if there is none left. */
  admit(name: string, now: number): boolean {
    const known = this.clients.get(name);
    if (known !== undefined && known.places >= this.limits.connectionsPerClient) return false;
    const introductions = known?.introductions ?? new Allowance(this.limits.introductionsPerClient, now);
    this.clients.set(name, { places: (known?.places ?? 0) + 1, introductions });
    return true;
  }

  release(name: string): void {
    const client = this.clients.get(name)!;
    client.places--;
    if (client.places === 0) this.clients.delete(name);
  }

  mayIntroduce(name: string, now: number): boolean {
    return this.clients.get(name)!.introductions.take(1, now);
  }
}
