/**
 * What the lifetime inquiry saw of each mapping (RFC 5780 §4.6): sockets that contacted the server
 * and fell silent, and the questions of a companion whose responses went to their mapped ports
 * (RESPONSE-PORT). Facts only; lifetime.ts concludes from them.
 */
import { type Endpoint, sameEndpoint } from '../endpoint.ts';
import { type BindingEvidence, isPlain, type Stray } from './evidence.ts';
import { lacksReceipts } from './filtering.ts';
import { isBeside, type Observations, waitAfterReceiptMs } from './observations.ts';
import { chanceAllLost, countSlots, MIN_SILENT_SLOTS } from './silence.ts';
import { REQUIRED_CONFIDENCE } from './verdict.ts';

/** One socket whose mapping is left alone, and what has been asked about it. */
export interface Trial {
  readonly socket: string;
  /** As the server saw it last. */
  readonly mapped: Endpoint;
  /** How many requests were answered. */
  readonly exchanges: number;
  readonly firstSentMs: number;
  /** The last packet out. */
  readonly lastSentMs: number;
  /** The last response to a packet out. */
  readonly repliedMs: number;
  /** When a later socket was seen with the same endpoint: this one's mapping is gone. */
  readonly displacedMs?: number;
  /** In the order in which they were asked. */
  readonly questions: readonly Question[];
}

/** One request of the companion for a response to the trial's mapped port. */
export interface Question {
  readonly atMs: number;
  readonly outcome: QuestionOutcome;
}

export type QuestionOutcome =
  /** The response came in: the mapping lives. */
  | { readonly kind: 'heard'; readonly atMs: number }
  /** The response came in at another socket: the port has been given away, so the mapping is gone. */
  | { readonly kind: 'reused'; readonly atMs: number }
  /** Known to have been sent (by a receipt at `atMs`, or by a control beside it) and not heard in time. */
  | { readonly kind: 'silent'; readonly atMs: number }
  /** Its wait is not over, if it is known when that is. */
  | { readonly kind: 'awaiting'; readonly untilMs: number | undefined }
  /** It tells nothing: no receipt, or the companion has another public address than the trial. */
  | { readonly kind: 'void' };

export interface Trials {
  readonly trials: readonly Trial[];
  /** The server doesn't serve RESPONSE-PORT: how it showed. */
  readonly unsupported: string | undefined;
  /** Some trial has another public address than the companion, which can't ask for it. */
  readonly isPooled: boolean;
}

/** The sockets that `server` has answered, and the questions about them. */
export function observeTrials(observations: Observations, server: Endpoint): Trials {
  const plain = new Map<string, BindingEvidence>();
  const asked: BindingEvidence[] = [];
  for (const series of observations.series) {
    if (!sameEndpoint(series.to, server)) continue;
    if (series.responsePort !== undefined) asked.push(series);
    else if (isPlain(series)) plain.set(series.socket, series);
  }
  const companions = new Set(asked.map(({ socket }) => socket));
  const contacts = [...plain].flatMap(([socket, series]) => contactOf(socket, series) ?? []);
  const trialContacts = contacts.filter(({ socket }) => !companions.has(socket));
  const questions = new Map<string, Question[]>();
  let unsupported: string | undefined;
  for (const series of asked) {
    const companion = plain.get(series.socket);
    unsupported ??= whyUnsupported(series, companion);
    for (const [send, { atMs }] of series.sends.entries()) {
      const address = sightingNear(companion, atMs)?.address;
      const owner = ownerOf(trialContacts, series, send, address);
      if (owner === undefined) continue;
      const outcome = outcomeOf(observations, server, series, send, owner, address);
      let list = questions.get(owner.socket);
      if (list === undefined) questions.set(owner.socket, (list = []));
      list.push({ atMs, outcome });
    }
  }
  const companionAddresses = new Set(
    contacts.filter(({ socket }) => companions.has(socket)).map(({ mapped }) => mapped.address),
  );
  return {
    trials: trialContacts.map((contact) => ({
      ...contact,
      ...displacementOf(contact, trialContacts),
      questions: (questions.get(contact.socket) ?? []).sort((a, b) => a.atMs - b.atMs),
    })),
    unsupported,
    isPooled:
      companionAddresses.size > 0 &&
      trialContacts.some(({ mapped }) => !companionAddresses.has(mapped.address)),
  };
}

type Contact = Omit<Trial, 'questions' | 'displacedMs'>;

/** No two mappings towards one endpoint share a port. */
function displacementOf(contact: Contact, contacts: readonly Contact[]): Pick<Trial, 'displacedMs'> {
  const laterMs = contacts
    .filter(({ mapped, repliedMs }) => sameEndpoint(mapped, contact.mapped) && repliedMs > contact.repliedMs)
    .map(({ repliedMs }) => repliedMs);
  return laterMs.length === 0 ? {} : { displacedMs: Math.min(...laterMs) };
}

function contactOf(socket: string, { to, sends, replies }: BindingEvidence): Contact | undefined {
  const first = sends[0];
  const last = sends.at(-1);
  const responses = replies.filter((reply) => reply.kind === 'response' && sameEndpoint(reply.from, to));
  const latest = responses.at(-1);
  if (first === undefined || last === undefined || latest?.kind !== 'response') return undefined;
  return {
    socket,
    mapped: latest.mapped,
    exchanges: new Set(responses.map(({ send }) => send)).size,
    firstSentMs: first.atMs,
    lastSentMs: last.atMs,
    repliedMs: latest.atMs,
  };
}

/** A server that ignores RESPONSE-PORT answers the companion itself, though it has another port. */
function whyUnsupported(series: BindingEvidence, companion: BindingEvidence | undefined): string | undefined {
  for (const reply of series.replies) {
    if (!sameEndpoint(reply.from, series.to)) continue;
    if (reply.kind === 'error') return `it answers RESPONSE-PORT with error ${reply.code}`;
    const own = sightingNear(companion, series.sends[reply.send]?.atMs ?? 0);
    if (reply.kind === 'response' && own?.port !== series.responsePort)
      return 'it answers to where it was asked from, whatever RESPONSE-PORT says';
  }
  return undefined;
}

/** What the companion's mapped endpoint was, from the answer to the plain request sent nearest to `atMs`. */
function sightingNear(companion: BindingEvidence | undefined, atMs: number): Endpoint | undefined {
  let nearest: Endpoint | undefined;
  let distanceMs = Infinity;
  for (const reply of companion?.replies ?? []) {
    if (reply.kind !== 'response') continue;
    const away = Math.abs(companion!.sends[reply.send]!.atMs - atMs);
    if (away >= distanceMs) continue;
    nearest = reply.mapped;
    distanceMs = away;
  }
  return nearest;
}

/** Which trial a question was about: whoever heard it, else who had the port last, if at the companion's address. */
function ownerOf(
  contacts: readonly Contact[],
  { responsePort, sends, strays = [] }: BindingEvidence,
  send: number,
  address: string | undefined,
): Contact | undefined {
  const { atMs } = sends[send]!;
  const holders = contacts.filter(
    ({ mapped, repliedMs }) => mapped.port === responsePort && repliedMs <= atMs,
  );
  const heardBy = strays.filter((stray) => stray.send === send).map(({ socket }) => socket);
  const hearing = holders.find(({ socket }) => heardBy.includes(socket));
  if (hearing !== undefined) return hearing;
  const there = holders.filter(({ mapped }) => mapped.address === address);
  return latest(there.length > 0 ? there : holders);
}

function latest(contacts: readonly Contact[]): Contact | undefined {
  return contacts.reduce<Contact | undefined>(
    (last, contact) => (last === undefined || contact.repliedMs > last.repliedMs ? contact : last),
    undefined,
  );
}

function outcomeOf(
  observations: Observations,
  server: Endpoint,
  series: BindingEvidence,
  send: number,
  owner: Contact,
  companionAddress: string | undefined,
): QuestionOutcome {
  const responses = (series.strays ?? []).filter(
    (stray: Stray) => stray.kind === 'response' && stray.send === send && sameEndpoint(stray.from, server),
  );
  const heard = responses.find(({ socket }) => socket === owner.socket);
  if (heard !== undefined) return { kind: 'heard', atMs: heard.atMs };
  if (companionAddress !== owner.mapped.address) return { kind: 'void' };
  const elsewhere =
    responses[0] ??
    series.replies.find(
      (reply) => reply.kind === 'response' && reply.send === send && sameEndpoint(reply.from, server),
    );
  if (elsewhere !== undefined) return { kind: 'reused', atMs: elsewhere.atMs };
  return silenceOf(observations, server, series, send);
}

function silenceOf(
  observations: Observations,
  server: Endpoint,
  series: BindingEvidence,
  send: number,
): QuestionOutcome {
  const { nowMs, lossAfterMs } = observations;
  const { atMs } = series.sends[send]!;
  const receipt = series.replies.find(
    (reply) => reply.kind === 'receipt' && reply.send === send && sameEndpoint(reply.from, server),
  );
  if (receipt?.kind === 'receipt') {
    const waitMs = waitAfterReceiptMs(observations, server, server, receipt.relayDelayMs);
    const untilMs = waitMs === undefined ? undefined : receipt.atMs + waitMs;
    const isOver = untilMs !== undefined && nowMs >= untilMs;
    return isOver ? { kind: 'silent', atMs: receipt.atMs } : { kind: 'awaiting', untilMs };
  }
  const lossAtMs = lossAfterMs === undefined ? undefined : atMs + lossAfterMs;
  if (lossAtMs === undefined || nowMs < lossAtMs) return { kind: 'awaiting', untilMs: lossAtMs };
  if (!lacksReceipts(observations, server)) return { kind: 'void' };
  const controls = observations.series.filter(
    (item) => isPlain(item) && item.socket === series.socket && sameEndpoint(item.to, server),
  );
  const answeredMs = controls.flatMap((item) => item.replies.map((reply) => item.sends[reply.send]!.atMs));
  return isBeside(observations, atMs, answeredMs) ? { kind: 'silent', atMs: lossAtMs } : { kind: 'void' };
}

/** That a mapping was found gone, and by when. */
export interface Gone {
  readonly atMs: number;
  readonly confidence: number;
  /** Responses known to have been sent; 0 where another socket was found to have the port. */
  readonly silent: number;
}

/** Whether the latest questions show that the mapping is gone, and the first of them that suffice; undefined while they don't. */
export function findGone({ path, run }: Observations, { questions, displacedMs }: Trial): Gone | undefined {
  const lastHeard = questions.findLastIndex(({ outcome }) => outcome.kind === 'heard');
  const silentMs: number[] = [];
  let goneMs: number | undefined;
  for (const { atMs, outcome } of questions.slice(lastHeard + 1)) {
    if (outcome.kind === 'reused') return { atMs: outcome.atMs, confidence: 1, silent: 0 };
    if (outcome.kind !== 'silent') continue;
    silentMs.push(atMs);
    const isEnough =
      1 - chanceAllLost(silentMs.length, path) >= REQUIRED_CONFIDENCE &&
      countSlots(silentMs, run.paceMs) >= MIN_SILENT_SLOTS;
    if (isEnough) goneMs ??= outcome.atMs;
  }
  if (goneMs === undefined)
    return displacedMs === undefined ? undefined : { atMs: displacedMs, confidence: 1, silent: 0 };
  const silent = silentMs.length;
  return { atMs: goneMs, confidence: 1 - chanceAllLost(silent, path), silent };
}
