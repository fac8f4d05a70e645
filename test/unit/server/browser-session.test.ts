/** One measurement, step by step: which packet draws which, exactly. */
import { describe, expect, it } from 'vitest';
import { MOST_ASKED_AGAIN, MOST_TEST_SENDS, SESSION_MS } from '../../../server/ice/browser-session.ts';
import type { TableEvent } from '../../../server/ice/session-table.ts';
import { recogniseIce } from '../../../server/ice/recognise.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { iceCredentials } from '../../../shared/ice/credentials.ts';
import type { IceBrowserStats } from '../../../shared/nat/ice-evidence.ts';
import { judge } from '../../../shared/nat/judge.ts';
import { AA, AP, PA, PP, type ServerRole } from '../../../shared/role.ts';
import { ERROR_CODE } from '../../../shared/stun/attributes/error.ts';
import { encodeMessage } from '../../../shared/stun/message.ts';
import {
  browserCheck,
  browserResponse,
  decoded,
  type HandMadePage,
  offerOf,
  openPage,
  openSessions,
  SERVER_ENDPOINTS,
} from '../../support/ice.ts';

const SOURCE: Endpoint = { address: '198.51.100.7', port: 40_000 };
const OTHER: Endpoint = { address: '198.51.100.8', port: 40_000 };
const STATS: IceBrowserStats = { localCandidates: 1, pairs: 1, checksSent: 40, localType: 'prflx' };

/** What the server sends, as `from>to class`, and each check that it sent. */
function collect({ sessions }: HandMadePage): {
  lines: string[];
  checks: { role: ServerRole; bytes: Uint8Array }[];
} {
  const lines: string[] = [];
  const checks: { role: ServerRole; bytes: Uint8Array }[] = [];
  for (let action = sessions.pollAction(); action; action = sessions.pollAction()) {
    const { role, to, bytes } = action;
    lines.push(`${['PP', 'PA', 'AP', 'AA'][role]!}>${to.address}:${to.port} ${decoded(bytes).class}`);
    if (decoded(bytes).class === 'request') checks.push({ role, bytes });
  }
  return { lines, checks };
}

function proven(page: HandMadePage): void {
  const [filtering] = page.connections;
  page.sessions.handleDatagram(PP, browserCheck(page, filtering!), SOURCE, 10);
  const [control] = collect(page).checks;
  page.sessions.handleDatagram(
    PP,
    browserResponse(decoded(control!.bytes), SERVER_ENDPOINTS[0], filtering!),
    SOURCE,
    30,
  );
}

/** A proven page that has been seen at all endpoints, and answered the check of the path from the other address. */
function openMappedPage(): HandMadePage {
  const page = openPage(1);
  proven(page);
  collect(page);
  for (const connection of page.connections.slice(1))
    for (const role of [PP, PA, AP, AA])
      page.sessions.handleDatagram(role, browserCheck(page, connection), SOURCE, 40);
  for (const { role, bytes } of collect(page).checks)
    for (const connection of page.connections)
      page.sessions.handleDatagram(
        role,
        browserResponse(decoded(bytes), SERVER_ENDPOINTS[role], connection),
        SOURCE,
        50,
      );
  return page;
}

/** Runs the timers until `untilMs`; checks for which `answers` says so are answered at once. */
function runUntil(page: HandMadePage, untilMs: number, answers: (role: ServerRole) => boolean): string[] {
  const lines: string[] = [];
  for (;;) {
    const due = page.sessions.pollTimeout();
    if (due === undefined || due > untilMs) return lines;
    page.sessions.handleTimeout(due);
    const sent = collect(page);
    lines.push(...sent.lines.map((line) => `${due} ${line}`));
    for (const { role, bytes } of sent.checks)
      if (answers(role))
        page.sessions.handleDatagram(
          role,
          browserResponse(decoded(bytes), SERVER_ENDPOINTS[role], page.connections[0]!),
          SOURCE,
          due,
        );
  }
}

describe('until the round trip is proven', () => {
  it('a check draws one check of ours, and nothing else', () => {
    const page = openPage(1);
    const check = browserCheck(page, page.connections[0]!);
    expect(page.sessions.handleDatagram(PP, check, SOURCE, 10)).toBe(true);
    expect(collect(page).lines).toEqual(['PP>198.51.100.7:40000 request']);
    page.sessions.handleTimeout(200);
    expect(collect(page).lines).toEqual([]);
  });

  it('another source draws nothing, nor does a check that came in elsewhere or on a mapping connection', () => {
    const page = openPage(1);
    const [filtering, mapping] = page.connections;
    page.sessions.handleDatagram(PP, browserCheck(page, filtering!), SOURCE, 10);
    collect(page);
    page.sessions.handleDatagram(PP, browserCheck(page, filtering!), OTHER, 11);
    page.sessions.handleDatagram(PA, browserCheck(page, filtering!), SOURCE, 12);
    for (const role of [PP, PA, AP, AA])
      page.sessions.handleDatagram(role, browserCheck(page, mapping!), SOURCE, 13);
    expect(collect(page).lines).toEqual([]);
  });

  it('the server’s own endpoint draws nothing', () => {
    const page = openPage(1);
    page.sessions.handleDatagram(PP, browserCheck(page, page.connections[0]!), SERVER_ENDPOINTS[3], 10);
    expect(collect(page).lines).toEqual([]);
  });
});

describe('once it is proven', () => {
  it('the browser is answered, and checked from the other port and the other address', () => {
    const page = openPage(1);
    proven(page);
    const after = collect(page).lines;
    expect(after).toEqual([
      'PP>198.51.100.7:40000 success',
      'PA>198.51.100.7:40000 request',
      'AA>198.51.100.7:40000 request',
      'PP>198.51.100.7:40000 request',
    ]);
    const lines = runUntil(page, 400, (role) => role === PP);
    const tests = lines.filter((line) => /PA>|AA>/.test(line));
    expect(tests.map((line) => line.split(' ')[0])).toEqual([
      '80',
      '80',
      '130',
      '130',
      '180',
      '180',
      '230',
      '230',
    ]);
    expect(lines.filter((line) => line.includes('PP>'))).toHaveLength(13);
  });

  it('an error of an agent from the other port is proof that it got in', () => {
    const page = openPage(1);
    proven(page);
    const test = collect(page).checks.find(({ role }) => role === PA)!;
    const { transactionId } = decoded(test.bytes);
    const error = encodeMessage({
      class: 'error',
      transactionId,
      attributes: [ERROR_CODE.of({ code: 487 })],
    });
    // From another port: so a NAT does whose mapping depends on the port.
    page.sessions.handleDatagram(PA, error, { ...SOURCE, port: 1 }, 40);
    const lines = runUntil(page, 300, (role) => role === PP);
    expect(lines.filter((line) => line.includes('PA>'))).toEqual([]);
    expect(lines.filter((line) => line.includes('AA>'))).toHaveLength(4);
  });
});

describe('a session ends', () => {
  const stats = { filtering: STATS, mapping: STATS, 'mapping 2': STATS };

  function eventOf(page: HandMadePage): TableEvent['event'] | undefined {
    return page.sessions.pollEvent()?.event;
  }

  it('with its evidence, when all is known and the page has spoken', () => {
    const page = openMappedPage();
    runUntil(page, 1000, (role) => role === PP);
    expect(eventOf(page)).toBeUndefined();
    page.sessions.handleBrowser(page.id, stats, 1001);
    const event = eventOf(page)!;
    expect(event.kind).toBe('measured');
    if (event.kind !== 'measured') return;
    expect(judge(event.evidence).verdict).toMatchObject({
      type: 'port-restricted-cone',
      mapping: 'endpoint-independent',
      filtering: 'address-and-port-dependent',
    });
    expect(page.sessions.size).toBe(0);
    expect(page.sessions.handleDatagram(PP, browserCheck(page, page.connections[0]!), SOURCE, 1002)).toBe(
      false,
    );
  });

  it('only once the silence is proven: what was lost since then is made up for', () => {
    const page = openMappedPage();
    runUntil(page, 260, (role) => role === PP);
    // With what is answered so far five sends are enough; the controls that come now are all lost.
    runUntil(page, 1000, () => false);
    page.sessions.handleBrowser(page.id, stats, 1000);
    expect(eventOf(page)).toBeUndefined();
    runUntil(page, 2500, (role) => role === PP);
    const event = eventOf(page);
    expect(event?.kind === 'measured' && judge(event.evidence).verdict.type).toBe('port-restricted-cone');
  });

  it('with the filtering untold where all that may be sent proves nothing', () => {
    const page = openMappedPage();
    page.sessions.handleBrowser(page.id, stats, 100);
    const lines = runUntil(page, 5000, () => false);
    for (const from of ['PA', 'AA'])
      expect(lines.filter((line) => line.includes(`${from}>`))).toHaveLength(MOST_TEST_SENDS - 1);
    const event = eventOf(page);
    expect(event?.kind === 'measured' && judge(event.evidence).verdict.filtering).toBe('unknown');
  });

  it('as blocked, two seconds after its beginning without a check', () => {
    const page = openPage(1);
    runUntil(page, 1900, () => false);
    page.sessions.handleBrowser(page.id, { filtering: { ...STATS, localType: 'host' } }, 1900);
    runUntil(page, 2000, () => false);
    const event = eventOf(page);
    expect(event?.kind === 'measured' && judge(event.evidence).verdict.type).toBe('udp-blocked');
  });

  it('as a browser’s policy where the browser had nothing to send from', () => {
    const page = openPage(1);
    runUntil(page, 1900, () => false);
    page.sessions.handleBrowser(page.id, { filtering: { localCandidates: 0, pairs: 0 } }, 1900);
    runUntil(page, 2000, () => false);
    const event = eventOf(page);
    expect(event?.kind === 'measured' && judge(event.evidence).verdict).toMatchObject({
      type: 'inconclusive',
      reasons: [{ code: 'browser-policy' }],
    });
  });

  it('without a word of the page, after ten seconds', () => {
    const page = openPage(1);
    proven(page);
    runUntil(page, SESSION_MS - 1, () => false);
    expect(eventOf(page)).toBeUndefined();
    runUntil(page, SESSION_MS, () => false);
    expect(eventOf(page)).toEqual({ kind: 'expired' });
    expect(() => page.sessions.handleBrowser(page.id, stats, SESSION_MS)).toThrow(/no such measurement/);
  });
});

describe('a server that stood still', () => {
  const unheard = { localCandidates: 1, pairs: 1, checksSent: 40 };
  const untold = { filtering: unheard, mapping: unheard, 'mapping 2': unheard };

  it('calls UDP blocked only once it has listened for two seconds', () => {
    const page = openPage(1);
    runUntil(page, 200, () => false);
    page.sessions.handleBrowser(page.id, untold, 2100);
    runUntil(page, 3700, () => false);
    expect(page.sessions.pollEvent()).toBeUndefined();
    runUntil(page, 3900, () => false);
    const event = page.sessions.pollEvent()?.event;
    expect(event?.kind === 'measured' && judge(event.evidence).verdict.type).toBe('udp-blocked');
  });

  it('checks a browser back for some of its checks that were waiting, and keeps checks for its tests', () => {
    const page = openPage(1);
    for (let count = 0; count < 100; count++)
      page.sessions.handleDatagram(PP, browserCheck(page, page.connections[0]!), SOURCE, 5000);
    expect(collect(page).lines).toHaveLength(40);
  });

  it('reads what was waiting before silence counts', () => {
    const page = openMappedPage();
    const [filtering] = page.connections;
    const tests: ReturnType<typeof collect>['checks'] = [];
    // Of a path that is slow: all tests are under way, and their answers come while it stands still.
    for (let due = page.sessions.pollTimeout()!; due <= 300; due = page.sessions.pollTimeout()!) {
      page.sessions.handleTimeout(due);
      for (const check of collect(page).checks) {
        const response = browserResponse(decoded(check.bytes), SERVER_ENDPOINTS[check.role], filtering!);
        if (check.role === PP) page.sessions.handleDatagram(PP, response, SOURCE, due + 1);
        else tests.push(check);
      }
    }
    page.sessions.handleBrowser(page.id, { filtering: STATS, mapping: STATS, 'mapping 2': STATS }, 2500);
    expect(page.sessions.pollEvent()).toBeUndefined();
    for (const { role, bytes } of tests)
      page.sessions.handleDatagram(
        role,
        browserResponse(decoded(bytes), SERVER_ENDPOINTS[role], filtering!),
        SOURCE,
        2510,
      );
    runUntil(page, 2700, () => false);
    const event = page.sessions.pollEvent()?.event;
    expect(event?.kind === 'measured' && judge(event.evidence).verdict.type).toBe('full-cone');
  });

  it('asks the page again, whose browser could not know yet, and a few times at most', () => {
    const page = openPage(1);
    runUntil(page, 200, () => false);
    page.sessions.handleBrowser(page.id, untold, 2400);
    page.sessions.handleDatagram(PP, browserCheck(page, page.connections[0]!), SOURCE, 2401);
    const [control] = collect(page).checks;
    const response = browserResponse(decoded(control!.bytes), SERVER_ENDPOINTS[0], page.connections[0]!);
    page.sessions.handleDatagram(PP, response, SOURCE, 2410);
    for (let asked = 1; asked <= MOST_ASKED_AGAIN; asked++) {
      runUntil(page, 4500 + 500 * asked, () => true);
      expect(page.sessions.pollEvent()?.event).toEqual({ kind: 'ask-again' });
      expect(page.sessions.size).toBe(1);
      page.sessions.handleBrowser(page.id, untold, 4500 + 500 * asked);
    }
    expect(page.sessions.pollEvent()?.event.kind).toBe('measured');
    expect(page.sessions.size).toBe(0);
  });

  it.each([
    [3000, SESSION_MS + 2900],
    [60_000, 60_000],
  ])('for %i ms lets a session last till %i', (stalledMs, endsAt) => {
    const page = openPage(1);
    page.sessions.handleTimeout(stalledMs);
    runUntil(page, endsAt - 1, () => false);
    expect(page.sessions.size).toBe(stalledMs < endsAt ? 1 : 0);
    runUntil(page, endsAt, () => false);
    expect(page.sessions.pollEvent()?.event).toEqual({ kind: 'expired' });
  });
});

it('sessions are limited, in all and for one client', () => {
  const { sessions, random } = openSessions(1, { most: 3, mostPerClient: 2 });
  const offer = offerOf(iceCredentials(random.bytes(24)));
  const begin = (client: string): unknown =>
    sessions.begin({ filtering: offer, mapping: [offer] }, client, 0);
  begin('a');
  begin('a');
  expect(() => begin('a')).toThrow(/for your address/);
  begin('b');
  expect(() => begin('b')).toThrow(/in all/);
  for (let now = 0; now <= SESSION_MS; now += 100) sessions.handleTimeout(now);
  expect(sessions.size).toBe(0);
  begin('a');
});

describe('a datagram', () => {
  it('is recognised by USERNAME or by the type of an answer, and nothing else is', () => {
    const page = openPage(1);
    const [connection] = page.connections;
    const check = browserCheck(page, connection!);
    expect(recogniseIce(check)).toEqual({ kind: 'check', ufrag: connection!.ours.ufrag });
    const response = browserResponse(decoded(check), SOURCE, connection!);
    expect(recogniseIce(response)).toEqual({ kind: 'answer', id: decoded(check).transactionId });
    for (let length = 0; length < check.length; length++) recogniseIce(check.subarray(0, length));
    expect(recogniseIce(new Uint8Array(20))).toBeUndefined();
  });

  it('of no session is left to others', () => {
    const page = openPage(1);
    const stranger = openPage(2);
    const check = browserCheck(stranger, stranger.connections[0]!);
    expect(page.sessions.handleDatagram(PP, check, SOURCE, 1)).toBe(false);
    const response = browserResponse(decoded(check), SOURCE, stranger.connections[0]!);
    expect(page.sessions.handleDatagram(PP, response, SOURCE, 1)).toBe(false);
  });
});
