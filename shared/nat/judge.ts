/** From evidence to verdict: pure, the same in the probe and in the server. */
import type { Endpoint } from '../endpoint.ts';
import { type Filtering, natTypeOf } from './behaviour.ts';
import type { Evidence } from './evidence.ts';
import { assessFiltering, type FilteringAssessment } from './filtering.ts';
import { assessIceChecks, filteringSource } from './ice-check.ts';
import { assessMapping, type MappingAssessment } from './mapping.ts';
import { type Observations, observe, roundTripTo } from './observations.ts';
import { assessReach, type Reach } from './reach.ts';
import { type Endpoints, type Reason, REQUIRED_CONFIDENCE, type Verdict } from './verdict.ts';

export interface Judgement {
  readonly verdict: Verdict;
  readonly endpoints: Endpoints;
  readonly reach: Reach;
  /** Mean round trip to the first server that answered, in milliseconds. */
  readonly rttMs?: number;
}

/** Judges the evidence of one family. Throws TypeError if it lacks its `run`. */
export function judge(evidence: readonly Evidence[]): Judgement {
  return judgeObservations(observe(evidence));
}

/** As judge, for a caller that has counted already. */
export function judgeObservations(observations: Observations): Judgement {
  if (observations.iceChecks.length > 0) return judgeIceChecks(observations);
  const reach = assessReach(observations);
  const mapping = assessMapping(observations);
  const local = observations.sockets.find(({ purpose }) => purpose === 'mapping')?.local;
  const endpoints: Endpoints = {
    ...(local === undefined ? {} : { local }),
    ...(mapping.mapped === undefined ? {} : { mapped: mapping.mapped }),
  };
  if (reach.kind !== 'udp') return { verdict: verdictWithoutUdp(reach), endpoints, reach };
  const answered = observations.run.servers.find((server) => roundTripTo(observations, server) !== undefined);
  const rtt = answered === undefined ? undefined : roundTripTo(observations, answered);
  return {
    verdict: concludeVerdict(mapping, bestFiltering(observations), [
      ...manglingReasons(observations),
      ...nat64Reasons(observations),
    ]),
    endpoints,
    reach,
    ...(rtt === undefined ? {} : { rttMs: rtt.meanMs }),
  };
}

/** A browser's evidence has nothing of a probe's: it is counted by rules of its own. */
function judgeIceChecks(observations: Observations): Judgement {
  const { reach, mapping, filtering, rttMs } = assessIceChecks(observations);
  const mapped = mapping.mapped ?? filteringSource(observations);
  const local = mapping.mapping === 'none' ? mapped : undefined;
  const endpoints: Endpoints = { ...(local && { local }), ...(mapped && { mapped }) };
  if (reach.kind !== 'udp') return { verdict: verdictWithoutUdp(reach), endpoints, reach };
  return {
    verdict: concludeVerdict(mapping, filtering, []),
    endpoints,
    reach,
    ...(rttMs !== undefined && { rttMs }),
  };
}

/** The first server whose tests gave a filtering, or else the first that answered. */
function bestFiltering(observations: Observations): FilteringAssessment | undefined {
  let first: FilteringAssessment | undefined;
  for (const server of observations.run.servers) {
    if (roundTripTo(observations, server) === undefined) continue;
    const assessment = assessFiltering(observations, server);
    if (assessment.filtering !== 'unknown') return assessment;
    first ??= assessment;
  }
  return first;
}

function concludeVerdict(
  mapping: MappingAssessment,
  filtering: FilteringAssessment | undefined,
  extra: readonly Reason[],
): Verdict {
  const filteringKind: Filtering = filtering?.filtering ?? 'unknown';
  const undecided =
    filtering === undefined ||
    (filteringKind === 'unknown' &&
      (filtering.otherAddress.state.kind === 'open' || filtering.otherPort.state.kind === 'open'));
  const confidence = mapping.confidence * (filtering?.confidence ?? 0);
  // Two conclusions that each hold may together fall a hair below what either needs.
  const sure = !undecided && mapping.confidence >= REQUIRED_CONFIDENCE;
  return {
    type: sure ? natTypeOf(mapping.mapping, filteringKind) : 'inconclusive',
    mapping: mapping.mapping,
    filtering: filteringKind,
    confidence,
    reasons: [...mapping.reasons, ...(filtering?.reasons ?? []), ...extra],
  };
}

function verdictWithoutUdp(reach: Exclude<Reach, { kind: 'udp' }>): Verdict {
  const unknown = { mapping: 'unknown', filtering: 'unknown' } as const;
  switch (reach.kind) {
    case 'blocked':
      return {
        type: 'udp-blocked',
        ...unknown,
        confidence: reach.confidence,
        reasons: [
          { code: 'udp-silent', text: `${reach.unanswered} requests over UDP brought no answer` },
          { code: 'tcp-control', text: reach.how },
        ],
      };
    case 'nothing-listens':
      return inconclusive(
        'nothing-listens',
        'the host refused both UDP and TCP: nothing listens on that port',
      );
    case 'unreachable':
      return inconclusive('server-unreachable', `the server cannot be reached: ${reach.why}`);
    case 'no-candidates':
      return inconclusive(
        'browser-policy',
        'the browser gave WebRTC no address to send from: a setting, an extension or a policy keeps it from UDP',
      );
    case 'open':
      return inconclusive('no-answer', 'no answer over UDP, and too little time to tell why');
  }
}

function inconclusive(code: string, text: string): Verdict {
  return {
    type: 'inconclusive',
    mapping: 'unknown',
    filtering: 'unknown',
    confidence: 0,
    reasons: [{ code, text }],
  };
}

/** MAPPED-ADDRESS unlike XOR-MAPPED-ADDRESS: something on the way rewrites payloads (RFC 5780 §6.1 has both sent). */
function manglingReasons(observations: Observations): Reason[] {
  let seen: Endpoint | undefined;
  for (const { replies } of observations.series) {
    for (const reply of replies) if (reply.kind === 'response') seen ??= reply.plainMapped;
  }
  if (seen === undefined) return [];
  return [
    {
      code: 'payload-rewritten',
      text: 'MAPPED-ADDRESS arrived changed: a gateway (an ALG) rewrites addresses inside packets',
    },
  ];
}

function nat64Reasons({ evidence }: Observations): Reason[] {
  return evidence.flatMap((item) =>
    item.kind === 'nat64' && item.used
      ? [{ code: 'through-nat64', text: `IPv4 was reached over IPv6, through the NAT64 at ${item.prefix}` }]
      : [],
  );
}
