/** Keeps what became of punches, as the broker tells it, as far as the peers' networks may have it kept. */
import { messageOf } from '../../shared/thrown.ts';
import type { PunchEvent } from '../broker/punches.ts';
import type { Log } from '../log.ts';
import { DAY_MS } from '../reports/statistics.ts';
import { ClientShares } from './client-shares.ts';
import type { PunchStore } from './punch-store.ts';

export interface RecordOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
  readonly shares?: ClientShares;
}

/** Takes the end of a punch; a store that fails is logged. */
export function recordPunches(
  store: Pick<PunchStore, 'add'>,
  { now, log, shares = new ClientShares() }: RecordOptions,
): (event: PunchEvent & { readonly kind: 'punched' }) => void {
  return ({ a, b, transport, attempt, prediction: { strategy, probability }, outcomes, networks }) => {
    const agree = outcomes.a !== undefined && outcomes.a.outcome === outcomes.b?.outcome;
    // A further attempt is one that has failed already: it tells of something else.
    const share = shares.take(networks, agree && attempt === 1, Math.floor(now() / DAY_MS));
    if (share === 'drop') return;
    const counts = share === 'teach';
    const predicted = { strategy, probability };
    store.add({ a, b, transport, attempt, predicted, outcomes, counts }).catch((error: unknown) => {
      log('error', `punches: ${messageOf(error)}`);
    });
  };
}
