import { SESSION_MS } from '../../../server/ice/browser-session.ts';
import { type Endpoint, formatEndpoint } from '../../../shared/endpoint.ts';
import { decodeOffer } from '../../../shared/ice/sdp.ts';
import { SERVER_ROLES } from '../../../shared/role.ts';
import { browserCheck, decoded, browserResponse, type HandMadePage, openPage } from '../../support/ice.ts';
import { ensure, type FuzzTarget } from '../target.ts';

const SEED = 7;
const PACE_MS = 20;
const MOST_DATAGRAMS = 64;

/** Datagrams one after the other, each with a byte that says whence and where to, and its length in two. */
export const ICE: FuzzTarget = {
  name: 'ice',
  invariant:
    'no datagram makes a session throw, nobody who has not answered is sent more than came from him, and no session outlives its time',
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

  constructor(page: HandMadePage) {
    this.page = page;
  }

  deliver(selector: number, bytes: Uint8Array): void {
    const from = sourceOf(selector);
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

  /** Transaction ids of checks can't be guessed, and so nobody ever proves anything here. */
  private collect(): void {
    const { sessions } = this.page;
    while (sessions.pollEvent() !== undefined);
    for (let action = sessions.pollAction(); action; action = sessions.pollAction()) {
      const tally = this.tallyOf(action.to);
      tally.packets--;
      tally.bytes -= action.bytes.length;
      ensure(tally.packets >= 0, `more packets to ${formatEndpoint(action.to)} than came from there`);
      ensure(tally.bytes >= 0, `more bytes to ${formatEndpoint(action.to)} than came from there`);
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

/** Checks on each connection, from two places, and an answer to nobody's check. */
function conversation(): Uint8Array {
  const page = openPage(SEED);
  const checks = page.connections.flatMap((connection) => [
    browserCheck(page, connection),
    browserCheck(page, connection),
  ]);
  const answer = browserResponse(
    decoded(checks[0]!),
    { address: '192.0.2.66', port: 1000 },
    page.connections[0]!,
  );
  const parts = [...checks, answer].map((bytes, index) =>
    Buffer.concat([
      Uint8Array.of(4 * (1 + (index >> 2)) + (index & 3), bytes.length >> 8, bytes.length),
      bytes,
    ]),
  );
  return Uint8Array.from(Buffer.concat(parts));
}
