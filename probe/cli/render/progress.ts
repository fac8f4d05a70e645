import type { Family } from '../../../shared/endpoint.ts';
import type { Verdict } from '../../../shared/nat/verdict.ts';
import { FAMILY_NAMES } from '../../../shared/report/report.ts';
import { WIDTH } from '../../../shared/wrap.ts';

/** A run shorter than this shows none. */
const SHOWN_AFTER_MS = 1000;
const REDRAWN_EVERY_MS = 200;

/** A line on a terminal that says how long it has been, and what is going on. */
export interface StatusLine {
  say(text: string): void;
  /** Takes the line away. */
  end(): void;
}

/** Draws on `terminal`, but nothing if that is none. */
export function showStatus(terminal: NodeJS.WriteStream, first: string): StatusLine {
  if (!terminal.isTTY) return { say: () => undefined, end: () => undefined };
  let said = first;
  const startedAt = performance.now();
  let drawn = false;
  const timer = setInterval(() => {
    const elapsedMs = performance.now() - startedAt;
    if (elapsedMs < SHOWN_AFTER_MS) return;
    drawn = true;
    const line = `${(elapsedMs / 1000).toFixed(1)} s  ${said}`;
    // Carriage return, text, erase to the end of the line (ECMA-48 EL).
    terminal.write(`\r${line.slice(0, WIDTH - 1)}\u001b[K`);
  }, REDRAWN_EVERY_MS);
  return {
    say: (text) => void (said = text),
    end() {
      clearInterval(timer);
      if (drawn) terminal.write('\r\u001b[K');
      drawn = false;
    },
  };
}

/** As showStatus, for what is known of this machine's NAT so far. */
export interface Progress {
  update(family: Family, verdict: Verdict): void;
  end(): void;
}

export function showProgress(terminal: NodeJS.WriteStream): Progress {
  const status = showStatus(terminal, describeKnown(new Map()));
  const known = new Map<Family, Verdict>();
  return {
    update(family, verdict) {
      known.set(family, verdict);
      status.say(describeKnown(known));
    },
    end: () => status.end(),
  };
}

/** A bar that says how much of a run is over, and how long the rest takes. */
export interface ShareProgress {
  /** 0 to 1. */
  update(share: number): void;
  end(): void;
}

const BAR_COLUMNS = 40;

/** Draws on `terminal`, but nothing if that is none. */
export function showShare(terminal: NodeJS.WriteStream): ShareProgress {
  if (!terminal.isTTY) return { update: () => undefined, end: () => undefined };
  const startedAt = performance.now();
  return {
    update: (share) => void terminal.write(`\r${renderShare(share, performance.now() - startedAt)}\u001b[K`),
    end: () => void terminal.write('\r\u001b[K'),
  };
}

export function renderShare(share: number, elapsedMs: number): string {
  const filled = Math.round(share * BAR_COLUMNS);
  const bar = '#'.repeat(filled).padEnd(BAR_COLUMNS, '.');
  const leftMs = share > 0 ? (elapsedMs * (1 - share)) / share : undefined;
  return `[${bar}] ${leftMs === undefined ? '' : `${Math.ceil(leftMs / 1000)} s left`}`;
}

/** `IPv4: mapping endpoint-independent, filtering unknown`, for each family. */
export function describeKnown(known: ReadonlyMap<Family, Verdict>): string {
  const parts = [...known].map(([family, { mapping, filtering }]) =>
    mapping === 'unknown' && filtering === 'unknown'
      ? `${FAMILY_NAMES[family]}: no answer yet`
      : `${FAMILY_NAMES[family]}: mapping ${mapping}, filtering ${filtering}`,
  );
  return parts.length === 0 ? 'waiting for the server' : parts.join('; ');
}
