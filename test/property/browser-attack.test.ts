/**
 * Nobody can make the page's server side send to somebody who did not prove that he hears it. The
 * attacker has fetched answers, so knows every credential; sends from any source address; sees
 * nothing of what is sent to addresses that aren't his own.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { MOST_TEST_SENDS, MOST_CONTROLS, MOST_PATH_CHECKS } from '../../server/ice/browser-session.ts';
import type { SessionAction } from '../../server/ice/browser-session.ts';
import { type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import { SERVER_ROLES, type ServerRole } from '../../shared/role.ts';
import { ERROR_CODE } from '../../shared/stun/attributes/error.ts';
import { XOR_MAPPED_ADDRESS } from '../../shared/stun/attributes/address.ts';
import { encodeMessage } from '../../shared/stun/message.ts';
import { browserCheck, browserResponse, decoded, type HandMadePage, openPage } from '../support/ice.ts';
import { checkProperty } from './property.ts';

/** Three victims, two of which run STUN servers, and two addresses of the attacker's own. */
const SOURCES: readonly Endpoint[] = [
  { address: '192.0.2.10', port: 5000 },
  { address: '192.0.2.11', port: 3478 },
  { address: '192.0.2.12', port: 3478 },
  { address: '192.0.2.66', port: 6000 },
  { address: '192.0.2.66', port: 6001 },
];
const STUN_SERVERS: ReadonlyMap<string, 200 | 400 | 401 | 420> = new Map([
  ['192.0.2.11', 200],
  ['192.0.2.12', 401],
]);
const ATTACKER = '192.0.2.66';

type Step =
  | {
      readonly kind: 'check';
      readonly source: number;
      readonly connection: number;
      readonly role: ServerRole;
    }
  /** A check by somebody who has not fetched an answer, and guesses the password. It entitles to nothing. */
  | { readonly kind: 'forge'; readonly source: number; readonly connection: number }
  /** An earlier datagram once more, from another source. */
  | { readonly kind: 'replay'; readonly source: number; readonly index: number; readonly role: ServerRole }
  /** The attacker's own address answers the last check that was sent there. */
  | { readonly kind: 'answer'; readonly honest: boolean }
  | { readonly kind: 'wait'; readonly ms: number };

const source = fc.nat({ max: SOURCES.length - 1 });
const role = fc.constantFrom(...SERVER_ROLES);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('check' as const),
      source,
      connection: fc.nat({ max: 2 }),
      role,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('replay' as const), source, index: fc.nat(), role }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('forge' as const), source, connection: fc.nat({ max: 2 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('answer' as const), honest: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat({ max: 400 }) }) },
);

it('no unproven address is sent more packets or bytes than came from it, and one at most is sent any', () => {
  checkProperty(
    fc.property(fc.integer({ min: 1, max: 2 ** 30 }), fc.array(step, { maxLength: 80 }), (seed, steps) => {
      const attack = new Attack(openPage(seed));
      for (const one of steps) attack.take(one);
      attack.wait(12_000);
      attack.judge();
    }),
    1500,
  );
});

it('an address that proved itself is sent a bounded number of packets', () => {
  const attack = new Attack(openPage(7));
  for (let round = 0; round < 400; round++) {
    attack.take({ kind: 'check', source: 3, connection: 0, role: 0 });
    attack.take({ kind: 'check', source: 4, connection: 1, role: 3 });
    if (round === 1) attack.take({ kind: 'answer', honest: true });
    attack.take({ kind: 'wait', ms: 20 });
  }
  attack.judge();
  const { packets, received } = attack.totalOf(ATTACKER);
  const unasked = 2 * MOST_TEST_SENDS + MOST_CONTROLS + MOST_PATH_CHECKS;
  expect(packets).toBeGreaterThan(2 * MOST_TEST_SENDS);
  expect(packets).toBeLessThanOrEqual(received + unasked);
});

class Attack {
  readonly #page: HandMadePage;
  readonly #sent: Uint8Array[] = [];
  readonly #lastCheck = new Map<string, SessionAction>();
  readonly #tally = new Map<
    string,
    { packets: number; bytes: number; received: number; receivedBytes: number }
  >();
  #proven: string | undefined;
  #tests = new Map<string, number>();
  #now = 0;

  constructor(page: HandMadePage) {
    this.#page = page;
  }

  take(one: Step): void {
    switch (one.kind) {
      case 'check': {
        const bytes = browserCheck(this.#page, this.#page.connections[one.connection]!);
        this.#sent.push(bytes);
        this.#deliver(bytes, SOURCES[one.source]!, one.role);
        return;
      }
      case 'replay': {
        const bytes = this.#sent[one.index % Math.max(1, this.#sent.length)];
        if (bytes !== undefined) this.#deliver(bytes, SOURCES[one.source]!, one.role);
        return;
      }
      case 'forge': {
        const { theirs, ours } = this.#page.connections[one.connection]!;
        const guessed = { theirs, ours: { ufrag: ours.ufrag, password: 'guessed'.repeat(4) } };
        this.#page.sessions.handleDatagram(
          0,
          browserCheck(this.#page, guessed),
          SOURCES[one.source]!,
          this.#now,
        );
        this.#collect();
        return;
      }
      case 'answer':
        this.#answer(one.honest);
        return;
      case 'wait':
        this.wait(one.ms);
    }
  }

  wait(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = this.#page.sessions.pollTimeout();
      if (due === undefined || due > until) break;
      this.#now = Math.max(this.#now, due);
      this.#page.sessions.handleTimeout(this.#now);
      this.#collect();
    }
    this.#now = until;
  }

  judge(): void {
    let unprovenSent = 0;
    for (const [key, { packets, bytes, received, receivedBytes }] of this.#tally) {
      if (key === this.#proven || key.startsWith(`${ATTACKER}:`)) continue;
      if (packets > 0) unprovenSent++;
      expect(packets, key).toBeLessThanOrEqual(received);
      expect(bytes, key).toBeLessThanOrEqual(receivedBytes);
    }
    expect(unprovenSent).toBeLessThanOrEqual(1);
    for (const [transaction, sends] of this.#tests)
      expect(sends, transaction).toBeLessThanOrEqual(MOST_TEST_SENDS);
  }

  totalOf(address: string): { packets: number; received: number } {
    const mine = [...this.#tally].filter(([key]) => key.startsWith(`${address}:`)).map(([, tally]) => tally);
    const sum = (field: 'packets' | 'received'): number => mine.reduce((total, one) => total + one[field], 0);
    return { packets: sum('packets'), received: sum('received') };
  }

  #answer(honest: boolean): void {
    const check = [...this.#lastCheck].find(([key]) => key.startsWith(`${ATTACKER}:`))?.[1];
    if (check === undefined) return;
    const bytes = honest
      ? browserResponse(decoded(check.bytes), check.to, this.#page.connections[0]!)
      : stunServerAnswer(check, 420);
    if (honest && check.role === 0) this.#proven = formatEndpoint(check.to);
    this.#deliver(bytes, check.to, check.role);
  }

  #deliver(bytes: Uint8Array, from: Endpoint, at: ServerRole): void {
    const tally = this.#tallyOf(from);
    tally.received++;
    tally.receivedBytes += bytes.length;
    this.#page.sessions.handleDatagram(at, bytes, from, this.#now);
    this.#collect();
  }

  #collect(): void {
    const { sessions } = this.#page;
    while (sessions.pollEvent() !== undefined);
    for (let action = sessions.pollAction(); action; action = sessions.pollAction()) {
      const tally = this.#tallyOf(action.to);
      tally.packets++;
      tally.bytes += action.bytes.length;
      if (action.transactionId !== undefined) {
        this.#tests.set(action.transactionId, (this.#tests.get(action.transactionId) ?? 0) + 1);
        this.#lastCheck.set(formatEndpoint(action.to), action);
      }
      const status = STUN_SERVERS.get(action.to.address);
      // What a STUN server there says is not the attacker's doing, and doesn't count as received from it.
      if (status !== undefined && action.transactionId !== undefined) {
        const answer = stunServerAnswer(action, status);
        sessions.handleDatagram(action.role, answer, action.to, this.#now);
      }
    }
  }

  #tallyOf(endpoint: Endpoint): { packets: number; bytes: number; received: number; receivedBytes: number } {
    const key = formatEndpoint(endpoint);
    let tally = this.#tally.get(key);
    if (tally === undefined)
      this.#tally.set(key, (tally = { packets: 0, bytes: 0, received: 0, receivedBytes: 0 }));
    return tally;
  }
}

/** As a server without our passwords answers a check: success or an error, unauthenticated. */
function stunServerAnswer({ bytes, to }: SessionAction, status: 200 | 400 | 401 | 420): Uint8Array {
  const { transactionId } = decoded(bytes);
  return status === 200
    ? encodeMessage({
        class: 'success',
        transactionId,
        attributes: [XOR_MAPPED_ADDRESS.of(to)],
        fingerprint: true,
      })
    : encodeMessage({ class: 'error', transactionId, attributes: [ERROR_CODE.of({ code: status })] });
}
