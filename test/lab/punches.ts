/** Punches between sites of the lab's internet, by the library's own parts and real plans. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { PunchReport } from '../../probe/hole.ts';
import type { Report } from '../../probe/index.ts';
import { behaviourOfPeer, soundPorts, statedBehaviours } from '../../shared/broker/behaviour.ts';
import type { Plan } from '../../shared/broker/messages.ts';
import { type Family, familyOf, formatEndpoint } from '../../shared/endpoint.ts';
import type { Side } from '../../shared/punch/plain.ts';
import { type PlannedSide, planPunch, type PunchCandidate } from '../../shared/punch/plan.ts';
import type { Prediction } from '../../shared/punch/predict.ts';
import type { Site } from './internet.ts';
import { SERVER_ADDRESSES } from './internet.ts';
import type { Namespace } from './namespaces.ts';
import type { PunchAgentEvent, PunchCommand } from './punch-agent.ts';

const AGENT = fileURLToPath(new URL('punch-agent.ts', import.meta.url));
const STUN_PORT = 3478;
const NONCE = '00112233445566778899aabbccddeeff';
const SIDES: readonly Side[] = ['a', 'b'];
/** Long, since the machine may be busy: nothing waits it out but a failure. */
const REPLY_TIMEOUT_MS = 30_000;
/** Within the hole, each way; several, as a path may lose some. */
const MESSAGES = 5;

/** A client that punches, with what was measured of its NAT. */
export interface Member {
  readonly site: Site;
  readonly report: Report;
  readonly lowPorts: boolean;
  readonly agent: Agent;
}

export interface MemberOptions {
  readonly families?: readonly Family[];
  /** Its agent may bind ports below 1024, and says so. */
  readonly lowPorts?: boolean;
  /** Where it runs, if not at the site's client. */
  readonly client?: Namespace;
}

/** How a punch went, as both sides have it. */
export interface LabPunch {
  readonly prediction: Prediction;
  readonly reports: Readonly<Record<Side, PunchReport>>;
  /** Whether what each side sent through the hole came to the other. */
  readonly carries: boolean;
  /** Planned, for the first attempt: until then there is a hole or a failure. */
  readonly budgetMs: number;
  /** From the first plan's start to the end of all attempts, on the slower side. */
  readonly tookMs: number;
}

/** A member at that site, measured as `natprobe --full` does. */
export async function joinAt(site: Site, options: MemberOptions = {}): Promise<Member> {
  const { families = ['ipv4'], lowPorts = false, client = site.client } = options;
  const agent = startAgent(client);
  const server = formatEndpoint({
    address: SERVER_ADDRESSES[families[0]!].primary,
    port: STUN_PORT,
  });
  const { report } = await agent.ask(
    { kind: 'classify', punch: 0, server, families: [...families] },
    'classified',
  );
  return { site, report, lowPorts, agent };
}

let punchesSoFar = 0;

/** Introduces `a` to `b` as the broker does, and again for as long as it is asked to. */
export async function punchBetween(a: Member, b: Member): Promise<LabPunch> {
  const members = { a, b };
  const punch = ++punchesSoFar;
  const key = createHash('sha256').update(`punch ${punch}`).digest('hex');
  let prediction: Prediction | undefined;
  let budgetMs = 0;
  let introduction = 0;

  async function introduce(attempt: number): Promise<void> {
    const servers = serversOf(a.report);
    const registered = await Promise.all(
      SIDES.map((side) =>
        members[side].agent.ask({ kind: 'register', punch, servers, nonce: NONCE }, 'registered'),
      ),
    );
    const seenAt = performance.now();
    const near = shareAddress(registered.map(({ candidates }) => candidates.public[0]!.mapped.address));
    const sideOf = (index: number): PlannedSide =>
      sideToPlan(members[SIDES[index]!], registered[index]!.candidates, near, seenAt);
    const planned = planPunch(sideOf(0), sideOf(1), attempt);
    prediction ??= planned.prediction;
    const { outcome, probability, strategy, plain } = planned.prediction;
    introduction++;
    for (const side of SIDES) {
      const other = side === 'a' ? b : a;
      const plan: Plan = {
        kind: 'plan',
        introduction,
        side,
        peer: { number: 1, name: other.site.nat.name, type: other.report.verdict.type },
        prediction: { outcome, probability, strategy, plain },
        plan: planned[side],
      };
      budgetMs = Math.max(budgetMs, planned[side].timeMs);
      members[side].agent.tell({ kind: 'plan', punch, plan, key });
    }
  }

  const stopRenewing = a.agent.on((event) => {
    if (event.punch === punch && event.kind === 'renew')
      introduce(event.attempt).catch((error: unknown) => a.agent.fail(error));
  });
  try {
    await introduce(1);
    const ends = await Promise.all(SIDES.map((side) => endOf(members[side], punch)));
    const reports = { a: ends[0]!.report, b: ends[1]!.report };
    const carries = ends.every(({ kind }) => kind === 'open') && (await carriesBothWays(members, punch));
    return {
      prediction: prediction!,
      reports,
      carries,
      budgetMs,
      tookMs: Math.max(...SIDES.map((side) => reports[side].timing.totalMs)),
    };
  } finally {
    stopRenewing();
    for (const side of SIDES) members[side].agent.tell({ kind: 'stop', punch });
  }
}

function endOf(
  { agent }: Member,
  punch: number,
): Promise<Extract<PunchAgentEvent, { kind: 'open' | 'failed' }>> {
  return agent.next((event) =>
    event.punch === punch && (event.kind === 'open' || event.kind === 'failed') ? event : undefined,
  );
}

async function carriesBothWays(members: Readonly<Record<Side, Member>>, punch: number): Promise<boolean> {
  const heard = SIDES.map((side) =>
    members[side].agent.next((event) =>
      event.punch === punch && event.kind === 'received' && event.text === `to ${side}` ? true : undefined,
    ),
  );
  for (let turn = 0; turn < MESSAGES; turn++)
    for (const side of SIDES)
      members[side].agent.tell({ kind: 'send', punch, text: `to ${side === 'a' ? 'b' : 'a'}` });
  const late = new Promise<boolean[]>((resolve) =>
    setTimeout(() => resolve([false]), CARRY_TIMEOUT_MS).unref(),
  );
  return (await Promise.race([Promise.all(heard), late])).every(Boolean);
}

const CARRY_TIMEOUT_MS = 5000;

function serversOf(report: Report): Partial<Record<Family, { address: string; port: number }>> {
  return { [report.family]: { address: SERVER_ADDRESSES[report.family].primary, port: STUN_PORT } };
}

/** What the broker makes of a member: what it states of its NAT, and what was witnessed. */
function sideToPlan(
  { report, lowPorts, site }: Member,
  { public: witnessed, private: locals }: Extract<PunchAgentEvent, { kind: 'registered' }>['candidates'],
  near: boolean,
  seenAt: number,
): PlannedSide {
  const stated = statedBehaviours(report).map((behaviour) => ({
    ...behaviour,
    ...(lowPorts && { lowPorts }),
  }));
  const ports = soundPorts(stated[0]!);
  return {
    behaviour: behaviourOfPeer(stated),
    candidates: [
      ...witnessed.map(({ mapped }): PunchCandidate => ({
        kind: familyOf(mapped.address) === 'ipv6' ? 'ipv6' : 'public',
        endpoint: mapped,
      })),
      ...(near ? locals.map((endpoint): PunchCandidate => ({ kind: 'private', endpoint })) : []),
    ],
    publicKey: '',
    rttMs: 1,
    seenAgoMs: performance.now() - seenAt,
    natLayers: site.nat.layers.length,
    ...(ports !== undefined && { ports }),
  };
}

function shareAddress([one, other]: readonly string[]): boolean {
  return one === other;
}

interface Agent {
  tell(command: PunchCommand): void;
  ask<Kind extends PunchAgentEvent['kind']>(
    command: PunchCommand,
    answer: Kind,
  ): Promise<Extract<PunchAgentEvent, { kind: Kind }>>;
  /** The first event from now on that `find` makes something of. Rejects if the agent fails. */
  next<Found>(find: (event: PunchAgentEvent) => Found | undefined): Promise<Found>;
  on(listener: (event: PunchAgentEvent) => void): () => void;
  fail(error: unknown): void;
  close(): Promise<void>;
}

function startAgent(client: Namespace): Agent {
  const process_ = client.spawn(process.execPath, [AGENT], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(process_, 'close');
  const listeners = new Set<(event: PunchAgentEvent) => void>();
  const failures = new Set<(error: Error) => void>();
  createInterface({ input: process_.stdout! }).on('line', (line) => {
    const event = JSON.parse(line) as PunchAgentEvent;
    if (event.kind === 'error') agent.fail(new Error(`in ${client.name}: ${event.text}`));
    for (const listener of [...listeners]) listener(event);
  });
  const agent: Agent = {
    tell: (command) => void process_.stdin!.write(`${JSON.stringify(command)}\n`),
    ask(command, answer) {
      const answered = agent.next((event) =>
        event.punch === command.punch && event.kind === answer
          ? (event as Extract<PunchAgentEvent, { kind: typeof answer }>)
          : undefined,
      );
      agent.tell(command);
      return answered;
    },
    next: (find) =>
      new Promise((resolve, reject) => {
        const stop = (): void => {
          listeners.delete(look);
          failures.delete(fail);
          clearTimeout(timer);
        };
        const look = (event: PunchAgentEvent): void => {
          const found = find(event);
          if (found === undefined) return;
          stop();
          resolve(found);
        };
        const fail = (error: Error): void => {
          stop();
          reject(error);
        };
        const timer = setTimeout(
          () => fail(new Error(`nothing of the kind from ${client.name} in ${REPLY_TIMEOUT_MS} ms`)),
          REPLY_TIMEOUT_MS,
        );
        listeners.add(look);
        failures.add(fail);
      }),
    on(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    fail(error) {
      for (const fail of [...failures]) fail(error instanceof Error ? error : new Error(String(error)));
    },
    async close() {
      process_.stdin!.end();
      await ended;
    },
  };
  return agent;
}
