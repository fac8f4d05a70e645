/** Runs inside a namespace: `SERVER`; classifies against it again and again, and prints each verdict as a line of JSON. */
import { classify } from '../../probe/index.ts';
import { verdictOf, type Said } from './verdicts.ts';

export interface Classified {
  /** Both in milliseconds since 1970. */
  readonly begunAt: number;
  readonly endedAt: number;
  readonly said: Said;
  readonly reasons: readonly string[];
}

/** Enough for a verdict without the server's second address. */
const TIMEOUT_MS = 3000;
const [server] = process.argv.slice(2) as [string];
process.stdin.resume().on('end', () => process.exit());
for (;;) {
  const begunAt = Date.now();
  const report = await classify({ server, timeoutMs: TIMEOUT_MS });
  const reasons = report.verdict.reasons.map(({ code }) => code);
  const line: Classified = { begunAt, endedAt: Date.now(), said: verdictOf(report), reasons };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
