/** A page that measures, in the simulator: the real sessions at the server, a browser's agents behind the boxes. */
import { BrowserSessions, mappingName } from '../../server/ice/session-table.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import type { IceBrowserStats } from '../../shared/nat/ice-evidence.ts';
import { judge, type Judgement } from '../../shared/nat/judge.ts';
import { IceAgent, type Pacing } from './ice-agent.ts';
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
}

/** The page asks its browser this often, and at last after this long. */
const POLL_MS = 25;
const GIVE_UP_MS = 2000;
const END_MS = 12_000;

/** HTTP takes the round trip of `rttMs` and loses nothing: it is TCP. */
export function classifyBrowserIn(
  { network, client, server, family }: World,
  rttMs: number,
  { pacing = 'round', mappings = 2, meanLateMs = 0 }: BrowserOptions = {},
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
  const drive = (): void => {
    for (let action = sessions.pollAction(); action; action = sessions.pollAction()) {
      sent++;
      server.sendFrom(action.role, action.to, action.bytes);
    }
    const event = sessions.pollEvent();
    if (event !== undefined) {
      if (event.event.kind === 'measured') evidence = event.event.evidence;
      endedAt = network.now;
      network.stop();
    }
    const due = sessions.pollTimeout();
    if (due === undefined) return;
    const alarm = ++lastAlarm;
    const lateMs = meanLateMs > 0 ? random.exponential(meanLateMs) : 0;
    network.schedule(Math.max(due, network.now) + lateMs, () => {
      if (alarm !== lastAlarm) return;
      sessions.handleTimeout(network.now);
      drive();
    });
  };
  server.setTap((role, bytes, from) => {
    const taken = sessions.handleDatagram(role, bytes, from, network.now);
    if (taken) drive();
    return taken;
  });

  const address = client.addressOf(family)!;
  const agents = Array.from(
    { length: 1 + mappings },
    () => new IceAgent(client, address, random.fork(), pacing),
  );
  const [filtering, ...others] = agents as [IceAgent, ...IceAgent[]];
  const after = (ms: number, run: () => void): void => {
    network.schedule(network.now + ms, run);
  };
  after(rttMs / 2, () => {
    const offers = { filtering: filtering.offer, mapping: others.map(({ offer }) => offer) };
    const { id, answers } = sessions.begin(offers, 'page', network.now);
    drive();
    after(rttMs / 2, () => {
      filtering.accept(answers.filtering);
      for (const [index, agent] of others.entries()) agent.accept(answers.mapping[index]!);
      const giveUpAt = network.now + GIVE_UP_MS;
      const poll = (): void => {
        if (filtering.stats().localType === undefined && network.now < giveUpAt) {
          after(POLL_MS, poll);
          return;
        }
        const stats: Record<string, IceBrowserStats> = { filtering: filtering.stats() };
        for (const [index, agent] of others.entries()) stats[mappingName(index)] = agent.stats();
        after(rttMs / 2, () => {
          if (endedAt !== undefined) return;
          sessions.handleBrowser(id, stats, network.now);
          drive();
        });
      };
      poll();
    });
  });
  network.run(END_MS);
  for (const agent of agents) agent.close();
  const judgement = evidence.length === 0 ? undefined : judge(evidence);
  return { judgement, evidence, totalMs: (endedAt ?? END_MS) + rttMs / 2, sent };
}
