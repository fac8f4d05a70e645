/** The classifier: the prober with the plan of the classification, ending in a verdict. */
import type { Endpoint } from '../../shared/endpoint.ts';
import type { Machine } from '../../shared/machine.ts';
import { judgeObservations } from '../../shared/nat/judge.ts';
import type { Observations } from '../../shared/nat/observations.ts';
import type { Enclosures } from './enclosures.ts';
import type { ClassifierAction, ClassifierEvent, ClassifierInput, ClassifierResult } from './io.ts';
import { planClassification } from './plan.ts';
import { Prober, type ProberOptions } from './prober.ts';
import { filteringSocketName, mappingSocketName } from './socket-names.ts';
import { throughNat64 } from './through-nat64.ts';

/** The first server that has another address serves the filtering tests. */
export interface ClassifierOptions extends ProberOptions {
  /** The other address and port of the first server, if known: saves a round trip. */
  readonly alternate?: Endpoint;
}

export function createClassifier(
  options: ClassifierOptions,
): Machine<ClassifierInput, ClassifierAction, ClassifierEvent> {
  const prober = new Prober<ClassifierEvent>(options, {
    sockets: [mappingSocketName(0), filteringSocketName(0)],
    plan: (observations, failedSockets) =>
      planClassification(observations, { alternate: options.alternate, failedSockets }),
    reportProgress: (observations) => ({
      kind: 'progress',
      progress: judgeObservations(observations).verdict,
    }),
    conclude: (observations, socketError, enclosures) => ({
      kind: 'done',
      result: conclude(observations, socketError, enclosures),
    }),
  });
  return throughNat64(prober, options.nat64);
}

function conclude(
  observations: Observations,
  socketError: string | undefined,
  enclosures: Enclosures | undefined,
): ClassifierResult {
  const { verdict, endpoints, reach, rttMs } = judgeObservations(observations);
  return {
    family: observations.run.family,
    outcome: outcomeOf(socketError),
    endpoints,
    timing: { totalMs: observations.nowMs, ...(rttMs === undefined ? {} : { rttMs }) },
    evidence: structuredClone(observations.evidence),
    ...(enclosures === undefined ? {} : { enclosures }),
  };

  function outcomeOf(error: string | undefined): ClassifierResult['outcome'] {
    if (error !== undefined) return { kind: 'unreachable', reason: `the system refused a socket (${error})` };
    if (reach.kind === 'unreachable') return { kind: 'unreachable', reason: reach.why };
    return { kind: 'verdict', verdict };
  }
}
