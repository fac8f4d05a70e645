/**
 * Whether a mapped port is reached from outside: a response that was asked for from another socket
 * is sent to that port (RESPONSE-PORT) by an endpoint that the mapped socket has never sent to, and
 * the mapped socket, which sends nothing at all, hears it or not.
 */
import { type Endpoint, formatEndpoint, sameEndpoint } from '../endpoint.ts';
import { type Axis, unknownAxis } from './axis.ts';
import type { BindingEvidence, Evidence, ReceiptReply } from './evidence.ts';
import { isPlain } from './evidence.ts';
import { type Observations, observe, waitAfterReceiptMs } from './observations.ts';
import { chanceAllLost, countSlots, MIN_SILENT_SLOTS } from './silence.ts';
import { REQUIRED_CONFIDENCE } from './verdict.ts';

export interface PortMappingAxis extends Axis<'reachable' | 'unreachable'> {
  /** What was sent to: the mapped port at the address that the server sees this machine as. */
  readonly public?: Endpoint;
  /** Who was heard there. */
  readonly heardFrom?: Endpoint;
}

/** The socket of the mapped port, the one that asks, and the one that shows that the other endpoint is alive. */
export const PORT_MAPPING_SOCKETS = {
  mapped: 'port-mapping',
  asker: 'port-mapping-asker',
  control: 'port-mapping-control',
} as const;

/** Throws if there is no `run` among the evidence. */
export function assessPortMapping(evidence: readonly Evidence[]): PortMappingAxis {
  return judgePortMapping(observe(evidence));
}

/** The same from what has been counted already. */
export function judgePortMapping(observations: Observations): PortMappingAxis {
  const address = publicAddressOf(observations);
  if (address === undefined) return unknownAxis('no-answer', 'the server did not answer over UDP');
  const asked = questionsOf(observations);
  if (asked === undefined) return unknownAxis('port-mapping-open', 'nothing was sent to the mapped port');
  const target = { address, port: asked.responsePort! };
  const heard = asked.strays?.find(
    ({ kind, socket }) => kind === 'response' && socket === PORT_MAPPING_SOCKETS.mapped,
  );
  if (heard !== undefined) {
    const text = `${formatEndpoint(target)} is reached from outside: ${formatEndpoint(heard.from)} was heard there`;
    const reasons = [{ code: 'port-mapping-heard', text }];
    return { value: 'reachable', confidence: 1, reasons, public: target, heardFrom: heard.from };
  }
  const unsupported = whyUnsupported(asked);
  if (unsupported !== undefined)
    return { ...unknownAxis('port-mapping-unsupported', unsupported), public: target };
  return { ...judgeSilence(observations, asked), public: target };
}

/** The one series of questions, if any was sent. */
export function questionsOf({ series }: Observations): BindingEvidence | undefined {
  return series.find(
    ({ socket, responsePort }) => socket === PORT_MAPPING_SOCKETS.asker && responsePort !== undefined,
  );
}

/** Whence the server sends to the mapped port, by a receipt. */
export function senderOf(questions: BindingEvidence): Endpoint | undefined {
  return receiptsOf(questions)[0]?.sentFrom;
}

/** When the wait for a response that is known to have been sent is over; undefined while its way isn't known. */
export function waitOverMs(
  observations: Observations,
  asked: BindingEvidence,
  { atMs, sentFrom, relayDelayMs }: ReceiptReply,
): number | undefined {
  const waitMs = waitAfterReceiptMs(observations, asked.to, sentFrom, relayDelayMs);
  return waitMs === undefined ? undefined : atMs + waitMs;
}

export function receiptsOf({ to, replies }: BindingEvidence): ReceiptReply[] {
  const bySend = new Map<number, ReceiptReply>();
  for (const reply of replies) {
    if (reply.kind === 'receipt' && sameEndpoint(reply.from, to) && !bySend.has(reply.send))
      bySend.set(reply.send, reply);
  }
  return [...bySend.values()];
}

function publicAddressOf({ series }: Observations): string | undefined {
  for (const item of series) {
    if (item.socket !== PORT_MAPPING_SOCKETS.asker || !isPlain(item)) continue;
    for (const reply of item.replies) {
      if (reply.kind === 'response' && sameEndpoint(reply.from, item.to)) return reply.mapped.address;
    }
  }
  return undefined;
}

function whyUnsupported({ replies }: BindingEvidence): string | undefined {
  for (const reply of replies) {
    if (reply.kind === 'error') return `the server answers RESPONSE-PORT with error ${reply.code}`;
    // From wherever it was asked to come: the asking socket's own port is another one.
    if (reply.kind === 'response')
      return 'the server answers to where it was asked from, whatever RESPONSE-PORT says';
  }
  return undefined;
}

function judgeSilence(observations: Observations, asked: BindingEvidence): Axis<'unreachable'> {
  const { nowMs, path, paths, run } = observations;
  const silent = receiptsOf(asked).filter((receipt) => {
    const overMs = waitOverMs(observations, asked, receipt);
    return overMs !== undefined && nowMs >= overMs;
  });
  const sender = silent[0]?.sentFrom;
  const ways = [path, ...(sender === undefined ? [] : [paths.get(sender.address) ?? path])];
  const confidence = 1 - Math.max(...ways.map((way) => chanceAllLost(silent.length, way)));
  const slots = countSlots(
    silent.map(({ send }) => asked.sends[send]!.atMs),
    run.paceMs,
  );
  if (slots < MIN_SILENT_SLOTS || confidence < REQUIRED_CONFIDENCE)
    return unknownAxis('port-mapping-open', 'too little was sent to tell in the time given');
  const text = `none of ${silent.length} packets that ${formatEndpoint(sender!)} sent to the mapped port arrived`;
  return { value: 'unreachable', confidence, reasons: [{ code: 'port-mapping-silence', text }] };
}
