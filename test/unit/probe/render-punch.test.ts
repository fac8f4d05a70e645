/** What is said of punches, peers and rooms: in 80 columns, and nothing in it moves a terminal's cursor. */
import { describe, expect, it } from 'vitest';
import {
  describeGuessing,
  renderPeers,
  renderPunch,
  summarisePunch,
} from '../../../probe/cli/render/punch.ts';
import { renderRoomEvent, type RoomEvent } from '../../../probe/cli/render/room-events.ts';
import { PLAIN } from '../../../shared/style.ts';
import type { PunchReport } from '../../../probe/hole.ts';
import { FAILED_PUNCH, OPEN_PUNCH } from './punch-reports.ts';

/** Clears the screen, sets the title, is of C1, turns the line around, ends the line. */
const EVIL = '\u001b[2J\u001b]0;gotcha\u0007\u009b2J\u202Eevil\r\n';
const DANGEROUS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

const AT = { schema: 'natprobe/join@1', at: '2026-01-31T12:00:01.000Z' } as const;

describe('a punch', () => {
  it('is told in one line of the usual width: how, packets, time, and what had been predicted', () => {
    expect(summarisePunch(OPEN_PUNCH, PLAIN)).toBe(
      'open by simultaneous sending, 8 packets, 84.2 ms (predicted: 97.4 %)',
    );
    expect(summarisePunch({ ...OPEN_PUNCH, strategy: 'low-ttl', packets: 1, attempts: 2 }, PLAIN)).toBe(
      'open by low-TTL first packets, 1 packet, 84.2 ms, 2 attempts (predicted: 97.4 % by simultaneous sending)',
    );
    expect(summarisePunch(FAILED_PUNCH, PLAIN)).toBe(
      'failed, 1040 packets, 3.02 s, 2 attempts (predicted: it takes a relay)',
    );
  });

  it('is told of while ports are tried', () => {
    expect(describeGuessing({ strategy: 'birthday', sent: 312, of: 1024 })).toBe(
      'punching by the birthday method, 312 of 1024 guesses',
    );
  });

  it('is told in full', () => {
    expect(renderPunch(OPEN_PUNCH, PLAIN)).toMatchInlineSnapshot(`
      "Punch: open by simultaneous sending, 8 packets, 84.2 ms (predicted: 97.4 %)

      Peer        bob (peer 2), port-restricted cone
      Path        direct, UDP
      Local       192.0.2.1:40000
      Remote      198.51.100.7:40001
      Round trip  12.9 ms
      Predicted   likely, 97.4 % by simultaneous sending
      "
    `);
    expect(renderPunch(FAILED_PUNCH, PLAIN)).toMatchInlineSnapshot(`
      "Punch: failed, 1040 packets, 3.02 s, 2 attempts (predicted: it takes a relay)

      Peer        bob (peer 2), symmetric
      Why         nothing of the peer came through
      Relay       turn:192.0.2.9:3478
      "
    `);
  });
});

describe('the peers of a room', () => {
  it('are listed in columns', () => {
    const peers = [
      { number: 9, name: 'alice', type: 'open' },
      { number: 12, name: 'bob', type: 'symmetric' },
    ] as const;
    expect(renderPeers('lobby', peers, PLAIN)).toMatchInlineSnapshot(`
      "Peers: 2 in room lobby

       9  alice  open
      12  bob    symmetric
      "
    `);
    expect(renderPeers('den', [], PLAIN)).toBe('Peers: 0 in room den\n');
  });
});

describe('what happens in a room', () => {
  const { peer } = OPEN_PUNCH;
  it.each<[RoomEvent, string]>([
    [
      { ...AT, event: 'registered', name: 'alice', number: 1, room: 'lobby' },
      '12:00:01  registered as alice (peer 1) in room lobby\n',
    ],
    [
      { ...AT, event: 'asked', peer, timeoutMs: 30_000 },
      '12:00:01  bob (peer 2), port-restricted cone, wants in\n',
    ],
    [
      { ...AT, event: 'punching', peer, predicted: OPEN_PUNCH.predicted, attempt: 2 },
      '12:00:01  bob (peer 2): punching by simultaneous sending (97.4 %), attempt 2\n',
    ],
    [
      { ...AT, event: 'answered', peer, answer: 'withdrawn' },
      '12:00:01  bob (peer 2): not answered in time\n',
    ],
    [
      { ...AT, event: 'open', report: OPEN_PUNCH },
      '12:00:01  bob (peer 2): open by simultaneous sending, 8 packets, 84.2 ms\n          (predicted: 97.4 %)\n',
    ],
    [
      { ...AT, event: 'lost', peer, silentMs: 4000 },
      '12:00:01  bob (peer 2): silent for 4.00 s, punching again\n',
    ],
    [{ ...AT, event: 'closed', peer }, '12:00:01  bob (peer 2): closed\n'],
  ])('%j is told so', (event, text) => {
    expect(renderRoomEvent(event, PLAIN)).toBe(text);
  });
});

describe('what others wrote', () => {
  const peer = { ...OPEN_PUNCH.peer, name: EVIL };
  const report: PunchReport = { ...FAILED_PUNCH, peer, reason: EVIL, relay: { urls: [EVIL] } };
  const events: readonly RoomEvent[] = [
    { ...AT, event: 'registered', name: EVIL, number: 1, room: EVIL },
    { ...AT, event: 'asked', peer, timeoutMs: 30_000 },
    { ...AT, event: 'answered', peer, answer: 'yes' },
    { ...AT, event: 'punching', peer, predicted: OPEN_PUNCH.predicted, attempt: 1 },
    { ...AT, event: 'failed', report },
    { ...AT, event: 'reopened', report },
    { ...AT, event: 'lost', peer, silentMs: 4000 },
    { ...AT, event: 'closed', peer },
    { ...AT, event: 'trouble', code: 'ERR_API_REFUSED', message: EVIL },
  ];

  it.each<readonly [what: string, text: string]>([
    ['a report', renderPunch(report, PLAIN)],
    ['a list', renderPeers(EVIL, [peer], PLAIN)],
    ...events.map((event) => [event.event, renderRoomEvent(event, PLAIN)] as const),
  ])('moves no cursor in %s', (_what, text) => {
    expect(text).toContain('evil');
    expect(text).not.toMatch(DANGEROUS);
  });
});
