/** The ways to open a hole between two sides: each with its chance, what it may cost, and why. */
import type { PunchBehaviour } from './behaviour.ts';
import { tryGuessing } from './guessing.ts';
import { opens, punchesPlainly } from './plain.ts';
import type { CertainSide } from './possibilities.ts';
import {
  chanceOfOpening,
  chanceOver,
  isPoisoned,
  labelOf,
  labelsOf,
  LOW_TTL_MS,
  PLAIN_COST,
  type PunchSide,
  RELIABLE,
  type Strategy,
  STRATEGY_NAMES,
} from './strategy.ts';

/** Those that bring some chance, and more than those before them, in the order in which they are tried. */
export function planStrategies(a: PunchSide, b: PunchSide): Strategy[] {
  const attempts = shareAddress(a.behaviour, b.behaviour)
    ? [tryLan(a.behaviour, b.behaviour), tryHairpin(a.behaviour, b.behaviour, chanceOfTurning(a, b))]
    : [
        tryOneSided(a, b),
        tryOneSided(b, a),
        tryPlain(a, b),
        ...([a, b].some(mayTrack) ? [tryLowTtl(a, b)] : []),
        ...tryGuessing(a, b),
      ];
  return worthTrying(attempts);
}

/** Those that bring some chance, and more than those before them, in the order in which they are tried. */
export function worthTrying(attempts: Strategy[]): Strategy[] {
  attempts.sort((one, other) => STRATEGY_NAMES.indexOf(one.name) - STRATEGY_NAMES.indexOf(other.name));
  let best = LEAST_CHANCE - WORTH_MORE;
  return attempts.filter(({ probability }) => {
    const isWorthIt = probability >= best + WORTH_MORE;
    best = Math.max(best, probability);
    return isWorthIt;
  });
}

/** Whether both are seen under one public address: then they are behind the same NAT, or without any on one machine. */
export function shareAddress(a: PunchBehaviour, b: PunchBehaviour): boolean {
  const isTranslated = [a, b].some(({ mapping }) => mapping !== 'none');
  return isTranslated && a.mapped !== undefined && a.mapped.address === b.mapped?.address;
}

/** What is less likely isn't named: DESIGN.md's limit below which it takes a relay. */
const LEAST_CHANCE = 0.05;
/** Less than this more chance isn't worth more packets. */
const WORTH_MORE = 0.01;
/** None of ten without delay, ten of ten where the delay is longer than the skew (MEASURING.md §7): not known here. */
const POISONED_CHANCE = 0.5;

function tryOneSided(caller: PunchSide, called: PunchSide): Strategy {
  const name = caller.side === 'a' ? 'direct' : 'reversal';
  const probability = chanceOver(caller, called, (one, other) =>
    opens(one, other, 'aAlone') ? RELIABLE : 0,
  );
  const [from, to] = [labelOf(caller), labelOf(called)];
  const text = `${to} lets in what ${from} sends to the endpoint that the server saw, and ${from} the replies: nothing has to be timed`;
  return { name, probability, ...PLAIN_COST, reasons: [{ code: name, text }] };
}

function tryPlain(a: PunchSide, b: PunchSide): Strategy {
  const reasons = [{ code: 'plain', text: 'both send at once, to what the server saw of the other' }];
  if ([a, b].some(isTracking))
    reasons.push({
      code: 'plain-poisoned',
      text: `it takes luck: a packet that comes before one has been sent there changes the next mapping of ${labelsOf([a, b].filter(isTracking))}`,
    });
  return { name: 'plain', probability: chanceOver(a, b, chanceOfPlain), ...PLAIN_COST, reasons };
}

function chanceOfPlain(a: CertainSide, b: CertainSide): number {
  if (!punchesPlainly(a, b)) return 0;
  return isPoisoned(a, b) ? POISONED_CHANCE : RELIABLE;
}

function tryLowTtl(a: PunchSide, b: PunchSide): Strategy {
  const known = [a, b].filter(isTracking);
  const text = `as plain, but the first packets of each side die before the other's gateway, where a router may remember them${known.length === 0 ? '' : ` (that of ${labelsOf(known)} does)`}`;
  return {
    name: 'low-ttl',
    probability: chanceOver(a, b, (one, other) =>
      punchesPlainly(one, other) ? chanceOfOpening(one, other) : 0,
    ),
    packets: 2 * PLAIN_COST.packets,
    timeMs: PLAIN_COST.timeMs + LOW_TTL_MS,
    reasons: [{ code: 'low-ttl', text }],
  };
}

function isTracking({ behaviour }: PunchSide): boolean {
  return behaviour.unsolicited === 'tracked';
}

function mayTrack({ possibilities }: PunchSide): boolean {
  return possibilities.some(({ side }) => side.tracks);
}

/** Behind one NAT. How often it works was not counted; an equal prefix is what a home or an office has. */
export function tryLan(a: PunchBehaviour, b: PunchBehaviour): Strategy {
  const near = a.local !== undefined && prefixOf(a) === prefixOf(b);
  const text = near
    ? 'both have one public address and private ones of one network: they may reach each other there'
    : 'both have one public address, but private ones of different networks';
  return {
    name: 'lan',
    probability: near ? 0.9 : 0.1,
    ...PLAIN_COST,
    reasons: [{ code: 'lan', text }],
  };
}

/** /24 of an IPv4 address, /64 of an IPv6 one as far as its text tells. */
function prefixOf({ local }: PunchBehaviour): string | undefined {
  const groups = local?.address.split(/[.:]/);
  return groups?.slice(0, groups.length === 4 ? 3 : 4).join('.');
}

/** Of NATs that weren't asked. */
const ASSUMED_HAIRPIN = 0.5;

function chanceOfTurning(a: PunchSide, b: PunchSide): number {
  return chanceOver(a, b, (one, other) => (punchesPlainly(one, other) ? RELIABLE : 0));
}

/** `chance` is that of a NAT which carries packets back in. */
export function tryHairpin(a: PunchBehaviour, b: PunchBehaviour, chance: number): Strategy {
  const values = [a, b].map(({ hairpin }) => hairpin).filter((value) => value !== 'unknown');
  const turns = values.length === 0 ? ASSUMED_HAIRPIN : values.includes('none') ? 0 : 1;
  const text =
    values.length === 0
      ? 'both are behind one NAT; whether that carries packets between them was not measured'
      : 'both are behind one NAT, which carries packets between them';
  return {
    name: 'hairpin',
    probability: turns * chance,
    ...PLAIN_COST,
    reasons: [{ code: 'hairpin', text }],
  };
}
