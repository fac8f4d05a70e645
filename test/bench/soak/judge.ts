/** Whether a soak was one, by what was sampled each second. Pure. */
import type { LoadSecond } from './load.ts';

export interface SoakSample {
  readonly seconds: number;
  readonly load: LoadSecond;
  readonly residentBytes: number;
  /** What the kernel has dropped at the server's sockets since the start. */
  readonly serverDrops: number;
  /** Packets that it has dropped on this machine before they came to any socket. */
  readonly backlogDrops: number;
}

/** Of memory, with the ends of the 95 % confidence interval; bytes a second. */
export interface Slope {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export type Growth = 'none' | 'grows' | 'unknown';

/** Start-up and warm-up: code is compiled, heaps find their size. */
export const SETTLING_SECONDS = 60;
/** One byte for every 30 requests at 50,000 a second: less than what any leak in answering would be. */
export const MOST_GROWTH = (0.1 * 2 ** 20) / 60;
/** Samples a second apart are not independent: garbage collection makes saw teeth. Means of so many parts nearly are. */
const PARTS = 20;
/** Student's t for 95 % and two degrees of freedom less than there are parts. */
const T_95 = 2.101;

/** By least squares over the means of 20 equal parts; undefined for fewer samples than that. */
export function slopeOf(points: readonly (readonly [seconds: number, bytes: number])[]): Slope | undefined {
  const part = Math.floor(points.length / PARTS);
  if (part === 0) return undefined;
  const means = Array.from({ length: PARTS }, (_, i) => {
    const own = points.slice(i * part, (i + 1) * part);
    return [mean(own.map(([x]) => x)), mean(own.map(([, y]) => y))] as const;
  });
  const x0 = mean(means.map(([x]) => x));
  const y0 = mean(means.map(([, y]) => y));
  const sxx = means.reduce((sum, [x]) => sum + (x - x0) ** 2, 0);
  const value = means.reduce((sum, [x, y]) => sum + (x - x0) * (y - y0), 0) / sxx;
  const residue = means.reduce((sum, [x, y]) => sum + (y - y0 - value * (x - x0)) ** 2, 0);
  const margin = T_95 * Math.sqrt(residue / (PARTS - 2) / sxx);
  return { value, low: value - margin, high: value + margin };
}

/** Memory grows if the whole interval is above MOST_GROWTH, and doesn't if all of it is below. */
export function judgeGrowth(slope: Slope | undefined): Growth {
  if (slope === undefined) return 'unknown';
  if (slope.low > MOST_GROWTH) return 'grows';
  return slope.high <= MOST_GROWTH ? 'none' : 'unknown';
}

/** What went wrong with the answers, a sentence each; `queueFull` is what the kernel took from the server no more. */
export function findFaults(last: SoakSample, rate: number, queueFull: number): string[] {
  const { load, serverDrops, backlogDrops } = last;
  const dropped = serverDrops + load.drops + backlogDrops + queueFull;
  const faults: string[] = [];
  if (load.wrong > 0) faults.push(`${load.wrong} answers were wrong; the first: ${load.firstWrong}`);
  if (load.lost > dropped)
    faults.push(`${load.lost} answers were lost, of which the kernel reported ${dropped} as dropped`);
  if (load.sent < 0.9 * rate * load.seconds)
    faults.push(`only ${Math.round(load.sent / load.seconds)} requests a second could be asked`);
  return faults;
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}
