/** The ways to the peer that are tried: from a socket to an endpoint. */
import { type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import type { StrategyName } from '../../shared/punch/strategy.ts';

export interface Path {
  readonly socket: string;
  readonly remote: Endpoint;
  readonly strategy: StrategyName;
  /** Of what is sent as long as nothing was heard there. */
  ttl: number | undefined;
  /** When the next check is due; undefined while none is. */
  nextAt: number | undefined;
  intervalMs: number;
  /** When checks end. */
  untilAt: number;
  /** When the last check of the peer came from there. */
  heardAt: number | undefined;
  /** Heard after so many others that it is likely to lead nowhere. */
  isOneOfMany: boolean;
  /** When the first answer came: it passes both ways. */
  echoedAt: number | undefined;
}

/** From one check to the next (RFC 8445 §14.2: Ta), growing from there so as not to flood a slow way. */
export const CHECK_PACE_MS = 50;
const SLOWEST_PACE_MS = 250;
const SLOWING = 1.15;
/** Only who has the key adds any, so none of them is an attack; a NAT makes a few, and one for each guess of the peer at most. */
const MOST_PATHS = 1024;

export class PathTable {
  readonly #paths = new Map<string, Path>();

  find(socket: string, remote: Endpoint): Path | undefined {
    return this.#paths.get(keyOf(socket, remote));
  }

  /** The path, new if there was none; undefined if there are too many. */
  add(socket: string, remote: Endpoint, strategy: StrategyName): Path | undefined {
    const known = this.find(socket, remote);
    if (known !== undefined || this.#paths.size >= MOST_PATHS) return known;
    const path: Path = {
      socket,
      remote,
      strategy,
      ttl: undefined,
      nextAt: undefined,
      intervalMs: CHECK_PACE_MS,
      untilAt: -Infinity,
      heardAt: undefined,
      isOneOfMany: false,
      echoedAt: undefined,
    };
    this.#paths.set(keyOf(socket, remote), path);
    return path;
  }

  first(isSo: (path: Path) => boolean): Path | undefined {
    return [...this.#paths.values()].find(isSo);
  }

  /** The path whose check is due the longest. */
  due(now: number): Path | undefined {
    const next = this.#next();
    return next !== undefined && next.nextAt! <= now ? next : undefined;
  }

  nextAt(): number | undefined {
    return this.#next()?.nextAt;
  }

  #next(): Path | undefined {
    let next: Path | undefined;
    for (const path of this.#paths.values())
      if (path.nextAt !== undefined && (next === undefined || path.nextAt < next.nextAt!)) next = path;
    return next;
  }
}

/** After a check of `path`: when the next is due, if it hasn't been answered. */
export function scheduleNext(path: Path, now: number): void {
  const nextAt = now + path.intervalMs;
  path.intervalMs = Math.min(SLOWEST_PACE_MS, path.intervalMs * SLOWING);
  const isOver = path.echoedAt !== undefined || nextAt > path.untilAt;
  path.nextAt = isOver ? undefined : nextAt;
}

function keyOf(socket: string, remote: Endpoint): string {
  return `${socket} ${formatEndpoint(remote)}`;
}
