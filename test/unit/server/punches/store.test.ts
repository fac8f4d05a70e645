/** Punches that are kept, and what is told of them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SqlPunchStore } from '../../../../server/punches/sql-punch-store.ts';
import { SILENT_LOG } from '../../../../server/log.ts';
import { openPostgres } from '../../../../server/reports/postgres.ts';
import { DATABASE_FILE, openSqlite } from '../../../../server/reports/sqlite.ts';
import { type PostgresCluster, postgresMissing, startPostgres } from '../../../support/postgres.ts';
import { describeIf } from '../../../support/requirements.ts';
import { endedPunch } from './punches.ts';

const DAY_MS = 86_400_000;

/** A folder, or the URL of a database in PostgreSQL. */
let place: string;
let nowMs: number;
let store: SqlPunchStore;
let close: () => Promise<void>;

async function open(): Promise<void> {
  const { database } = place.startsWith('postgres:')
    ? await openPostgres({ url: place }, { log: SILENT_LOG })
    : { database: await openSqlite(place) };
  store = new SqlPunchStore(database, () => nowMs);
  await store.load();
  close = () => database.destroy();
}

/** `open` of so many that count. */
async function addMany(punches: number, open: number, probability = 0.9): Promise<void> {
  await Promise.all(
    Array.from({ length: punches }, (_, index) => store.add(endedPunch(index < open, { probability }))),
  );
}

/** What holds of a store, whatever database it is in. */
function describeStore(freshPlace: () => Promise<string>): void {
  beforeEach(async () => {
    place = await freshPlace();
    nowMs = Date.parse('2026-03-01T12:00:00Z');
    await open();
  });
  afterEach(() => close());

  describe('punches', () => {
    it('are told by what was predicted, and by pair, whoever asked', async () => {
      await store.add(endedPunch(true));
      await store.add(endedPunch(false, { a: 'APDM/APDF', b: 'EIM/APDF' }));
      await store.add(endedPunch(true, { a: 'open', b: 'open', probability: 1 }));
      await store.add(endedPunch(true, { transport: 'tcp', probability: 0 }));
      const { punches, bins, pairs } = await store.summarise({});
      expect(punches).toBe(4);
      expect(bins.map((bin) => bin.punches)).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
      expect(bins[9]).toEqual({
        from: 0.9,
        to: 1,
        punches: 3,
        open: 2,
        predicted: expect.closeTo(2.8 / 3) as number,
      });
      expect(pairs).toHaveLength(3);
      expect(pairs[0]).toEqual({
        a: 'APDM/APDF',
        b: 'EIM/APDF',
        transport: 'udp',
        punches: 2,
        open: 1,
        predicted: 0.9,
      });
    });

    it('that don’t count are among all, and no more', async () => {
      await store.add(endedPunch(true, { counts: false }));
      await store.add(endedPunch(true, { counts: false, outcomes: {} }));
      const { punches, bins, pairs } = await store.summarise({});
      expect(punches).toBe(2);
      expect(bins.every((bin) => bin.punches === 0)).toBe(true);
      expect(pairs).toEqual([]);
    });

    it('that a relay carries have opened nothing', async () => {
      const relayed = { outcome: 'open', strategy: 'relay', path: 'relay', packets: 9, timeMs: 90 } as const;
      await store.add(endedPunch(true, { outcomes: { a: relayed, b: relayed } }));
      const { pairs } = await store.summarise({});
      expect(pairs).toMatchObject([{ punches: 1, open: 0 }]);
    });

    it('of a period are those of its days', async () => {
      await store.add(endedPunch());
      nowMs += DAY_MS;
      await store.add(endedPunch());
      const told = async (since?: string, until?: string) =>
        (await store.summarise({ ...(since && { since }), ...(until && { until }) })).punches;
      expect(await told('2026-03-02')).toBe(1);
      expect(await told('2026-03-01T18:00:00Z')).toBe(2);
      expect(await told(undefined, '2026-03-02')).toBe(1);
      expect(await told('2026-03-03')).toBe(0);
      expect(await told(undefined, '-271821-04-20')).toBe(0);
      await expect(told('soon')).rejects.toMatchObject({ code: 'ERR_TIME' });
    });

    it('go when they are too old, and what they taught', async () => {
      await addMany(40, 40);
      nowMs += 2 * DAY_MS;
      await store.add(endedPunch());
      expect(await store.removeBefore('2026-03-02')).toBe(40);
      expect((await store.summarise({})).punches).toBe(1);
      expect(store.learned.of(endedPunch())).toEqual({ punches: 1, open: 1 });
    });
  });

  describe('what punches teach', () => {
    const likely = { outcome: 'likely', probability: 0.9, strategy: 'plain', plain: true } as const;

    it('is not told before there are enough', async () => {
      await addMany(29, 0);
      expect(store.learned.correct(endedPunch(), likely)).toEqual(likely);
      expect((await store.summarise({})).pairs[0]).not.toHaveProperty('learned');
      await addMany(1, 0);
      const learned = (20 * 0.9) / 50;
      expect(store.learned.correct(endedPunch(), likely)).toEqual({
        ...likely,
        outcome: 'unlikely',
        probability: learned,
      });
      expect((await store.summarise({})).pairs[0]?.learned).toBeCloseTo(learned);
    });

    it('is remembered, over all that was predicted of the pair', async () => {
      await addMany(20, 20, 0.4);
      await addMany(20, 10, 0.9);
      expect(store.learned.of(endedPunch())).toEqual({ punches: 40, open: 30 });
      await close();
      await open();
      expect(store.learned.of(endedPunch())).toEqual({ punches: 40, open: 30 });
    });

    it('is nothing to pairs that nobody tries to punch, and to others', async () => {
      await addMany(50, 50);
      const relay = { outcome: 'relay', probability: 0, strategy: 'relay', plain: false } as const;
      expect(store.learned.correct(endedPunch(), relay)).toEqual(relay);
      expect(store.learned.correct(endedPunch(true, { transport: 'tcp' }), likely)).toEqual(likely);
    });

    it('makes nothing certain that has to be timed', async () => {
      await addMany(5000, 5000);
      const { outcome, probability } = store.learned.correct(endedPunch(), likely);
      expect(probability).toBeGreaterThan(0.99);
      expect(outcome).toBe('likely');
    });
  });
}

describe('punches in SQLite', () => {
  let folder: string;
  describeStore(() => {
    folder = mkdtempSync(join(tmpdir(), 'natprobe-punches-'));
    return Promise.resolve(folder);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('keep each side’s outcome with its behaviour, and no more of anybody', async () => {
    const { a, b } = endedPunch().outcomes;
    await store.add(
      endedPunch(true, {
        outcomes: { a: { ...a!, outcome: 'open' }, b: { ...b!, outcome: 'failed', reason: 'ann' } },
      }),
    );
    await close();
    const file = new DatabaseSync(join(folder, DATABASE_FILE));
    expect(file.prepare('select * from punches').get()).toEqual({
      seq: 1,
      ended_at: nowMs,
      a: 'APDM/APDF',
      b: 'EIM/APDF',
      transport: 'udp',
      attempt: 1,
      strategy: 'plain',
      probability: 0.9,
      outcome_a: 'failed',
      outcome_b: 'open',
      opened_by: 'plain',
      path: 'direct',
      packets: 7,
      time_ms: 80,
      counts: 1,
    });
    file.close();
    expect(readFileSync(join(folder, DATABASE_FILE)).includes('ann')).toBe(false);
    await open();
  });
});

describeIf(postgresMissing())('punches in PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgres();
  });
  afterAll(() => cluster.remove());

  describeStore(() => cluster.createDatabase());
});
