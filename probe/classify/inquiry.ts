/** An inquiry is a plan of its own, run by the prober, that ends with its evidence: the judging is done elsewhere. */
import type { Machine } from '../../shared/machine.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import type { Observations } from '../../shared/nat/observations.ts';
import type { Enclosures } from './enclosures.ts';
import type { ClassifierAction, ClassifierInput, InquiryEvent } from './io.ts';
import { type Inquiry, Prober, type ProberOptions } from './prober.ts';
import type { Plan } from './request.ts';
import { throughNat64 } from './through-nat64.ts';

export interface InquiryResult {
  readonly evidence: readonly Evidence[];
  /** What came of what was asked for besides; absent if nothing was. */
  readonly enclosures?: Enclosures;
  /** The system's code if the first socket could not be opened: then there is next to no evidence. */
  readonly socketError?: string;
}

export interface InquiryPlan {
  /** Opened at the start; further ones on first use. Names begin with their purpose. */
  readonly sockets: readonly [string, ...string[]];
  readonly plan: (observations: Observations, failedSockets: ReadonlySet<string>) => Plan;
  /** Where sockets are to be bound, if not on fresh ports of the wildcard. */
  readonly bindingOf?: Inquiry<never>['bindingOf'];
  /** How much of it is done, 0 to 1, for a progress bar. */
  readonly progress: (observations: Observations) => number;
}

export type InquiryMachine = Machine<ClassifierInput, ClassifierAction, InquiryEvent<number, InquiryResult>>;

export function createInquiry(options: ProberOptions, inquiry: InquiryPlan): InquiryMachine {
  const prober = new Prober<InquiryEvent<number, InquiryResult>>(options, {
    sockets: inquiry.sockets,
    plan: inquiry.plan,
    ...(inquiry.bindingOf === undefined ? {} : { bindingOf: inquiry.bindingOf }),
    reportProgress: (observations) => ({ kind: 'progress', progress: inquiry.progress(observations) }),
    conclude: (observations, socketError, enclosures) => ({
      kind: 'done',
      result: {
        evidence: structuredClone(observations.evidence),
        ...(enclosures === undefined ? {} : { enclosures }),
        ...(socketError === undefined ? {} : { socketError }),
      },
    }),
  });
  return throughNat64(prober, options.nat64);
}
