import { formatEndpoint, sameEndpoint, type Family } from '../../../shared/endpoint.ts';
import type {
  BindingEvidence,
  BindingReply,
  Change,
  RefusalEvidence,
  TcpEvidence,
} from '../../../shared/nat/evidence.ts';
import { observe, type Observations } from '../../../shared/nat/observations.ts';
import { FAMILY_NAMES, type FamilyReport } from '../../../shared/report/report.ts';
import { describeSteps } from './classic-steps.ts';
import { WIDTH, wrap } from '../../../shared/wrap.ts';

import type { Style } from '../../../shared/style.ts';

/** What --verbose adds for a family: the classic steps, then every test as it went. Ends with a newline. */
export function renderDetails(family: Family, report: FamilyReport, style: Style): string {
  const observations = observe(report.evidence);
  const lines = [style.bold(`The four classic steps over ${FAMILY_NAMES[family]} (RFC 3489 section 10.1)`)];
  for (const [index, { question, answer }] of describeSteps(observations).entries()) {
    lines.push(...wrap(`${index + 1}  ${question}`, WIDTH, 3));
    lines.push(...indent(5, answer));
  }
  lines.push(
    '',
    style.bold(`Every test over ${FAMILY_NAMES[family]}`) + style.dim(' (milliseconds since it began)'),
  );
  for (const test of describeTests(observations)) {
    lines.push(...wrap(test.title, WIDTH, 2));
    for (const { atMs, text } of test.happenings) {
      lines.push(...wrap(`${atMs.toFixed(1).padStart(9)}  ${text}`, WIDTH, 13));
    }
  }
  return `${lines.join('\n')}\n`;
}

interface Test {
  readonly title: string;
  readonly happenings: readonly Happening[];
}

interface Happening {
  readonly atMs: number;
  readonly text: string;
}

function describeTests(observations: Observations): Test[] {
  return [
    ...observations.series.map((series) => describeSeries(series, observations)),
    ...observations.tcp.map(describeTcp),
    ...observations.refusals.map(describeRefusal),
  ];
}

function describeSeries(series: BindingEvidence, { sockets }: Observations): Test {
  const local = sockets.find(({ socket }) => socket === series.socket)?.local;
  const from = local === undefined ? series.socket : `${series.socket} ${formatEndpoint(local)}`;
  const receipt = series.receipt ? ', with receipt' : '';
  const happenings = [
    ...series.sends.map(({ atMs, transactionId }): Happening => ({
      atMs,
      text: `sent      ${shortId(transactionId)}`,
    })),
    ...series.replies.map((reply): Happening => ({ atMs: reply.atMs, text: describeReply(reply, series) })),
  ];
  return {
    title: `${from} to ${formatEndpoint(series.to)}: ${describeRequest(series.change)}${receipt}`,
    happenings: happenings.sort((a, b) => a.atMs - b.atMs),
  };
}

function describeRequest(change: Change | undefined): string {
  if (change === undefined) return 'plain request';
  const parts = [...(change.address ? ['address'] : []), ...(change.port ? ['port'] : [])];
  return `change ${parts.join(' and ')}`;
}

function describeReply(reply: BindingReply, { sends, to }: BindingEvidence): string {
  const id = shortId(sends[reply.send]?.transactionId ?? '');
  const from = formatEndpoint(reply.from);
  switch (reply.kind) {
    case 'response': {
      const rewritten =
        reply.plainMapped === undefined ? '' : `, rewritten to ${formatEndpoint(reply.plainMapped)}`;
      return `response  ${id} from ${from}, saw ${formatEndpoint(reply.mapped)}${rewritten}`;
    }
    case 'receipt': {
      const relay = reply.relayDelayMs > 0 ? `, relayed within ${reply.relayDelayMs} ms` : '';
      const by = sameEndpoint(reply.from, to) ? '' : ` by ${from}`;
      return `receipt   ${id}${by}: responded from ${formatEndpoint(reply.sentFrom)}${relay}`;
    }
    case 'error': {
      const unknown = reply.unknownAttributes.map((type) => `0x${type.toString(16).padStart(4, '0')}`);
      const list = unknown.length === 0 ? '' : `, unknown attributes ${unknown.join(' ')}`;
      return `error     ${id} ${reply.code} from ${from}${list}`;
    }
  }
}

function describeTcp({ to, atMs, outcome, connectMs, answerMs }: TcpEvidence): Test {
  const happenings: Happening[] = [{ atMs, text: 'connect' }];
  if (connectMs !== undefined) {
    happenings.push({ atMs: atMs + connectMs, text: outcome === 'refused' ? 'reset' : 'connected' });
  }
  if (connectMs !== undefined && answerMs !== undefined) {
    happenings.push({ atMs: atMs + connectMs + answerMs, text: 'response' });
  }
  return { title: `TCP to ${formatEndpoint(to)}: ${outcome}`, happenings };
}

function describeRefusal({ to, atMs, reason }: RefusalEvidence): Test {
  return {
    title: `Refusal for UDP to ${formatEndpoint(to)}`,
    happenings: [{ atMs, text: reason === 'unreachable' ? 'no way there' : 'ICMP: port unreachable' }],
  };
}

/** Enough of a transaction id to tell those of a run apart. */
function shortId(transactionId: string): string {
  return transactionId.slice(-8);
}

function indent(columns: number, text: string): string[] {
  const margin = ' '.repeat(columns);
  return wrap(text, WIDTH - columns).map((line) => margin + line);
}
