/**
 * Runs one of the prober's inquiries inside a namespace, and prints what it came to as one line of
 * JSON: `inquiry-agent.ts NAME CONTEXT [STOP-AFTER-MS]`, the context as JSON.
 */
import { randomBytes } from 'node:crypto';
import { createInquiry, type InquiryPlan } from '../../probe/classify/inquiry.ts';
import { planCollisions } from '../../probe/classify/inquiries/collisions.ts';
import { planFragments } from '../../probe/classify/inquiries/fragments.ts';
import { planHairpin } from '../../probe/classify/inquiries/hairpin.ts';
import { lifetimeTimeoutMs, planLifetime } from '../../probe/classify/inquiries/lifetime.ts';
import { planPorts } from '../../probe/classify/inquiries/ports.ts';
import { planUnsolicited } from '../../probe/classify/inquiries/unsolicited.ts';
import { runProbe } from '../../probe/drive/run-probe.ts';
import { DEFAULT_PACE_MS, DEFAULT_TIMEOUT_MS } from '../../probe/index.ts';
import { familyOf, type Endpoint } from '../../shared/endpoint.ts';
import { assessCollisions } from '../../shared/nat/collisions.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import { assessFragments } from '../../shared/nat/fragments.ts';
import { assessHairpin } from '../../shared/nat/hairpin.ts';
import { assessLifetime } from '../../shared/nat/lifetime.ts';
import { assessMangling } from '../../shared/nat/mangling.ts';
import { assessPooling } from '../../shared/nat/pooling.ts';
import { assessPorts } from '../../shared/nat/ports.ts';
import { assessUnsolicited } from '../../shared/nat/unsolicited.ts';

const INQUIRIES = {
  lifetime: [planLifetime, assessLifetime],
  hairpin: [planHairpin, assessHairpin],
  fragments: [planFragments, assessFragments],
  ports: [planPorts, assessPorts],
  pooling: [planPorts, assessPooling],
  'pooling-of-two': [planCollisions, assessPooling],
  // Any inquiry's answers tell.
  mangling: [planPorts, assessMangling],
  collisions: [planCollisions, assessCollisions],
  unsolicited: [planUnsolicited, assessUnsolicited],
} as const;

export type InquiryName = keyof typeof INQUIRIES;

interface Context {
  readonly server: Endpoint;
  readonly maxMs?: number;
  readonly resolutionMs?: number;
  /** Two inside addresses; of collisions and what else is judged from them. */
  readonly from: string;
  readonly also: string;
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
