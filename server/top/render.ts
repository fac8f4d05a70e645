/** Draws what `natprobed top` shows: 24 lines of 79 columns, where everything keeps its place. */
import { SERVER_ROLE_NAMES } from '../../shared/role.ts';
import type { Style } from '../../shared/style.ts';
import { formatMs, plainLine } from '../../shared/words.ts';
import { cutLine } from './cut-line.ts';
import { formatAmount, formatBytes, formatSpan } from './numbers.ts';
import type { Count } from './readings.ts';
import type { Counts, LaneView, TopView } from './view.ts';

/** One less than a terminal of 80 has: whoever erases to the end of a line after its last column erases that. */
export const COLUMNS = 79;
const TABLE_ROWS = 8;
/** More lanes than that are drawn as a digit each. */
const MOST_LANE_ROWS = 4;
const BAR_COLUMNS = 20;
const LABEL_COLUMNS = 9;
const KIND_COLUMNS = 17;
const ROLE_COLUMNS = 8;
const GAP_COLUMNS = 3;
const REASON_COLUMNS = 13;
const COUNT_COLUMNS = 7;
/** Shares of the time from which on a bar says: soon it is too much, and it is. */
const FAIR_SHARE = 0.6;
const BAD_SHARE = 0.85;

export interface Surroundings {
  /** Where the view is from. */
  readonly server: string;
  /** What else there is to say, in the line that is empty otherwise. */
  readonly notice: string;
  readonly style: Style;
}

/** No line is longer than COLUMNS, and there are 24 at most. */
export function renderTop(view: TopView, { server, notice, style }: Surroundings): string[] {
  const together = renderTogether(view, style);
  const lines = [
    renderHeader(view, server, style),
    renderUdp(view, style),
    notice,
    ...renderTables(view, style),
    // Whoever has other servers has no empty line.
    ...(together.length > 0 ? together : ['']),
    ...renderLanes(view, style),
    ...renderRows(view, style),
  ];
  return lines.map((line) => cutLine(line, COLUMNS));
}

function renderHeader(
  { version, upSeconds, intervalSeconds }: TopView,
  server: string,
  style: Style,
): string {
  const over = intervalSeconds === undefined ? 'no rates yet' : `rates over ${intervalSeconds.toFixed(1)} s`;
  const right = `${upSeconds === undefined ? '' : `up ${formatSpan(upSeconds)}, `}${over}`;
  const left = plainLine(`natprobed ${version} at ${server}`, COLUMNS - right.length - 2);
  return style.bold(left) + right.padStart(COLUMNS - left.length);
}

function renderUdp({ udp: { messages, requestBytes, answerBytes, sent } }: TopView, style: Style): string {
  const cameIn = requestBytes.perSecond ?? 0;
  const factor = cameIn === 0 ? '-' : ((answerBytes.perSecond ?? 0) / cameIn).toFixed(2);
  const rate = (count: Count): string => `${rateOf(count).padStart(6)}/s`;
  const bytes = ({ perSecond }: Count): string =>
    (perSecond === undefined ? '-' : `${formatBytes(perSecond)}/s`).padStart(11);
  return row(
    'UDP',
    `in ${rate(messages)} ${bytes(requestBytes)}  out ${rate(sent)} ${bytes(answerBytes)}  bytes out/in ${factor}`,
    style,
  );
}

/** On the left answers by kind and role, on the right what drew none. */
function renderTables({ udp }: TopView, style: Style): string[] {
  const heads =
    cell('answers/s', KIND_COLUMNS) +
    SERVER_ROLE_NAMES.map((role) => role.padStart(ROLE_COLUMNS)).join('') +
    ' '.repeat(GAP_COLUMNS) +
    cell('no answer', REASON_COLUMNS) +
    '/s'.padStart(COUNT_COLUMNS) +
    'all'.padStart(COUNT_COLUMNS);
  const answers = shownOf(Object.entries(udp.answers), ['binding', 'change'], (roles) =>
    Object.values(roles).some(({ total }) => total > 0),
  ).map(
    ([kind, roles]) =>
      cell(kind, KIND_COLUMNS) +
      SERVER_ROLE_NAMES.map((role) => rateOf(roles[role]).padStart(ROLE_COLUMNS)).join(''),
  );
  const drops = shownOf(
    Object.entries(udp.drops),
    ['kernel', 'rate-limit', 'malformed', 'not-stun'],
    ({ total }) => total > 0,
  ).map(([reason, count]) => {
    const rate = rateOf(count).padStart(COUNT_COLUMNS);
    const isNow = count.perSecond !== undefined && count.perSecond > 0;
    const paint = isNow ? (reason === 'kernel' ? style.bad : style.fair) : style.dim;
    return paint(cell(reason, REASON_COLUMNS) + rate + formatAmount(count.total).padStart(COUNT_COLUMNS));
  });
  const left = KIND_COLUMNS + SERVER_ROLE_NAMES.length * ROLE_COLUMNS;
  const rows = Array.from({ length: TABLE_ROWS }, (_, index) => {
    const answer = (answers[index] ?? '').padEnd(left);
    return drops[index] === undefined ? answer.trimEnd() : answer + ' '.repeat(GAP_COLUMNS) + drops[index];
  });
  return [style.bold(heads), ...rows];
}

/** Those that are always shown and those of which there have been some, as many as there are rows. */
function shownOf<Item>(
  all: readonly (readonly [string, Item])[],
  always: readonly string[],
  isThere: (item: Item) => boolean,
): (readonly [string, Item])[] {
  return all.filter(([name, item]) => always.includes(name) || isThere(item)).slice(0, TABLE_ROWS);
}

function renderLanes({ lanes, laneRestarts }: TopView, style: Style): string[] {
  if (lanes.length === 0) return [row('lanes', 'none: the main thread answers UDP', style)];
  const restarts = laneRestarts.total === 0 ? '' : `, ${formatAmount(laneRestarts.total)} restarts`;
  if (lanes.length > MOST_LANE_ROWS) return renderManyLanes(lanes, restarts, style);
  return lanes.map(({ lane, utilisation, datagrams, kernelDrops }, index) => {
    const lost = `${rateOf(kernelDrops).padStart(6)}/s lost`;
    const work = `${bar(utilisation, style)} ${rateOf(datagrams).padStart(6)}/s`;
    const isLosing = (kernelDrops.perSecond ?? 0) > 0;
    const text = `${work} ${isLosing ? style.bad(lost) : lost}${index === 0 ? restarts : ''}`;
    return row(`lane ${plainLine(lane, 3)}`, text, style);
  });
}

/** A digit a lane: how many tenths of the time it worked; `-` where that isn't known, `X` for a lane that loses. */
function renderManyLanes(lanes: readonly LaneView[], restarts: string, style: Style): string[] {
  const known = lanes.flatMap(({ lane, utilisation }) =>
    utilisation === undefined ? [] : [{ lane, utilisation }],
  );
  const [busiest] = known.toSorted((a, b) => b.utilisation - a.utilisation);
  const lost = lanes.reduce((sum, { kernelDrops }) => sum + (kernelDrops.perSecond ?? 0), 0);
  const most = busiest === undefined ? '' : `, busiest ${busiest.lane}: ${percent(busiest.utilisation)}`;
  const summary = `${lanes.length} in tenths${most}, ${formatAmount(lost)}/s lost${restarts}`;
  const digits = lanes
    .map(({ utilisation, kernelDrops }) => {
      if ((kernelDrops.perSecond ?? 0) > 0) return 'X';
      return utilisation === undefined ? '-' : String(Math.min(9, Math.floor(10 * utilisation)));
    })
    .join('');
  const rows = Array.from({ length: MOST_LANE_ROWS - 1 }, (_, index) =>
    digits.slice(index * COLUMNS, (index + 1) * COLUMNS),
  );
  return [row('lanes', summary, style), ...rows.filter((text) => text !== '')];
}

function renderRows(view: TopView, style: Style): string[] {
  const { mainThread, tcp, http, broker, browsers, reports } = view;
  const late =
    mainThread.lagSeconds === undefined ? '' : `  late by ${formatMs(1000 * mainThread.lagSeconds)} (99 %)`;
  const took = http.meanSeconds === undefined ? '' : `, ${formatMs(1000 * http.meanSeconds)} each`;
  const limited = `limited ${rateOf(http.rateLimited)}/s`;
  const statuses = Object.entries(http.statuses).map(
    ([status, { total }]) => `${status} ${formatAmount(total)}`,
  );
  return [
    row('main', bar(mainThread.utilisation, style) + late, style),
    row('process', describeProcess(view), style),
    row('TCP, TLS', `${rateOf(tcp.messages)}/s asked; ${listCounts(tcp.events)}`, style),
    row(
      'HTTP',
      [
        `${rateOf(http.requests)}/s${took}`,
        (http.rateLimited.perSecond ?? 0) > 0 ? style.fair(limited) : limited,
        statuses.join(', ') || 'nothing asked yet',
      ].join('; '),
      style,
    ),
    row(
      'broker',
      `peers ${formatAmount(broker.peers)}, connections ${formatAmount(broker.connections)}; ${listCounts(broker.events)}`,
      style,
    ),
    row('punches', listCounts(broker.punches), style),
    row(
      'reports',
      `${formatAmount(reports.total)}, ${rateOf(reports)}/s; browsers ${formatAmount(browsers.live)}, ${listCounts(browsers.events)}`,
      style,
    ),
  ];
}

function describeProcess({ process: { cpu, residentBytes, heapBytes, openFiles } }: TopView): string {
  return [
    `${cpu === undefined ? '-' : cpu.toFixed(2)} cores`,
    ...(residentBytes === undefined ? [] : [`${formatBytes(residentBytes)} resident`]),
    ...(heapBytes === undefined ? [] : [`${formatBytes(heapBytes)} heap`]),
    ...(openFiles === undefined ? [] : [`${formatAmount(openFiles)} files open`]),
  ].join(', ');
}

/** In one line: NATS, what brokers ask of each other over it, and the other host of a pair. */
function renderTogether({ nats, pair }: TopView, style: Style): string[] {
  if (nats === undefined) return [];
  const { isUp, hasNames, requests } = nats;
  const words = [isUp ? 'connected' : style.bad('lost')];
  if (hasNames !== undefined) {
    words.push(hasNames ? 'names there' : style.bad('names lost'));
    words.push(`asked: ${listCounts(requests)}`);
  }
  if (pair !== undefined) {
    const { isThere, roundTripSeconds, relays } = pair;
    words.push(isThere ? `partner in ${formatMs(1000 * roundTripSeconds)}` : style.bad('partner lost'));
    words.push(`relays: ${listCounts(relays)}`);
  }
  return [row('NATS', words.join('; '), style)];
}

/** `[#####.....]  43 %`. */
function bar(share: number | undefined, { good, fair, bad }: Style): string {
  if (share === undefined) return `[${' '.repeat(BAR_COLUMNS)}]     -`;
  const filled = Math.round(share * BAR_COLUMNS);
  const paint = share >= BAD_SHARE ? bad : share >= FAIR_SHARE ? fair : good;
  return `[${paint('#'.repeat(filled))}${'.'.repeat(BAR_COLUMNS - filled)}] ${percent(share).padStart(5)}`;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** Those of which there have been some. */
function listCounts(counts: Counts): string {
  const some = Object.entries(counts).filter(([, { total }]) => total > 0);
  return (
    some.map(([name, { total }]) => `${plainLine(name, COLUMNS)} ${formatAmount(total)}`).join(', ') || 'none'
  );
}

function rateOf({ perSecond }: Count): string {
  return perSecond === undefined ? '-' : formatAmount(perSecond);
}

function row(label: string, text: string, { bold }: Style): string {
  return bold(label.padEnd(LABEL_COLUMNS)) + text;
}

/** What a server says, in so many columns. */
function cell(text: string, columns: number): string {
  return plainLine(text, columns).padEnd(columns);
}
