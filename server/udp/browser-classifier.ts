/** Runs the measurements of browsers over a lane's sockets: clock, timers, randomness and sends for server/ice. */
import { randomBytes } from 'node:crypto';
import type { Endpoint } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import type { IceBrowserStats } from '../../shared/nat/ice-evidence.ts';
import type { ServerRole } from '../../shared/role.ts';
import type { FamilyConfig } from '../config.ts';
import { type BrowserOutcome, reportBrowser } from '../ice/browser-report.ts';
import {
  type BegunSession,
  type BrowserOffers,
  BrowserSessions,
  type SessionLimits,
} from '../ice/session-table.ts';

/** Sends a datagram from the socket of a role. */
export type SendFrom = (role: ServerRole, to: Endpoint, bytes: Uint8Array) => void;

/** Counts since the start, and how many there are now. */
export interface BrowserCounts {
  readonly live: number;
  readonly sessions: Readonly<Record<'begun' | 'refused' | 'measured' | 'abandoned', number>>;
  readonly datagrams: Readonly<Record<'taken' | 'sent', number>>;
}

interface Waiting {
  /** With undefined the page is asked again. */
  readonly resolve: (evidence: readonly Evidence[] | undefined) => void;
  readonly reject: (error: Error) => void;
}

export class BrowserClassifier {
  private readonly sessions: BrowserSessions;
  private readonly begunAt = new Map<string, Date>();
  private readonly waiting = new Map<string, Waiting>();
  private readonly outcomes = { begun: 0, refused: 0, measured: 0, abandoned: 0 };
  private readonly datagrams = { taken: 0, sent: 0 };
  private send: SendFrom | undefined;
  private onAwaiting: ((awaits: boolean) => void) | undefined;
  private timer: NodeJS.Timeout | undefined;

  constructor({ advertised, bound }: FamilyConfig, limits?: SessionLimits) {
    this.sessions = new BrowserSessions({
      endpoints: advertised,
      own: [...advertised, ...bound].filter((endpoint) => endpoint !== undefined),
      random: randomBytes,
      ...(limits && { limits }),
    });
  }

  /** From now on datagrams leave by `send`; `onAwaiting` is told whether any are awaited. */
  attach(send: SendFrom, onAwaiting?: (awaits: boolean) => void): void {
    this.send = send;
    this.onAwaiting = onAwaiting;
  }

  /** Begins to measure; `client` is whom the limits go by. Throws ERR_BROWSER_SESSIONS. */
  begin(offers: BrowserOffers, client: string): BegunSession {
    const begun = this.tryToBegin(offers, client);
    this.outcomes.begun++;
    this.begunAt.set(begun.id, new Date());
    this.drive();
    return begun;
  }

  /**
   * The report, once all is known, unless the page is asked again; `stats` is what it found out, by
   * connection. Rejects with ERR_NO_BROWSER_SESSION if there is no such session, or it ends without an outcome.
   */
  async finish(id: string, stats: Readonly<Record<string, IceBrowserStats>>): Promise<BrowserOutcome> {
    const startedAt = this.begunAt.get(id);
    if (startedAt === undefined || this.waiting.has(id))
      throw new NatprobeError('ERR_NO_BROWSER_SESSION', 'the page');
    const measured = new Promise<readonly Evidence[] | undefined>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
    });
    this.sessions.handleBrowser(id, stats, performance.now());
    this.drive();
    const evidence = await measured;
    return evidence === undefined
      ? { kind: 'ask-again' }
      : { kind: 'measured', report: reportBrowser(evidence, startedAt) };
  }

  /** Whether a live session has taken the datagram. */
  handleDatagram(role: ServerRole, bytes: Uint8Array, source: Endpoint): boolean {
    if (!this.sessions.handleDatagram(role, bytes, source, performance.now())) return false;
    this.datagrams.taken++;
    this.drive();
    return true;
  }

  /** Whether there is anybody whose datagrams could come. */
  get isIdle(): boolean {
    return this.sessions.size === 0;
  }

  counts(): BrowserCounts {
    return { live: this.sessions.size, sessions: { ...this.outcomes }, datagrams: { ...this.datagrams } };
  }

  /** Sends nothing more; who still waits is told that there is no such session. */
  close(): Promise<void> {
    clearTimeout(this.timer);
    this.send = undefined;
    this.onAwaiting = undefined;
    for (const id of [...this.waiting.keys()]) this.end(id, undefined);
    return Promise.resolve();
  }

  private tryToBegin(offers: BrowserOffers, client: string): BegunSession {
    try {
      return this.sessions.begin(offers, client, performance.now());
    } catch (error) {
      this.outcomes.refused++;
      throw error;
    }
  }

  private drive(): void {
    for (let action = this.sessions.pollAction(); action; action = this.sessions.pollAction()) {
      this.datagrams.sent++;
      this.send?.(action.role, action.to, action.bytes);
    }
    for (let told = this.sessions.pollEvent(); told; told = this.sessions.pollEvent()) {
      if (told.event.kind === 'ask-again') {
        this.waiting.get(told.id)?.resolve(undefined);
        this.waiting.delete(told.id);
        continue;
      }
      const evidence = told.event.kind === 'measured' ? told.event.evidence : undefined;
      this.outcomes[evidence === undefined ? 'abandoned' : 'measured']++;
      this.end(told.id, evidence);
    }
    this.onAwaiting?.(!this.isIdle);
    clearTimeout(this.timer);
    const due = this.sessions.pollTimeout();
    if (due === undefined) return;
    this.timer = setTimeout(
      () => {
        this.sessions.handleTimeout(performance.now());
        this.drive();
      },
      Math.max(0, due - performance.now()),
    );
    // A server that stops doesn't wait for pages.
    this.timer.unref();
  }

  private end(id: string, evidence: readonly Evidence[] | undefined): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    this.begunAt.delete(id);
    if (evidence === undefined) waiting?.reject(new NatprobeError('ERR_NO_BROWSER_SESSION', 'the page'));
    else waiting?.resolve(evidence);
  }
}
