/** A page that measures, in the simulator: the real sessions at the server, a browser's agents behind the boxes. */
import { BrowserSessions, mappingName } from '../../server/ice/session-table.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import type { IceBrowserStats } from '../../shared/nat/ice-evidence.ts';
import { judge, type Judgement } from '../../shared/nat/judge.ts';
import { IceAgent, type Pacing } from './ice-agent.ts';
import type { Network } from './network.ts';
import type { Random } from './random.ts';
import type { World } from './scenario.ts';

export interface BrowserRun {
  /** Undefined if the session expired. */
  readonly judgement: Judgement | undefined;
  readonly evidence: readonly Evidence[];
  /** From the page's first request to the answer of its last. */
  readonly totalMs: number;
  /** Datagrams that the server sent. */
  readonly sent: number;
}

export interface BrowserOptions {
  readonly pacing?: Pacing;
  /** Mapping connections. */
  readonly mappings?: number;
  /** By how much the server's timers come late: a busy machine's. */
  readonly meanLateMs?: number;
  /** While the server stands still; what comes in then waits to be read. */
  readonly stalls?: readonly Stall[];
}

/** Since the page's first request. */
export interface Stall {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The page asks its browser this often, and at last after this long; when asked again, after these. */
const POLL_MS = 25;
const GIVE_UP_MS = 2000;
const PAUSE_MS = 100;
const AGAIN_MS = 500;
/** The page waits no longer. */
export const END_MS = 20_000;

/** HTTP takes the round trip of `rttMs` and loses nothing: it is TCP. */
export function classifyBrowserIn(
  { network, client, server, family }: World,
  rttMs: number,
  { pacing = 'round', mappings = 2, meanLateMs = 0, stalls = [] }: BrowserOptions = {},
): BrowserRun {
  const random = network.random.fork();
  const own = server.endpoints.filter((endpoint) => endpoint !== undefined);
  const sessions = new BrowserSessions({
    endpoints: server.endpoints,
    own,
    random: (length) => random.bytes(length),
  });
  let evidence: readonly Evidence[] = [];
  let endedAt: number | undefined;
  let sent = 0;
  let lastAlarm = 0;
  let askAgain: (() => void) | undefined;
  const drive = (): void => {
    for (let action = sessions.pollAction(); action; action = sessions.pollAction()) {
      sent++;
      server.sendFrom(action.role, action.to, action.bytes);
    }
    const event = sessions.pollEvent();
    if (event?.event.kind === 'ask-again') askAgain?.();
    else if (event !== undefined) {
      if (event.event.kind === 'measured') evidence = event.event.evidence;
      endedAt = network.now;
      network.stop();
    }
    const due = sessions.pollTimeout();
    if (due === undefined) return;
    const alarm = ++lastAlarm;
    const lateMs = meanLateMs > 0 ? random.exponential(meanLateMs) : 0;
    network.schedule(Math.max(due, network.now) + lateMs, () => {
      natprobed.run('timer', () => {
        if (alarm !== lastAlarm) return;
        sessions.handleTimeout(network.now);
        drive();
      });
    });
  };
  server.setTap((role, bytes, from) => {
    natprobed.run(`socket ${role}`, () => {
      if (sessions.handleDatagram(role, bytes, from, network.now)) drive();
    });
    return true;
  });

  const address = client.addressOf(family)!;
  const agents = Array.from(
    { length: 1 + mappings },
    () => new IceAgent(client, address, random.fork(), pacing),
  );
  const [filtering, ...others] = agents as [IceAgent, ...IceAgent[]];
  const natprobed = new StallingProcess(network, random.fork(), stalls);
  const after = (ms: number, run: () => void): void => {
    network.schedule(network.now + ms, run);
  };
  /** What the server is asked over HTTP. */
  const request = (handle: () => void): void => after(rttMs / 2, () => natprobed.run('http', handle));
  request(() => {
    const offers = { filtering: filtering.offer, mapping: others.map(({ offer }) => offer) };
    const { id, answers } = sessions.begin(offers, 'page', network.now);
    drive();
    const speak = (): void => {
      const stats: Record<string, IceBrowserStats> = { filtering: filtering.stats() };
      for (const [index, agent] of others.entries()) stats[mappingName(index)] = agent.stats();
      request(() => {
        if (endedAt !== undefined) return;
        sessions.handleBrowser(id, stats, network.now);
        drive();
      });
    };
    const pollUntil = (giveUpAt: number): void => {
      if (filtering.stats().localType !== undefined || network.now >= giveUpAt) speak();
      else after(POLL_MS, () => pollUntil(giveUpAt));
    };
    askAgain = () => after(rttMs / 2 + PAUSE_MS, () => pollUntil(network.now + AGAIN_MS));
    after(rttMs / 2, () => {
      filtering.accept(answers.filtering);
      for (const [index, agent] of others.entries()) agent.accept(answers.mapping[index]!);
      pollUntil(network.now + GIVE_UP_MS);
    });
  });
  network.run(END_MS);
  for (const agent of agents) agent.close();
  const judgement = evidence.length === 0 ? undefined : judge(evidence);
  return { judgement, evidence, totalMs: (endedAt ?? END_MS) + rttMs / 2, sent };
}

/** What a socket's buffer holds; what comes after that is lost. */
const MOST_WAITING = 120;

/**
 * A process that stands still now and then: what it is to do meanwhile waits in a queue each for its sockets,
 * HTTP and its timer. When it goes on it looks at those in any order, and more than once.
 */
class StallingProcess {
  private readonly network: Network;
  private readonly random: Random;
  private readonly stalls: readonly Stall[];
  private readonly queues = new Map<string, (() => void)[]>();

  constructor(network: Network, random: Random, stalls: readonly Stall[]) {
    this.network = network;
    this.random = random;
    this.stalls = stalls;
  }

  run(name: string, work: () => void): void {
    const { now } = this.network;
    const stall = this.stalls.find(({ fromMs, toMs }) => now >= fromMs && now < toMs);
    if (stall === undefined) {
      work();
      return;
    }
    if (this.queues.size === 0) this.network.schedule(stall.toMs, () => this.goOn());
    const queue = this.queues.get(name) ?? [];
    this.queues.set(name, queue);
    if (queue.length < MOST_WAITING) queue.push(work);
  }

  private goOn(): void {
    const queues = [...this.queues.values()];
    this.queues.clear();
    while (queues.length > 0) {
      const index = Math.floor(this.random.fraction() * queues.length);
      const queue = queues[index]!;
      // As many as Node reads of one socket in a row.
      for (const work of queue.splice(0, 32)) work();
      if (queue.length === 0) queues.splice(index, 1);
    }
  }
}
