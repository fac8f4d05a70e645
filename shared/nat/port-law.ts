/**
 * Laws by which a NAT may pick the public port of a mapping, as probabilities over all ports, and
 * the smallest set of ports that has most of the probability. Plain data, so that a report can carry it.
 */

/** Every `step`-th port from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
  readonly step: number;
}

export type PortLaw =
  /** The port of the mapping that the socket has already. */
  | { readonly kind: 'kept' }
  /** The local port. */
  | { readonly kind: 'preserved' }
  /** `delta` above the last one handed out to anybody, which was `last`, `agoMs` before the measuring ended. */
  | {
      readonly kind: 'after-last';
      readonly delta: number;
      readonly last: number;
      readonly agoMs: number;
      /** Of others' mappings in between; exposure in milliseconds. */
      readonly skips: Skips;
    }
  /** `delta` above the last one of the same socket; exposure is one for each mapping. */
  | { readonly kind: 'after-own'; readonly delta: number; readonly skips: Skips }
  /** Each port of a range alike. */
  | { readonly kind: 'uniform'; readonly first: number; readonly last: number; readonly sameParity: boolean }
  /** Each port of a range alike of which only the `samples` ports drawn from it are known. */
  | {
      readonly kind: 'spread';
      readonly lowest: number;
      readonly highest: number;
      readonly samples: number;
      readonly sameParity: boolean;
    };

/** A Gamma distribution of the rate at which ports are skipped: `shape` of them in an exposure of `rate`. */
export interface Skips {
  readonly shape: number;
  readonly rate: number;
}

export interface WeightedLaw {
  readonly weight: number;
  readonly law: PortLaw;
}

/** For what mapping a port is asked. */
export interface Situation {
  readonly localPort: number;
  /** The last port that this socket was mapped to; absent for a new socket. */
  readonly ownPort?: number;
  /** Milliseconds from the end of the measuring to the new mapping. */
  readonly afterMs: number;
  /** A port seen since, on any socket, and how long before the new mapping. */
  readonly latest?: { readonly port: number; readonly agoMs: number };
}

/** NATs don't hand out the well-known ports (RFC 4787 §4.2.1). */
export const FIRST_PORT = 1024;
export const LAST_PORT = 65535;
export const PORT_COUNT = LAST_PORT - FIRST_PORT + 1;
/** A port of at least this times another's probability is about as likely. */
const ABOUT_AS_LIKELY = 0.4;
/** What is less likely than this for a number of skips is left out. */
const NEGLIGIBLE = 1e-7;

/** How likely each port is, by its number, under a mixture of laws whose weights sum to 1. */
export function massesOf(laws: readonly WeightedLaw[], situation: Situation): Float64Array {
  const masses = new Float64Array(LAST_PORT + 1);
  for (const { weight, law } of laws) addLaw(masses, law, weight, situation);
  return masses;
}

/**
 * The most likely ports that have at least `share` of the mass together, and all those that are about
 * as likely as the last of them: between near equals a cut would be arbitrary.
 */
export function likeliestPorts(
  masses: Float64Array,
  share: number,
): { ports: PortRange[]; count: number; probability: number } {
  let total = 0;
  let most = 0;
  for (const mass of masses) {
    total += mass;
    if (mass > most) most = mass;
  }
  // The highest threshold, to a hundredth, above which there is enough.
  let low = most * NEGLIGIBLE ** 2;
  let high = most;
  while (high > 1.01 * low) {
    const middle = Math.sqrt(low * high);
    let above = 0;
    for (const mass of masses) if (mass >= middle) above += mass;
    if (above >= share * total) low = middle;
    else high = middle;
  }
  const threshold = low * ABOUT_AS_LIKELY;
  const numbers: number[] = [];
  let probability = 0;
  for (let port = 0; port < masses.length; port++) {
    if (masses[port]! < threshold || masses[port] === 0) continue;
    numbers.push(port);
    probability += masses[port]!;
  }
  return {
    ports: rangesOf(numbers),
    count: numbers.length,
    probability: total === 0 ? 0 : probability / total,
  };
}

export function includesPort(ports: readonly PortRange[], port: number): boolean {
  return ports.some(({ first, last, step }) => port >= first && port <= last && (port - first) % step === 0);
}

/** The probability of `skipped` ports skipped during `exposure`: Poisson with a Gamma rate, so negative binomial. */
export function chanceOfSkips({ shape, rate }: Skips, skipped: number, exposure: number): number {
  if (exposure === 0) return skipped === 0 ? 1 : 0;
  // By logarithms: of many numbers of skips each single one has next to no chance.
  const logWays = logGamma(shape + skipped) - logGamma(shape) - logGamma(skipped + 1);
  const total = rate + exposure;
  return Math.exp(logWays + shape * Math.log(rate / total) + skipped * Math.log(exposure / total));
}

/** The logarithm of the Gamma function for x > 0, to nine digits: Stirling's series from 8 on, the recurrence below. */
function logGamma(x: number): number {
  let shift = 0;
  let y = x;
  for (; y < 8; y++) shift += Math.log(y);
  const series = 1 / (12 * y) - 1 / (360 * y ** 3) + 1 / (1260 * y ** 5);
  return (y - 0.5) * Math.log(y) - y + Math.log(2 * Math.PI) / 2 + series - shift;
}

/** The density of the next draw from a range of unknown ends, `beyond` ports outside of what `samples` draws have spanned. */
export function spreadDensity(span: number, samples: number, beyond: number): number {
  // With a prior of 1/width on the width: inside the span n-1 of n+1 parts, n-th power tails outside.
  const inside = (samples - 1) / ((samples + 1) * span);
  return beyond === 0 ? inside : inside * (span / (span + beyond)) ** samples;
}

/** `port` moved by whole rounds into the ports that a NAT hands out. */
export function wrapPort(port: number): number {
  return FIRST_PORT + ((((port - FIRST_PORT) % PORT_COUNT) + PORT_COUNT) % PORT_COUNT);
}

function addLaw(masses: Float64Array, law: PortLaw, weight: number, situation: Situation): void {
  if (isDrawn(law)) {
    const { first, last, step, massAt } = drawnBy(law, situation.localPort);
    for (let port = first; port <= last; port += step) masses[port]! += weight * massAt(port);
  } else
    eachPoint(law, situation, (port, mass) => {
      masses[port]! += weight * mass;
    });
}

/** A law that draws each port anew from many, and one by which it is one of a few. */
export type DrawnLaw = Extract<PortLaw, { kind: 'uniform' | 'spread' }>;
export type PointLaw = Exclude<PortLaw, DrawnLaw>;

export function isDrawn(law: PortLaw): law is DrawnLaw {
  return law.kind === 'uniform' || law.kind === 'spread';
}

/** Every `step`-th port may be drawn, those from `flatFrom` to `flatTo` alike. */
export interface DrawnPorts extends PortRange {
  readonly flatFrom: number;
  readonly flatTo: number;
  /** Of one of these ports. */
  readonly massAt: (port: number) => number;
}

export function drawnBy(law: DrawnLaw, localPort: number): DrawnPorts {
  const step = law.sameParity ? 2 : 1;
  const onGrid = (port: number): number => (law.sameParity ? sameParityFrom(port, localPort) : port);
  if (law.kind === 'uniform') {
    const first = onGrid(law.first);
    const each = 1 / countOnGrid(first, law.last, step);
    return { first, last: law.last, step, flatFrom: first, flatTo: law.last, massAt: () => each };
  }
  const { lowest, highest, samples } = law;
  const first = onGrid(Math.min(lowest, FIRST_PORT));
  const flatFrom = onGrid(lowest);
  const densityAt = (port: number): number =>
    spreadDensity(highest - lowest + 1, samples, Math.max(0, lowest - port, port - highest));
  let total = countOnGrid(flatFrom, highest, step) * densityAt(lowest);
  for (let port = first; port < lowest; port += step) total += densityAt(port);
  for (let port = onGrid(highest + 1); port <= LAST_PORT; port += step) total += densityAt(port);
  const massAt = (port: number): number => densityAt(port) / total;
  return { first, last: LAST_PORT, step, flatFrom, flatTo: highest, massAt };
}

function countOnGrid(first: number, last: number, step: number): number {
  return Math.max(0, Math.floor((last - first) / step) + 1);
}

/** Tells each port that the law may give with its probability; one may come several times. */
export function eachPoint(
  law: PointLaw,
  { localPort, ownPort, latest, afterMs }: Situation,
  tell: (port: number, mass: number) => void,
): void {
  switch (law.kind) {
    case 'kept':
      // A new socket has none.
      tell(ownPort ?? localPort, 1);
      return;
    case 'preserved':
      tell(localPort, 1);
      return;
    case 'after-last':
      eachStep(latest?.port ?? law.last, law, latest?.agoMs ?? law.agoMs + afterMs, tell);
      return;
    case 'after-own':
      eachStep(ownPort ?? localPort, law, 1, tell);
  }
}

function eachStep(
  from: number,
  { delta, skips: { shape, rate } }: { readonly delta: number; readonly skips: Skips },
  exposure: number,
  tell: (port: number, mass: number) => void,
): void {
  const logRatio = Math.log(exposure / (rate + exposure));
  let logChance = shape * Math.log(rate / (rate + exposure));
  let left = 1;
  for (let k = 0; k < PORT_COUNT && left > NEGLIGIBLE; k++) {
    const chance = Math.exp(logChance);
    tell(wrapPort(from + delta * (k + 1)), chance);
    left -= chance;
    logChance += Math.log((shape + k) / (k + 1)) + logRatio;
  }
}

function sameParityFrom(first: number, localPort: number): number {
  return first + ((first ^ localPort) & 1);
}

/** Ascending numbers as ranges, each as long as its step lasts. */
export function rangesOf(numbers: readonly number[]): PortRange[] {
  const ranges: PortRange[] = [];
  for (let index = 0; index < numbers.length;) {
    const first = numbers[index]!;
    const step = (numbers[index + 1] ?? first + 1) - first;
    let end = index + 1;
    while (end < numbers.length && numbers[end]! - numbers[end - 1]! === step) end++;
    // Two ports far apart are no series.
    if (end === index + 2 && step > 1) end = index + 1;
    ranges.push({ first, last: numbers[end - 1]!, step: end === index + 1 ? 1 : step });
    index = end;
  }
  return ranges;
}
