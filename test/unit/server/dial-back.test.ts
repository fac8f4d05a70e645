/** Dial-backs: what is decided, step by step. */
import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { ServerRole } from '../../../shared/role.ts';
import {
  OTHER_ADDRESS,
  RESPONSE_ADDRESS,
  XOR_MAPPED_ADDRESS,
} from '../../../shared/stun/attributes/address.ts';
import { RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import { DIAL_BACK, type DialBack } from '../../../shared/stun/attributes/dial-back.ts';
import { decodeMessage, encodeMessage, readAttribute } from '../../../shared/stun/message.ts';
import { roleEndpoints } from '../../../server/config.ts';
import { ConnectionCount } from '../../../server/tcp/connection-limits.ts';
import {
  DEFAULT_DIAL_LIMITS,
  type DialContext,
  DialBacks,
  createDialCounts,
} from '../../../server/tcp/dial-back.ts';
import type { DialResult } from '../../../server/tcp/dial.ts';
import { CLASSIC_ID, ID, request } from '../answer/exchange.ts';
import { asking } from './dial-asking.ts';

const ASKER: Endpoint = { address: '198.51.100.7', port: 40000 };
const LIMITS = { ...DEFAULT_DIAL_LIMITS, total: 4, perSource: 3, perConnection: 5 };

interface Dialled {
  readonly from: string;
  readonly to: Endpoint;
  readonly timeoutMs: number;
  readonly report: (result: DialResult) => void;
  givenUp: boolean;
}

/** Dials that only end when the test says so. */
function scripted(twoAddresses = true): {
  readonly context: DialContext;
  readonly dialled: Dialled[];
  readonly connection: (source?: string, arrival?: ServerRole) => { dials: DialBacks; said: DialBack[] };
} {
  const bound = roleEndpoints('10.0.0.1', twoAddresses ? '10.0.0.2' : undefined, 3478, 3479);
  const advertised = roleEndpoints('192.0.2.1', twoAddresses ? '192.0.2.2' : undefined, 3478, 3479);
  const dialled: Dialled[] = [];
  const context: DialContext = {
    config: { family: 'ipv4', bound, advertised },
    limits: LIMITS,
    underWay: new ConnectionCount(LIMITS),
    counts: createDialCounts(),
    dial: (from, to, timeoutMs, report) => {
      const one: Dialled = { from, to, timeoutMs, report, givenUp: false };
      dialled.push(one);
      return () => (one.givenUp = true);
    },
  };
  return {
    context,
    dialled,
    connection: (source = 'a', arrival = 0) => {
      const said: DialBack[] = [];
      const send = (indication: Uint8Array): void => void said.push(dialOf(indication));
      return { dials: new DialBacks(context, { remote: ASKER, arrival, source, send }), said };
    },
  };
}

/** The DIAL-BACK of an indication to the request. */
function dialOf(bytes: Uint8Array | undefined): DialBack {
  const decoded = decodeMessage(bytes ?? new Uint8Array(0));
  if (decoded.kind !== 'message') throw new Error('no indication');
  expect(decoded.message).toMatchObject({ class: 'indication', method: 1, transactionId: ID });
  return readAttribute(decoded.message, DIAL_BACK)!;
}

describe('a dial-back is decided', () => {
  it('from the bound address that was asked for, to the remote end alone', () => {
    for (const [arrival, same, other] of [
      [0, '10.0.0.1', '10.0.0.2'],
      [1, '10.0.0.1', '10.0.0.2'],
      [2, '10.0.0.2', '10.0.0.1'],
      [3, '10.0.0.2', '10.0.0.1'],
    ] as const) {
      const { dialled, connection } = scripted();
      const { dials } = connection('a', arrival);
      for (const origin of ['same-address', 'other-address'] as const) {
        expect(dialOf(dials.handleRequest(asking(origin)))).toEqual({
          kind: 'dialling',
          origin,
          timeoutMs: 800,
        });
      }
      expect(dialled.map(({ from, to, timeoutMs }) => ({ from, to, timeoutMs }))).toEqual([
        { from: same, to: ASKER, timeoutMs: 800 },
        { from: other, to: ASKER, timeoutMs: 800 },
      ]);
    }
  });

  it('to nobody whom the request names', () => {
    const { dialled, connection } = scripted();
    const third = { address: '203.0.113.99', port: 80 };
    const named = [XOR_MAPPED_ADDRESS, OTHER_ADDRESS, RESPONSE_ADDRESS].map((attribute) =>
      attribute.of(third),
    );
    connection().dials.handleRequest(asking('same-address', 800, [...named, RESPONSE_PORT.of(80)]));
    expect(dialled.map(({ to }) => to)).toEqual([ASKER]);
  });

  it('not for anything but a Binding request in today’s dialect that asks', () => {
    const { dialled, connection } = scripted();
    const { dials } = connection();
    const attributes = [DIAL_BACK.of({ kind: 'asked', origin: 'same-address', timeoutMs: 800 })];
    const others = [
      request(),
      request(attributes, { id: CLASSIC_ID }),
      encodeMessage({ class: 'indication', transactionId: ID, attributes }),
      encodeMessage({ class: 'success', transactionId: ID, attributes }),
      encodeMessage({ class: 'request', method: 3, transactionId: ID, attributes }),
      request([DIAL_BACK.of({ kind: 'dialling', origin: 'same-address', timeoutMs: 800 })]),
      request([DIAL_BACK.of({ kind: 'ended', outcome: 'connected', tookMs: 1, dialledFrom: ASKER })]),
      asking('same-address').subarray(0, 24),
    ];
    for (const bytes of others) expect(dials.handleRequest(bytes)).toBeUndefined();
    expect(dialled).toEqual([]);
  });

  it('and says how it ended, with the advertised address of one that stood', () => {
    const { context, dialled, connection } = scripted();
    const { dials, said } = connection();
    dials.handleRequest(asking('same-address'));
    dials.handleRequest(asking('other-address'));
    dialled[1]!.report({ outcome: 'connected', tookMs: 12, localPort: 50123 });
    dialled[0]!.report({ outcome: 'timeout', tookMs: 70_000 });
    expect(said).toEqual([
      {
        kind: 'ended',
        outcome: 'connected',
        tookMs: 12,
        dialledFrom: { address: '192.0.2.2', port: 50123 },
      },
      { kind: 'ended', outcome: 'timeout', tookMs: 65_535 },
    ]);
    expect(context.counts).toEqual({ ...createDialCounts(), connected: 1, timeout: 1 });
    expect(context.underWay.total).toBe(0);
  });

  it('with a timeout within the limits', () => {
    const { dialled, connection } = scripted();
    for (const [source, timeoutMs] of [0, 99, 3001, 65535].entries()) {
      connection(String(source)).dials.handleRequest(asking('same-address', timeoutMs));
    }
    expect(dialled.map(({ timeoutMs }) => timeoutMs)).toEqual([100, 100, 3000, 3000]);
  });

  it('not where there is no other address', () => {
    const { context, dialled, connection } = scripted(false);
    const { dials } = connection();
    expect(dialOf(dials.handleRequest(asking('other-address')))).toEqual({
      kind: 'ended',
      outcome: 'no-address',
      tookMs: 0,
    });
    expect(dialled).toEqual([]);
    expect(context.underWay.total).toBe(0);
  });
});

describe('dial-backs are held to', () => {
  const DECLINED = { kind: 'ended', outcome: 'declined', tookMs: 0 };

  it('one at a time from each address for a connection', () => {
    const { context, dialled, connection } = scripted();
    const { dials } = connection();
    const kinds = (['same-address', 'same-address', 'other-address', 'other-address'] as const).map(
      (origin) => dialOf(dials.handleRequest(asking(origin))).kind,
    );
    expect(kinds).toEqual(['dialling', 'ended', 'dialling', 'ended']);
    expect(context.counts).toEqual({ ...createDialCounts(), declined: 2 });
    dialled[0]!.report({ outcome: 'refused', tookMs: 1 });
    expect(dialOf(dials.handleRequest(asking('same-address'))).kind).toBe('dialling');
  });

  it('so many for a connection while it lasts', () => {
    const { dialled, connection } = scripted();
    const { dials } = connection();
    for (let i = 0; i < LIMITS.perConnection; i++) {
      expect(dialOf(dials.handleRequest(asking('same-address'))).kind).toBe('dialling');
      dialled[i]!.report({ outcome: 'refused', tookMs: 1 });
    }
    expect(dialOf(dials.handleRequest(asking('same-address')))).toEqual(DECLINED);
    expect(dialOf(dials.handleRequest(asking('other-address')))).toEqual(DECLINED);
    expect(dialled).toHaveLength(LIMITS.perConnection);
  });

  it('so many at once for a source, and in all', () => {
    const { context, connection } = scripted();
    const ask = (source: string): string =>
      dialOf(connection(source).dials.handleRequest(asking('same-address'))).kind;
    expect(['a', 'a', 'a', 'a', 'b', 'b'].map(ask)).toEqual([
      'dialling',
      'dialling',
      'dialling',
      'ended',
      'dialling',
      'ended',
    ]);
    expect(context.underWay.total).toBe(LIMITS.total);
  });

  it('the life of the connection that asked', () => {
    const { context, dialled, connection } = scripted();
    const { dials, said } = connection();
    dials.handleRequest(asking('same-address'));
    dials.handleRequest(asking('other-address'));
    dialled[0]!.report({ outcome: 'refused', tookMs: 1 });
    dials.close();
    expect(dialled.map(({ givenUp }) => givenUp)).toEqual([false, true]);
    expect(context.counts).toEqual({ ...createDialCounts(), refused: 1, aborted: 1 });
    expect(context.underWay.total).toBe(0);
    expect(said).toHaveLength(1);
  });
});
