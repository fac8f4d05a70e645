/** Amounts in six columns at most. */

const UNITS = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

/** `7`, `0.3`, `99,999`, `123.5k`, `1.235M`. */
export function formatAmount(amount: number): string {
  if (amount < 99.95) return String(Number(amount.toFixed(1)));
  if (Math.round(amount) < 100_000) return Math.round(amount).toLocaleString('en-US');
  return scale(amount, UNITS);
}

/** `12 B`, `9.876 kB`, `123.5 MB`; by thousands. */
export function formatBytes(bytes: number): string {
  const whole = Math.round(bytes);
  if (whole < 1000) return `${whole} B`;
  return scale(
    whole,
    UNITS.map((unit) => ` ${unit}B`),
  );
}

/** `0:07`, `4:05:06`, `3 d 04:05:06`. */
export function formatSpan(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (number: number): string => String(number).padStart(2, '0');
  const [days, hours, minutes] = [
    Math.floor(whole / 86_400),
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 60) % 60,
  ];
  const clock = `${two(minutes)}:${two(whole % 60)}`;
  if (days > 0) return `${days} d ${two(hours)}:${clock}`;
  return hours > 0 ? `${hours}:${clock}` : clock.replace(/^0/, '');
}

/** In four digits; for a thousand or more. */
function scale(amount: number, units: readonly string[]): string {
  for (const [power, unit] of units.entries()) {
    const text = (amount / 1000 ** power).toPrecision(4);
    // What rounds to a thousand has the next unit.
    if (Number(text) < 1000) return `${text}${unit}`;
  }
  return amount.toExponential(1);
}
