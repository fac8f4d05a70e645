/** Punches and peers, for people. Texts of others are made harmless to a terminal. */
import type { BrokerPeer, PlannedPrediction } from '../../../shared/broker/messages.ts';
import { NAME_LENGTH, TEXT_LENGTH } from '../../../shared/broker/names.ts';
import { TYPE_NAMES } from '../../../shared/nat/names.ts';
import { formatConfidence, formatMs, plainLine } from '../../../shared/words.ts';
import type { PunchReport } from '../../hole.ts';
import type { MembershipEvent } from '../../join.ts';
import { layoutRow } from './layout.ts';
import { STRATEGY_WORDS } from './strategies.ts';
import type { Style } from '../../../shared/style.ts';

interface PunchUnderWay {
  readonly predicted: PlannedPrediction;
  readonly attempt: number;
}

/** The first line is `Punch: <outcome>`. Ends with a newline. */
export function renderPunch(report: PunchReport, style: Style): string {
  const { peer, path, endpoints, timing, predicted, reason, relay } = report;
  const rows: readonly (readonly [label: string, text: string | undefined])[] = [
    ['Peer', describePeer(peer)],
    ['Path', path && `${PATH_WORDS[path]}, ${report.transport.toUpperCase()}`],
    ['Local', endpoints.local],
    ['Remote', endpoints.remote],
    ['Round trip', timing.rttMs === undefined ? undefined : formatMs(timing.rttMs)],
    ['Predicted', predicted.outcome === 'relay' ? undefined : describePrediction(predicted)],
    ['Why', reason && plainLine(reason, TEXT_LENGTH)],
    ['Relayed at', endpoints.relayed],
    ['Relay', relay?.urls.map((url) => plainLine(url, TEXT_LENGTH)).join('\n')],
  ];
  const lines = rows.flatMap(([label, text]) =>
    text === undefined ? [] : layoutRow(label, text, style.dim),
  );
  return [nameOutcome(report, style), '', ...lines, ''].join('\n');
}

/** `Punch: open by …`: the first line, and the only one where there is no room for more. */
export function nameOutcome(report: PunchReport, style: Style): string {
  return `${style.bold('Punch:')} ${summarisePunch(report, style)}`;
}

/** In one line: how the hole was opened, in how many packets and milliseconds, and what had been predicted. */
export function summarisePunch(
  { outcome, strategy, predicted, packets, attempts, timing }: PunchReport,
  style: Style,
): string {
  const how = outcome === 'open' ? style.good(`open by ${STRATEGY_WORDS[strategy]}`) : style.bad('failed');
  const cost = [
    `${packets} ${packets === 1 ? 'packet' : 'packets'}`,
    formatMs(timing.totalMs),
    ...(attempts > 1 ? [`${attempts} attempts`] : []),
  ];
  return `${how}, ${cost.join(', ')} (predicted: ${nameChance(predicted, strategy)})`;
}

/** `punching by simultaneous sending (97.4 %), attempt 2`. */
export function describePunching({ predicted, attempt }: PunchUnderWay): string {
  const which = attempt > 1 ? `, attempt ${attempt}` : '';
  if (predicted.outcome === 'relay') return `punching, though it takes a relay${which}`;
  const { strategy, probability } = predicted;
  return `punching by ${STRATEGY_WORDS[strategy]} (${formatConfidence(probability)})${which}`;
}

/** `punching by the birthday method, 312 of 1024 guesses`. */
export function describeGuessing({
  strategy,
  sent,
  of,
}: Pick<Extract<MembershipEvent, { kind: 'guessing' }>, 'strategy' | 'sent' | 'of'>): string {
  return `punching by ${STRATEGY_WORDS[strategy]}, ${sent} of ${of} guesses`;
}

/** `bob (peer 2), port-restricted cone`. */
export function describePeer(peer: BrokerPeer): string {
  return `${namePeer(peer)}, ${TYPE_NAMES[peer.type]}`;
}

/** `bob (peer 2)`. */
export function namePeer({ name, number }: BrokerPeer): string {
  return `${plainName(name)} (peer ${number})`;
}

/** A name of a peer or a room as it can be printed. */
export function plainName(name: string): string {
  return plainLine(name, NAME_LENGTH).trim();
}

/** The first line is `Peers: <how many>`. Ends with a newline. */
export function renderPeers(room: string, peers: readonly BrokerPeer[], style: Style): string {
  const title = `${style.bold('Peers:')} ${peers.length} in room ${plainName(room)}`;
  if (peers.length === 0) return `${title}\n`;
  const names = peers.map(({ name }) => plainName(name));
  const column = Math.max(...names.map((name) => name.length));
  const digits = Math.max(...peers.map(({ number }) => String(number).length));
  const rows = peers.map(({ number, type }, index) =>
    [style.dim(String(number).padStart(digits)), names[index]!.padEnd(column), TYPE_NAMES[type]].join('  '),
  );
  return [title, '', ...rows, ''].join('\n');
}

const PATH_WORDS: Readonly<Record<NonNullable<PunchReport['path']>, string>> = {
  direct: 'direct',
  lan: 'in the same network',
  hairpin: 'by way of the NAT that both are behind',
  relay: 'by a relay',
};

function nameChance(predicted: PunchReport['predicted'], strategy: PunchReport['strategy']): string {
  if (predicted.outcome === 'relay') return 'it takes a relay';
  const chance = formatConfidence(predicted.probability);
  return predicted.strategy === strategy ? chance : `${chance} by ${STRATEGY_WORDS[predicted.strategy]}`;
}

function describePrediction({ outcome, probability, strategy }: PunchReport['predicted']): string {
  return `${outcome}, ${formatConfidence(probability)} by ${STRATEGY_WORDS[strategy]}`;
}
