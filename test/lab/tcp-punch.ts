/** Punches over TCP between two sites of the lab, with this process in the broker's place. */
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { PunchBehaviour } from '../../shared/punch/behaviour.ts';
import { behaviourOf } from '../../shared/punch/behaviour.ts';
import type { PlannedSide, PunchCandidate } from '../../shared/punch/plan.ts';
import { planTcpPunch } from '../../shared/punch/tcp-plan.ts';
import type { Family } from '../../shared/endpoint.ts';
import { SERVER_ADDRESSES, type Site } from './internet.ts';
import type { LabTcpNat } from './tcp-nats.ts';
import type { Said, Told } from './tcp-punch-agent.ts';

const AGENT = fileURLToPath(new URL('tcp-punch-agent.ts', import.meta.url));

/** How a side ended. */
export interface TcpPunchEnd {
  readonly outcome: string;
  readonly strategy?: string;
  readonly tookMs: number;
  readonly attempt: number;
  /** The address that it has of the peer. */
  readonly remote?: string;
  /** What came through from the peer. */
  readonly carried?: string;
}

export interface TcpPunchResult {
  readonly predicted: number;
  readonly a: TcpPunchEnd;
  readonly b: TcpPunchEnd;
}

/** An agent in a site's client, which can punch any number of times. */
export class TcpPunchAgent {
  readonly #child;
  readonly #said: Said[] = [];
  #waiting: ((said: Said) => void) | undefined;

  constructor(site: Site) {
    this.#child = site.client.spawn(process.execPath, [AGENT], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      const said = JSON.parse(line) as Said;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting === undefined) this.#said.push(said);
      else waiting(said);
    });
  }

  tell(told: Told): void {
    this.#child.stdin!.write(`${JSON.stringify(told)}\n`);
  }

  hear(): Promise<Said> {
    const said = this.#said.shift();
    return said !== undefined ? Promise.resolve(said) : new Promise((resolve) => (this.#waiting = resolve));
  }

  async close(): Promise<void> {
    this.#child.stdin!.end();
    await once(this.#child, 'close');
  }
}

/** What a report of that NAT would say, over a family in which it does what it does over IPv4. */
export function tcpBehaviourOfLab(
  { tcp: { mapping, filtering, syn } }: LabTcpNat,
  family: Family = 'ipv4',
): PunchBehaviour & { readonly family: Family } {
  return {
    ...behaviourOf({ mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' }),
    tcp: { mapping, filtering, confidence: 1, unsolicitedSyn: syn },
    family,
  };
}

interface Party {
  readonly site: Site;
  readonly behaviour: PunchBehaviour & { readonly family: Family };
}

/** Punches once, over as many attempts as the plan allows, from `first` on. */
export async function punchOverTcp(a: Party, b: Party, first = 1): Promise<TcpPunchResult> {
  const agents = { a: new TcpPunchAgent(a.site), b: new TcpPunchAgent(b.site) };
  try {
    const key = randomBytes(32).toString('hex');
    let predicted = 0;
    for (let attempt = first; ; attempt++) {
      const [one, other] = await Promise.all([register(agents.a, a), register(agents.b, b)]);
      const plans = planTcpPunch(one, other, attempt);
      if (attempt === first) predicted = plans.prediction.probability;
      for (const side of ['a', 'b'] as const) agents[side].tell({ kind: 'plan', plan: plans[side], key });
      const [endA, endB] = await Promise.all([endOf(agents.a), endOf(agents.b)]);
      if (endA.outcome !== 'renew' || endB.outcome !== 'renew')
        return { predicted, a: { ...endA, attempt }, b: { ...endB, attempt } };
    }
  } finally {
    await Promise.all([agents.a.close(), agents.b.close()]);
  }
}

async function register(agent: TcpPunchAgent, { behaviour }: Party): Promise<PlannedSide> {
  const { family } = behaviour;
  agent.tell({ kind: 'register', server: { address: SERVER_ADDRESSES[family].primary, port: 3478 } });
  const said = await agent.hear();
  if (said.kind !== 'registered') throw new Error(`an agent said ${JSON.stringify(said)}`);
  const candidates: PunchCandidate[] = [
    { kind: family === 'ipv6' ? 'ipv6' : 'public', endpoint: said.public },
  ];
  return { behaviour, candidates, publicKey: '', rttMs: 1 };
}

async function endOf(agent: TcpPunchAgent): Promise<Omit<TcpPunchEnd, 'attempt'>> {
  const said = await agent.hear();
  switch (said.kind) {
    case 'renew':
      return { outcome: 'renew', tookMs: 0 };
    case 'failed':
      return { outcome: said.code, tookMs: said.tookMs };
    case 'open': {
      const { strategy, tookMs, remote } = said;
      const next = await agent.hear();
      return {
        outcome: 'open',
        strategy,
        tookMs,
        remote,
        ...(next.kind === 'carried' && { carried: next.text }),
      };
    }
    default:
      throw new Error(`an agent said ${JSON.stringify(said)}`);
  }
}
