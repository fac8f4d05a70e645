/** Punches between all pairs of NATs: as one of two members asks the other, with a member of each side at every NAT. */
import { inLanes } from '../support/lanes.ts';
import { openInternet } from './internet.ts';
import type { LabNat } from './nats.ts';
import { type LabPunch, joinFrom, type Member, punchBetween, startBroker } from './punches.ts';

/** Two at a time, so that they are not in each other's way. */
const LANES = 2;

export interface PairOptions {
  /** Of each pair, one after another. */
  readonly runs?: number;
  /** Packets lost at each site, each way, in percent. */
  readonly loss?: number;
  /** Whether members may bind ports below 1024. */
  readonly lowPorts?: boolean;
  readonly onPunch: (punch: PairPunch) => void;
}

export interface PairPunch extends LabPunch {
  readonly a: LabNat;
  readonly b: LabNat;
}

/** Every pair once, those of a NAT with another of its kind too. */
export function punchAllPairs(nats: readonly LabNat[], options: PairOptions): Promise<void> {
  // Neighbours last: so nobody asks many times in a row, which the broker doesn't let it.
  const pairs = nats.flatMap((_, distance) =>
    nats.slice(distance).map((b, index) => [nats[index]!, b] as const),
  );
  return punchPairs(nats, nats, pairs, options);
}

/** One pair, several times. */
export function punchOnePair(a: LabNat, b: LabNat, options: PairOptions): Promise<void> {
  return punchPairs([a], [b], [[a, b]], options);
}

async function punchPairs(
  askers: readonly LabNat[],
  asked: readonly LabNat[],
  pairs: readonly (readonly [LabNat, LabNat])[],
  { runs = 1, loss = 0, lowPorts = false, onPunch }: PairOptions,
): Promise<void> {
  const internet = await openInternet();
  try {
    await startBroker(internet);
    const join = async (nat: LabNat, side: string): Promise<Member> => {
      const site = await internet.attach(nat);
      const member = await joinFrom(site.client, `${nat.name} ${side}`, { lowPorts });
      if (loss > 0) await site.setLoss(loss);
      return member;
    };
    const joining = [...askers.map((nat) => [nat, 'a'] as const), ...asked.map((nat) => [nat, 'b'] as const)];
    const members = new Map<string, Member>();
    await inLanes(LANES, joining, async ([nat, side]) =>
      members.set(`${nat.name} ${side}`, await join(nat, side)),
    );
    await inLanes(LANES, pairs, async ([a, b]) => {
      for (let run = 0; run < runs; run++) {
        const [one, other] = [members.get(`${a.name} a`)!, members.get(`${b.name} b`)!];
        onPunch({ a, b, ...(await punchBetween(one, other)) });
      }
    });
  } finally {
    await internet.close();
  }
}
