/**
 * Runs one of the prober's inquiries inside a namespace, and prints what it came to as one line of
 * JSON: `inquiry-agent.ts NAME CONTEXT [STOP-AFTER-MS]`, the context as JSON.
 */
import { randomBytes } from 'node:crypto';
import { createInquiry, type InquiryPlan } from '../../probe/classify/inquiry.ts';
import { planFragments } from '../../probe/classify/inquiries/fragments.ts';
import { planHairpin } from '../../probe/classify/inquiries/hairpin.ts';
import { lifetimeTimeoutMs, planLifetime } from '../../probe/classify/inquiries/lifetime.ts';
import { runProbe } from '../../probe/drive/run-probe.ts';
import { DEFAULT_PACE_MS, DEFAULT_TIMEOUT_MS } from '../../probe/index.ts';
import { familyOf, type Endpoint } from '../../shared/endpoint.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import { assessFragments } from '../../shared/nat/fragments.ts';
import { assessHairpin } from '../../shared/nat/hairpin.ts';
import { assessLifetime } from '../../shared/nat/lifetime.ts';

const INQUIRIES = {
  lifetime: [planLifetime, assessLifetime],
  hairpin: [planHairpin, assessHairpin],
  fragments: [planFragments, assessFragments],
} as const;

export type InquiryName = keyof typeof INQUIRIES;

interface Context {
  readonly server: Endpoint;
  readonly maxMs?: number;
  readonly resolutionMs?: number;
}

/** What the agent prints. */
export interface InquiryOutcome<Axis> {
  readonly axis: Axis;
  readonly evidence: readonly Evidence[];
  readonly tookMs: number;
}

const [name, contextText, stopAfterMs] = process.argv.slice(2);
const context = JSON.parse(contextText!) as Context;
const [plan, assess]: readonly [
  (context: Context) => InquiryPlan,
  (evidence: readonly Evidence[]) => unknown,
] = INQUIRIES[name as InquiryName];
const startedAt = performance.now();
const machine = createInquiry(
  {
    family: familyOf(context.server.address),
    servers: [context.server],
    timeoutMs: name === 'lifetime' ? lifetimeTimeoutMs(context, DEFAULT_PACE_MS) : DEFAULT_TIMEOUT_MS,
    paceMs: DEFAULT_PACE_MS,
    random: randomBytes,
  },
  plan(context),
);
const { evidence } = await runProbe(
  machine,
  stopAfterMs === undefined ? {} : { concludeSignal: AbortSignal.timeout(Number(stopAfterMs)) },
);
const outcome: InquiryOutcome<unknown> = {
  axis: assess(evidence),
  evidence,
  tookMs: performance.now() - startedAt,
};
process.stdout.write(`${JSON.stringify(outcome)}\n`);
