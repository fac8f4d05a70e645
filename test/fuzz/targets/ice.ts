import {
  MOST_CONTROLS,
  MOST_PATH_CHECKS,
  SESSION_MS,
  type SessionAction,
  MOST_TEST_SENDS,
} from '../../../server/ice/browser-session.ts';
import { type Endpoint, formatEndpoint } from '../../../shared/endpoint.ts';
import { decodeOffer } from '../../../shared/ice/sdp.ts';
import { SERVER_ROLES } from '../../../shared/role.ts';
import { Random } from '../../sim/random.ts';
import { browserCheck, decoded, browserResponse, type HandMadePage, openPage } from '../../support/ice.ts';
import { ensure, type FuzzTarget } from '../target.ts';

const SEED = 7;
/** Who has proven that he hears what he is sent is sent so many packets at most, besides one for each of his. */
const MOST_UNASKED = 2 * MOST_TEST_SENDS + MOST_CONTROLS + MOST_PATH_CHECKS;
const PACE_MS = 20;
const MOST_DATAGRAMS = 64;

/**
 * Datagrams one after the other, each with a byte that says whence and where to, and its length in two. Where
 * that is 0, the browser is there, and answers the last check that it was sent.
 */
export const ICE: FuzzTarget = {
  name: 'ice',
  invariant:
    'no datagram makes a session throw, nobody is sent more than came from him before he has answered, nor without end after that, and no session outlives its time',
  seeds: () => [
    conversation(),
    Buffer.from('v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n'),
  ],
  check(input) {
    const offer = decodeOffer(Buffer.from(input).toString());
    ensure(typeof offer !== 'string' || offer.length > 0, 'an offer is refused without a reason');
    const exchange = new Exchange(openPage(SEED));
    for (let at = 0, count = 0; at + 3 <= input.length && count < MOST_DATAGRAMS; count++) {
      const length = (input[at + 1]! << 8) | input[at + 2]!;
      exchange.deliver(input[at]!, input.slice(at + 3, at + 3 + length));
      at += 3 + length;
    }
    exchange.end();
  },
};

class Exchange {
  private readonly page: HandMadePage;
  private readonly tallies = new Map<string, { packets: number; bytes: number }>();
  private now = 0;
  private readonly checks = new Map<string, SessionAction>();
  private readonly proven = new Set<string>();

  constructor(page: HandMadePage) {
    this.page = page;
  }

  deliver(selector: number, given: Uint8Array): void {
    const from = sourceOf(selector);
    const bytes = given.length > 0 ? given : this.answerFrom(from);
    const tally = this.tallyOf(from);
    tally.packets++;
    tally.bytes += bytes.length;
    this.page.sessions.handleDatagram(SERVER_ROLES[selector & 3]!, bytes, from, this.now);
    this.collect();
    this.wait(PACE_MS);
  }

  end(): void {
    this.wait(SESSION_MS + 2000);
    ensure(this.page.sessions.size === 0, 'a session outlives its time');
    ensure(this.page.sessions.pollTimeout() === undefined, 'something is awaited of no session');
  }

  private answerFrom(source: Endpoint): Uint8Array {
    const check = this.checks.get(formatEndpoint(source));
    if (check === undefined) return new Uint8Array(0);
    this.proven.add(formatEndpoint(source));
    return browserResponse(decoded(check.bytes), check.to, this.page.connections[0]!);
  }

  private wait(ms: number): void {
    const until = this.now + ms;
    const { sessions } = this.page;
    for (let due = sessions.pollTimeout(); due !== undefined && due <= until; due = sessions.pollTimeout()) {
      this.now = Math.max(this.now, due);
      sessions.handleTimeout(this.now);
      this.collect();
    }
    this.now = until;
  }

  private collect(): void {
    const { sessions } = this.page;
    while (sessions.pollEvent() !== undefined);
    for (let action = sessions.pollAction(); action; action = sessions.pollAction()) {
      const tally = this.tallyOf(action.to);
      tally.packets--;
      tally.bytes -= action.bytes.length;
      const to = formatEndpoint(action.to);
      if (action.transactionId !== undefined) this.checks.set(to, action);
      const isProven = this.proven.has(to);
      ensure(tally.packets >= (isProven ? -MOST_UNASKED : 0), `too many packets to ${to}`);
      ensure(isProven || tally.bytes >= 0, `more bytes to ${to} than came from there`);
      decoded(action.bytes);
    }
  }

  private tallyOf(endpoint: Endpoint): { packets: number; bytes: number } {
    const key = formatEndpoint(endpoint);
    const tally = this.tallies.get(key) ?? { packets: 0, bytes: 0 };
    this.tallies.set(key, tally);
    return tally;
  }
}

function sourceOf(selector: number): Endpoint {
  return { address: '192.0.2.66', port: (selector >> 2) * 1000 };
}

/** Checks on each connection, from two places, which the first one's browser answers in between. */
function conversation(): Uint8Array {
  const page = openPage(SEED);
  // Not the page's own: from the same one the server draws its transaction ids.
  const random = new Random(SEED + 1);
  const datagrams = page.connections.flatMap((connection) => [
    browserCheck({ random }, connection),
    new Uint8Array(0),
    browserCheck({ random }, connection),
  ]);
  const parts = datagrams.map((bytes, index) => {
    const selector = 4 * (1 + Math.floor(index / 6)) + (index === 0 ? 0 : index & 3);
    return Buffer.concat([Uint8Array.of(selector, bytes.length >> 8, bytes.length), bytes]);
  });
  return Uint8Array.from(Buffer.concat(parts));
}
