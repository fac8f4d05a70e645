/** Which outcomes teach: nobody makes a prediction of his own liking. */
import { beforeEach, describe, expect, it } from 'vitest';
import { ClientShares } from '../../../../server/punches/client-shares.ts';
import type { EndedPunch } from '../../../../server/punches/punch-store.ts';
import { recordPunches } from '../../../../server/punches/record-punches.ts';

const SIDE = { outcome: 'open', packets: 3, timeMs: 80 } as const;
const PUNCHED = {
  kind: 'punched',
  introduction: 1,
  transport: 'udp',
  attempt: 1,
  a: 'EIM/APDF',
  b: 'APDM/APDF',
  prediction: { outcome: 'likely', probability: 0.9, strategy: 'plain', plain: true },
  outcomes: { a: SIDE, b: SIDE },
  networks: ['192.0.2.1/32', '198.51.100.1/32'],
} as const;

let nowMs: number;
let added: EndedPunch[];
let logged: string[];
let record: ReturnType<typeof recordPunches>;
function start(shares?: ClientShares, add = (punch: EndedPunch) => Promise.resolve(void added.push(punch))) {
  nowMs = 0;
  added = [];
  logged = [];
  record = recordPunches(
    { add },
    { now: () => nowMs, log: (level, text) => logged.push(`${level}: ${text}`), ...(shares && { shares }) },
  );
}
beforeEach(() => start());

/** Networks of `count` pairs, all different. */
const networks = (index: number) => [`192.0.2.${index}/32`, `198.51.100.${index}/32`] as const;
const taught = (): number => added.filter(({ counts }) => counts).length;

describe('an outcome', () => {
  it('is kept with the prediction, and teaches where both sides say the same', () => {
    record(PUNCHED);
    const { a, b, transport, attempt, outcomes } = PUNCHED;
    const predicted = { strategy: 'plain', probability: 0.9 };
    expect(added).toEqual([{ a, b, transport, attempt, predicted, outcomes, counts: true }]);
  });

  it.each([
    ['of one side alone', { outcomes: { a: SIDE } }],
    ['of nobody', { outcomes: {} }],
    ['on which the sides don’t agree', { outcomes: { a: SIDE, b: { ...SIDE, outcome: 'failed' } } }],
    ['of a further attempt', { attempt: 2 }],
  ] as const)('%s teaches nothing', (_, more) => {
    record({ ...PUNCHED, ...more });
    expect(added).toHaveLength(1);
    expect(taught()).toBe(0);
  });

  it('that can’t be kept is logged', async () => {
    start(undefined, () => Promise.reject(new Error('the disk is full')));
    record(PUNCHED);
    await Promise.resolve();
    await Promise.resolve();
    expect(logged).toEqual(['error: punches: the disk is full']);
  });
});

describe('one network', () => {
  it('teaches four a day, with whomever it punches', () => {
    for (let i = 0; i < 20; i++) record({ ...PUNCHED, networks: ['192.0.2.1/32', `198.51.100.${i}/32`] });
    expect(added).toHaveLength(20);
    expect(taught()).toBe(4);
    for (let i = 0; i < 20; i++) record({ ...PUNCHED, networks: [`198.51.100.${i}/32`, '192.0.2.1/32'] });
    expect(taught()).toBe(4);
    nowMs += 86_400_000;
    record(PUNCHED);
    expect(taught()).toBe(5);
  });

  it('counts once where both peers are in it', () => {
    for (let i = 0; i < 6; i++) record({ ...PUNCHED, networks: ['192.0.2.1/32', '192.0.2.1/32'] });
    expect(taught()).toBe(4);
  });

  it('doesn’t keep others from teaching', () => {
    for (let i = 0; i < 50; i++) record(PUNCHED);
    for (let i = 2; i < 52; i++) record({ ...PUNCHED, networks: networks(i) });
    expect(taught()).toBe(4 + 50);
  });

  it('fills no store', () => {
    start(new ClientShares({ taught: 4, kept: 10, networks: 100 }));
    for (let i = 0; i < 50; i++) record(PUNCHED);
    expect(added).toHaveLength(10);
  });

  it('is one of so many that are remembered', () => {
    start(new ClientShares({ taught: 4, kept: 10, networks: 6 }));
    for (let i = 0; i < 50; i++) record({ ...PUNCHED, networks: networks(i) });
    expect(added).toHaveLength(3);
    record({ ...PUNCHED, networks: networks(0) });
    expect(added).toHaveLength(4);
  });
});
