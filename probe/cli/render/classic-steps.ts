import { formatEndpoint, sameEndpoint, type Endpoint } from '../../../shared/endpoint.ts';
import type { BindingEvidence } from '../../../shared/nat/evidence.ts';
import { assessFiltering, type FilteringTest } from '../../../shared/nat/filtering.ts';
import { otherAddressOf, roundTripTo, type Observations } from '../../../shared/nat/observations.ts';
import { formatMs, listWords } from '../../../shared/words.ts';

export interface Step {
  readonly question: string;
  readonly answer: string;
}

/**
 * The walk-through of RFC 3489 §10.1 (there tests I, II, I again and III) and what this run showed of
 * each. natprobe doesn't take these steps one after the other, but it has the answers to all four.
 */
export function describeSteps(observations: Observations): readonly Step[] {
  const server = chooseServer(observations);
  const { otherAddress, otherPort } = assessFiltering(observations, server);
  return [
    {
      question: `Does ${formatEndpoint(server)} answer?`,
      answer: describeContact(observations, server),
    },
    {
      question: "Does its other address's answer get in? (yes: open or full cone)",
      answer: describeFilteringTest(otherAddress),
    },
    {
      question: 'Does its other address see the same public endpoint? (no: symmetric)',
      answer: describeMappingStep(observations, server),
    },
    {
      question: "Does its other port's answer get in? (yes: restricted, no: port-restricted)",
      answer: describeFilteringTest(otherPort),
    },
  ];
}

/** The server that the filtering was measured with: the first that answered and has another address. */
function chooseServer(observations: Observations): Endpoint {
  const { servers } = observations.run;
  const answered = servers.filter((server) => roundTripTo(observations, server) !== undefined);
  const complete = answered.find((server) => otherAddressOf(observations, server) !== undefined);
  return complete ?? answered[0] ?? servers[0]!;
}

function describeContact(observations: Observations, server: Endpoint): string {
  const series = plainSeries(observations).filter(({ to }) => sameEndpoint(to, server));
  const sent = series.reduce((sum, { sends }) => sum + sends.length, 0);
  const roundTrip = roundTripTo(observations, server);
  if (roundTrip === undefined) return `No: ${sent} requests, no answer over UDP.`;
  const seen = series.flatMap((item) => answersOf(item)).map(formatEndpoint);
  const answered = series.reduce((sum, item) => sum + countAnswered(item), 0);
  const mapped = seen.length === 0 ? '' : `; it saw ${listWords([...new Set(seen)])}`;
  return `Yes: ${answered} of ${sent} plain requests, round trip ${formatMs(roundTrip.meanMs)}${mapped}.`;
}

function describeFilteringTest({ expected, state }: FilteringTest): string {
  const from = expected === undefined ? 'there' : formatEndpoint(expected);
  switch (state.kind) {
    case 'heard':
      return `Yes: a response came in from ${from}.`;
    case 'silent':
      return state.receipts
        ? `No: ${state.sent} responses are known to have been sent from ${from}, none came in.`
        : `No: ${state.sent} requests brought no response from ${from}, while others were answered.`;
    case 'unsupported':
      return `Not measured: the server ${state.how}.`;
    case 'unavailable':
      return `Not measured: the server has ${state.why === 'no other address' ? 'none' : 'one that answers nobody'}.`;
    case 'open':
      return state.silent === 0
        ? 'Not told within the time.'
        : `Not told within the time: ${state.silent} responses from ${from} were missing so far.`;
  }
}

function describeMappingStep(observations: Observations, server: Endpoint): string {
  const mappingSockets = observations.sockets.filter(({ purpose }) => purpose === 'mapping');
  const first = mappingSockets[0]?.socket;
  const sightings = plainSeries(observations)
    .filter(({ socket }) => socket === first)
    .flatMap((series) =>
      answersOf(series)
        .slice(0, 1)
        .map((mapped) => ({ to: series.to, mapped })),
    );
  const own = sightings.find(({ to }) => sameEndpoint(to, server))?.mapped;
  const elsewhere = sightings.filter(({ to }) => to.address !== server.address);
  if (own === undefined || elsewhere.length === 0) return 'Not measured: no other address has answered.';
  const list = elsewhere.map(({ to, mapped }) => `${formatEndpoint(to)} saw ${formatEndpoint(mapped)}`);
  const same = elsewhere.every(({ mapped }) => sameEndpoint(mapped, own));
  return `${same ? 'Yes' : 'No'}: ${formatEndpoint(server)} saw ${formatEndpoint(own)}, ${listWords(list)}.`;
}

function plainSeries({ series, sockets }: Observations): BindingEvidence[] {
  const mappingSockets = new Set(
    sockets.filter(({ purpose }) => purpose === 'mapping').map(({ socket }) => socket),
  );
  return series.filter(({ change, socket }) => change === undefined && mappingSockets.has(socket));
}

/** What the asked endpoint saw, answer by answer. */
function answersOf({ replies, to }: BindingEvidence): Endpoint[] {
  return replies.flatMap((reply) =>
    reply.kind === 'response' && sameEndpoint(reply.from, to) ? [reply.mapped] : [],
  );
}

function countAnswered({ replies, to }: BindingEvidence): number {
  const answered = replies.filter((reply) => reply.kind === 'response' && sameEndpoint(reply.from, to));
  return new Set(answered.map(({ send }) => send)).size;
}
