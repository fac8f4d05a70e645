/** Hosts of a pair in virtual time, and the network between them. */
import type { PartnerEndpoints, RelayedAnswer } from '../../../server/answer/relayed-answer.ts';
import type { PairMessage } from '../../../server/pair/messages.ts';
import { Pair, type PairAction, type PairEvent } from '../../../server/pair/pair.ts';

type SendAction = Extract<PairAction, { kind: 'send' }>;

/** A host, and what its machine has had it do. */
export class TestHost {
  readonly machine: Pair;
  readonly id: string;
  readonly sends: SendAction[] = [];
  readonly receipts: { readonly answer: RelayedAnswer; readonly delayMs: number }[] = [];
  readonly refusals: RelayedAnswer[] = [];
  readonly events: { readonly at: number; readonly event: PairEvent }[] = [];
  isAlive = true;

  constructor(id: string, endpoints: PartnerEndpoints, now: number) {
    this.id = id.padStart(32, '0');
    this.machine = new Pair(this.id, endpoints, now);
  }
}

/** Takes every message from each host to all others, so much later. */
export class Network {
  now = 0;
  delayMs = 2;
  isUp = true;
  /** Everything that was said. */
  readonly said: PairMessage[] = [];
  private readonly hosts: TestHost[] = [];
  private readonly underWay: { readonly at: number; readonly to: TestHost; readonly message: PairMessage }[] =
    [];

  addHost(id: string, endpoints: PartnerEndpoints): TestHost {
    const host = new TestHost(id, endpoints, this.now);
    this.hosts.push(host);
    return host;
  }

  /** Lets so much time pass. */
  run(forMs: number): void {
    const until = this.now + forMs;
    for (;;) {
      for (const host of this.hosts) this.drain(host);
      const timeouts = this.hosts.map(({ machine, isAlive }) =>
        isAlive ? machine.pollTimeout() : undefined,
      );
      const next = Math.min(...this.underWay.map(({ at }) => at), ...timeouts.map((at) => at ?? Infinity));
      if (next > until) break;
      this.now = Math.max(this.now, next);
      for (const host of this.hosts)
        if (host.isAlive && (host.machine.pollTimeout() ?? Infinity) <= this.now)
          host.machine.handleTimeout(this.now);
      const due = this.underWay.filter(({ at }) => at <= this.now);
      for (const item of due) {
        this.underWay.splice(this.underWay.indexOf(item), 1);
        this.deliver(item.to, item.message);
      }
    }
    this.now = until;
  }

  /** Now, whoever it is said to be from. */
  deliver(to: TestHost, message: PairMessage): void {
    if (to.isAlive) to.machine.handleInput({ kind: 'message', message }, this.now);
    this.drain(to);
  }

  drain(host: TestHost): void {
    const { machine } = host;
    for (let action = machine.pollAction(); action; action = machine.pollAction()) {
      switch (action.kind) {
        case 'publish':
          this.said.push(action.message);
          if (host.isAlive && this.isUp)
            for (const to of this.hosts)
              if (to !== host)
                this.underWay.push({ at: this.now + this.delayMs, to, message: action.message });
          break;
        case 'send': {
          host.sends.push(action);
          const { to, number } = action;
          machine.handleInput({ kind: 'done', to, number, outcome: 'sent' }, this.now);
          break;
        }
        case 'sent':
          host.receipts.push(action);
          break;
        case 'refuse':
          host.refusals.push(action.answer);
      }
    }
    for (let event = machine.pollEvent(); event; event = machine.pollEvent())
      host.events.push({ at: this.now, event });
  }
}

export function endpointsAt(
  address: string,
  ports: readonly [number, number] = [3478, 3479],
): PartnerEndpoints {
  return {
    ipv4: [
      { address, port: ports[0] },
      { address, port: ports[1] },
    ],
  };
}

/** An answer to be sent from the partner's second port. */
export function answerTo(port: number): RelayedAnswer {
  const source = { address: '198.51.100.7', port };
  return {
    family: 'ipv4',
    port: 1,
    to: source,
    response: Uint8Array.of(1, 1, 0, 0),
    source,
    arrival: 0,
    receipt: Uint8Array.of(2),
  };
}
