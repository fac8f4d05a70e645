/**
 * Whenever connections break, servers restart and sockets go unseen: every request of a member ends, and
 * once all is calm a member is either over and has let go of every socket, or registered with one set.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Consent } from '../../shared/broker/messages.ts';
import { MemberWorld, type PlayedMember } from '../support/members.ts';
import { checkProperty } from './property.ts';

const NAMES = ['ann', 'bob', 'carol'];
/** More than any request takes, and any wait for another try. */
const CALM_MS = 200_000;

type Step =
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'down' }
  | { readonly kind: 'up' }
  | { readonly kind: 'restart'; readonly ms: number }
  | {
      readonly kind: 'cut' | 'unseen' | 'seen' | 'peers' | 'foresee' | 'yes' | 'no' | 'leave';
      readonly who: number;
    }
  | { readonly kind: 'introduce'; readonly who: number; readonly peer: number; readonly attempt: number }
  | { readonly kind: 'cancel'; readonly who: number; readonly request: number }
  | { readonly kind: 'outcome' | 'withdraw'; readonly who: number; readonly punch: number };

const who = fc.nat({ max: NAMES.length - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat({ max: 60 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat({ max: 20_000 }) }) },
  { weight: 1, arbitrary: fc.constantFrom({ kind: 'down' as const }, { kind: 'up' as const }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), ms: fc.nat({ max: 3000 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('cut', 'cut', 'unseen', 'seen', 'peers', 'foresee', 'yes', 'no'),
      who,
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), who }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('introduce' as const),
      who,
      peer: who,
      attempt: fc.integer({ min: 1, max: 2 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('cancel' as const),
      who,
      request: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('outcome' as const, 'withdraw' as const),
      who,
      punch: fc.nat({ max: 3 }),
    }),
  },
);

it('a member hangs on to nothing and leaves nobody waiting', { timeout: 120_000 }, () => {
  checkProperty(
    fc.property(
      fc.array(fc.constantFrom<Consent>('auto', 'auto', 'ask', 'refuse'), { minLength: 3, maxLength: 3 }),
      fc.array(step, { minLength: 1, maxLength: 40 }),
      (consents, steps) => {
        const world = new MemberWorld();
        const members = NAMES.map((name, index) => world.add(name, { consent: consents[index]! }));
        const asked = members.map((): number[] => []);
        const cancelled = members.map(() => new Set<number>());
        for (const one of steps) play(world, members, asked, cancelled, one);
        world.isDown = false;
        for (const member of members) member.isSeen = true;
        world.run(CALM_MS);
        members.forEach((member, index) => {
          const open = asked[index]!.filter(
            (request) => !cancelled[index]!.has(request) && member.endOf(request) === undefined,
          );
          expect([member.name, open, member.story]).toEqual([member.name, [], member.story]);
          expect([member.gatherings.size, member.story]).toEqual([member.isOver ? 0 : 1, member.story]);
          const last = member.events.findLast(({ kind }) =>
            ['registered', 'unregistered', 'lost', 'ended'].includes(kind),
          );
          expect(last?.kind).toBe(member.isOver ? 'ended' : 'registered');
        });
      },
    ),
    300,
  );
});

function play(
  world: MemberWorld,
  members: readonly PlayedMember[],
  asked: readonly number[][],
  cancelled: readonly Set<number>[],
  one: Step,
): void {
  if (one.kind === 'wait') world.run(one.ms);
  else if (one.kind === 'down' || one.kind === 'up') world.isDown = one.kind === 'down';
  else if (one.kind === 'restart') world.restart(one.ms);
  else {
    const member = members[one.who]!;
    switch (one.kind) {
      case 'cut':
        member.cut();
        break;
      case 'seen':
      case 'unseen':
        member.isSeen = one.kind === 'seen';
        break;
      case 'peers':
        asked[one.who]!.push(member.ask({ about: 'peers' }));
        break;
      case 'foresee':
        asked[one.who]!.push(member.ask({ about: 'foresee', peer: 'bob', transport: 'udp' }));
        break;
      case 'introduce':
        asked[one.who]!.push(member.introduce(NAMES[one.peer]!, one.attempt));
        break;
      case 'yes':
      case 'no': {
        const question = member.events.findLast((event) => event.kind === 'asked');
        if (question?.kind !== 'asked') break;
        const { introduction } = question;
        member.hear({ kind: one.kind === 'yes' ? 'consent' : 'refuse', introduction });
        break;
      }
      case 'cancel':
        cancelled[one.who]!.add(one.request);
        member.hear({ kind: 'cancel', request: one.request });
        break;
      case 'outcome': {
        const { introduction } = member.punches[one.punch]?.plan ?? { introduction: 77 };
        member.hear({
          kind: 'outcome',
          introduction,
          outcome: { outcome: 'failed', packets: 1, timeMs: 1 },
        });
        break;
      }
      case 'withdraw': {
        const { introduction } = member.punches[one.punch]?.plan ?? { introduction: 77 };
        member.hear({ kind: 'withdraw', introduction });
        break;
      }
      case 'leave':
        member.hear({ kind: 'leave' });
    }
  }
}
