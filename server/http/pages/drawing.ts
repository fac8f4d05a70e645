/** Draws which packets came through: one picture of what left, one of what came in. */
import { type Endpoint, formatEndpoint } from '../../../shared/endpoint.ts';
import type { Verdict } from '../../../shared/nat/verdict.ts';
import type { InboundPassage, OutboundPassage, Passages } from '../../../shared/nat/passages.ts';
import { listWords } from '../../../shared/words.ts';
import { html, type Html } from './html.ts';

export interface DrawingOptions {
  /** What stands at the inner end. */
  readonly who: 'browser' | 'machine';
  readonly verdict: Verdict;
}

/** Undefined where there is nothing to draw. */
export function renderPassages(passages: Passages, options: DrawingOptions): Html | undefined {
  if (passages.out.length === 0) return undefined;
  return html`<div class="drawings">
    ${drawOutbound(passages.out, options)}${drawInbound(passages.in, options)}
  </div>`;
}

// In units of the picture, which is as wide as a phone.
const WIDTH = 360;
const INNER = 66;
const NAT_FROM = 144;
const NAT_TO = 184;
const OUTER = 292;
const TOP = 14;
const ADDRESS_HEIGHT = 22;
const ROW_HEIGHT = 30;

function drawOutbound(passages: readonly OutboundPassage[], options: DrawingOptions): Html {
  const seen = passages.flatMap(({ seenAs }) => (seenAs === undefined ? [] : [formatEndpoint(seenAs)]));
  const distinct = [...new Set(seen)];
  const lines = placeRows(passages).map(({ passage, y }) => {
    const { seenAs } = passage;
    if (seenAs === undefined) return stoppedLine(INNER, NAT_FROM, y);
    const colour = distinct.indexOf(formatEndpoint(seenAs)) % 4;
    return html`<g class="wire seen-${colour}">
      <path d="M${INNER} ${y}H${NAT_FROM}M${NAT_TO} ${y}H${OUTER - 7}" />
      ${arrowTo(OUTER, y, 'right')}
      <text x="${(NAT_TO + OUTER) / 2 - 4}" y="${y - 5}" class="middle">:${seenAs.port}</text>
    </g>`;
  });
  return figure({
    title: 'Going out',
    summary: summariseOutbound(passages, distinct),
    details: passages.map(({ endpoint, seenAs }) =>
      seenAs === undefined
        ? `To ${formatEndpoint(endpoint)}: nothing is known to have arrived.`
        : `To ${formatEndpoint(endpoint)}: arrived, seen as ${formatEndpoint(seenAs)}.`,
    ),
    picture: html`${frame(passages, options)}${lines}`,
    height: heightOf(passages),
  });
}

function drawInbound(passages: readonly InboundPassage[], options: DrawingOptions): Html {
  const lines = placeRows(passages).map(({ passage: { sent, heard, asked }, y }) => {
    if (sent === 0 && !heard)
      return html`<text x="${(NAT_TO + OUTER) / 2}" y="${y + 4}" class="middle faint">not tried</text>`;
    const label = html`<text x="${(NAT_TO + OUTER) / 2 + 4}" y="${y - 5}" class="middle"
      >${asked ? 'answer' : 'unasked'}</text
    >`;
    if (!heard) return html`${stoppedLine(OUTER, NAT_TO, y)}${label}`;
    return html`<g class="wire heard">
      <path d="M${OUTER} ${y}H${NAT_TO}M${NAT_FROM} ${y}H${INNER + 7}" />
      ${arrowTo(INNER, y, 'left')} ${label}
    </g>`;
  });
  return figure({
    title: 'Coming in',
    summary: summariseInbound(passages),
    details: passages.map(describeInbound),
    picture: html`${frame(passages, options)}${lines}`,
    height: heightOf(passages),
  });
}

interface Figure {
  readonly title: string;
  readonly summary: string;
  readonly details: readonly string[];
  readonly picture: Html;
  readonly height: number;
}

function figure({ title, summary, details, picture, height }: Figure): Html {
  return html`<figure>
    <h3>${title}</h3>
    <svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}: ${summary}">${picture}</svg>
    <figcaption>
      <p>${summary}</p>
      ${
        details.length > 0 &&
        html`<details>
          <summary>${title}, packet by packet</summary>
          <ul>
            ${details.map((text) => html`<li>${text}</li>`)}
          </ul>
        </details>`
      }
    </figcaption>
  </figure>`;
}

interface Row<Passage> {
  readonly passage: Passage;
  readonly y: number;
  /** Set on the first row of an address. */
  readonly address?: string;
}

function placeRows<Passage extends { readonly endpoint: Endpoint }>(
  passages: readonly Passage[],
): Row<Passage>[] {
  let y = TOP;
  let last: string | undefined;
  return passages.map((passage) => {
    const { address } = passage.endpoint;
    const isFirst = address !== last;
    last = address;
    if (isFirst) y += ADDRESS_HEIGHT;
    const row = { passage, y: y + ROW_HEIGHT / 2 - 4, ...(isFirst && { address }) };
    y += ROW_HEIGHT;
    return row;
  });
}

function heightOf(passages: readonly { readonly endpoint: Endpoint }[]): number {
  const addresses = new Set(passages.map(({ endpoint }) => endpoint.address)).size;
  return Math.max(90, TOP + addresses * ADDRESS_HEIGHT + passages.length * ROW_HEIGHT + 4);
}

/** Both ends and what is between them. */
function frame(passages: readonly { readonly endpoint: Endpoint }[], { who, verdict }: DrawingOptions): Html {
  const height = heightOf(passages) - TOP - 8;
  const between = nameBetween(verdict);
  const middle = TOP + 4 + height / 2;
  const x = (NAT_FROM + NAT_TO) / 2;
  return html`<rect class="box" x="1" y="${TOP + 4}" width="${INNER - 1}" height="${height}" rx="8" />
    <text x="${INNER / 2}" y="${middle + 4}" class="middle strong">${who}</text>
    <rect class="nat" x="${NAT_FROM}" y="${TOP + 4}" width="${NAT_TO - NAT_FROM}" height="${height}" rx="8" />
    <text x="${x}" y="${middle}" class="middle strong" transform="rotate(-90 ${x} ${middle})" dy="4"
      >${between}</text
    >
    ${placeRows(passages).map(
      ({ passage, y, address }) =>
        html`${
            address !== undefined &&
            html`<text x="${WIDTH - 1}" y="${y - 20}" class="end faint">${address}</text>`
          }
          <rect class="box" x="${OUTER}" y="${y - 11}" width="${WIDTH - OUTER - 1}" height="22" rx="6" />
          <text x="${(OUTER + WIDTH) / 2}" y="${y + 4}" class="middle">:${passage.endpoint.port}</text>`,
    )}`;
}

function nameBetween({ type, mapping }: Verdict): string {
  if (type === 'udp-blocked') return 'blocked';
  if (type === 'open') return 'no NAT';
  if (type === 'symmetric-firewall') return 'firewall';
  return mapping === 'unknown' ? 'NAT?' : mapping === 'none' ? 'firewall?' : 'NAT';
}

function stoppedLine(from: number, to: number, y: number): Html {
  const end = to > from ? to - 8 : to + 8;
  return html`<g class="wire stopped">
    <path d="M${from} ${y}H${end}" stroke-dasharray="4 4" />
    <path d="M${end - 5} ${y - 5}l10 10m0 -10l-10 10" />
  </g>`;
}

function arrowTo(x: number, y: number, direction: 'left' | 'right'): Html {
  const back = direction === 'right' ? x - 9 : x + 9;
  return html`<path class="head" d="M${x} ${y}L${back} ${y - 5}V${y + 5}Z" />`;
}

function summariseOutbound(passages: readonly OutboundPassage[], distinct: readonly string[]): string {
  const arrived = passages.filter(({ seenAs }) => seenAs !== undefined).length;
  if (arrived === 0) return 'Nothing is known to have arrived at the server.';
  const places =
    passages.length === 1 ? 'the server’s endpoint' : `${passages.length} endpoints of the server`;
  const where =
    arrived === passages.length ? `All arrived, at ${places}` : `${arrived} of ${passages.length} arrived`;
  return distinct.length === 1
    ? `${where}, from one public endpoint: ${distinct[0]!}.`
    : `${where}, from ${distinct.length} public endpoints: ${listWords(distinct)}.`;
}

function summariseInbound(passages: readonly InboundPassage[]): string {
  const [asked] = passages.filter((passage) => passage.asked);
  const unasked = passages.filter((passage) => !passage.asked && passage.sent > 0);
  if (asked === undefined || unasked.length === 0) return 'Who gets in was not tried.';
  const heard = unasked.filter((passage) => passage.heard);
  const address = asked.endpoint.address;
  if (heard.some(({ endpoint }) => endpoint.address !== address))
    return 'A packet came in from an address that nothing had been sent to.';
  if (heard.length > 0)
    return 'A packet came in from another port of an address that was sent to, and none from another address.';
  if (!asked.heard) return 'Nothing came in.';
  return 'Only the endpoint that had been sent to could answer; nothing unasked came in.';
}

function describeInbound({ endpoint, asked, sent, heard }: InboundPassage): string {
  const from = `From ${formatEndpoint(endpoint)}`;
  if (sent === 0 && !heard) return `${from}: not tried.`;
  const how = asked ? 'which had been sent to' : 'which nothing had been sent to';
  return `${from}, ${how}: ${heard ? 'came in' : `${sent} sent, none came in`}.`;
}
