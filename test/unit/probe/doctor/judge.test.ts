/** What the doctor says of servers: by what they answered, with nothing asked. */
import { describe, expect, it } from 'vitest';
import type { ChangeFacts, CornerFacts, FamilyFacts, Response } from '../../../../probe/doctor/facts.ts';
import { NOBODYS_ATTRIBUTE } from '../../../../probe/doctor/facts.ts';
import { isReached, judgeApi, judgeFamily } from '../../../../probe/doctor/judge.ts';
import type { Endpoint } from '../../../../shared/endpoint.ts';
import { SERVER_ROLES, type ServerRole } from '../../../../shared/role.ts';

const ENDPOINTS: readonly Endpoint[] = [
  { address: '8.8.4.4', port: 3478 },
  { address: '8.8.4.4', port: 3479 },
  { address: '8.8.8.8', port: 3478 },
  { address: '8.8.8.8', port: 3479 },
];
const MAPPED = { address: '9.9.9.9', port: 40_000 };

function responseFrom(role: ServerRole, more: Partial<Response> = {}): Response {
  const from = ENDPOINTS[role]!;
  const other = ENDPOINTS[role ^ 3]!;
  return { from, bytes: 68, rttMs: 10, origin: from, other, mapped: MAPPED, xorMapped: MAPPED, ...more };
}

/** A natprobed with two addresses, but for what is changed. */
function factsOf({
  corner = {},
  change = {},
  ...more
}: Partial<FamilyFacts> & {
  readonly corner?: Readonly<Partial<Record<ServerRole, Partial<CornerFacts>>>>;
  readonly change?: Partial<ChangeFacts> | ((asked: ServerRole, bits: 1 | 2 | 3) => Partial<ChangeFacts>);
}): FamilyFacts {
  return {
    family: 'ipv4',
    corners: SERVER_ROLES.map((role) => ({
      role,
      endpoint: ENDPOINTS[role]!,
      udp: responseFrom(role),
      tcp: 'answered',
      ...corner[role],
    })),
    changes: SERVER_ROLES.flatMap((asked) =>
      ([1, 2, 3] as const).map((changedBits): ChangeFacts => {
        const from = (asked ^ changedBits) as ServerRole;
        const receipt = { sentFrom: ENDPOINTS[from]!, relayDelayMs: 0 };
        const changed = typeof change === 'function' ? change(asked, changedBits) : change;
        return { asked, changedBits, response: responseFrom(from), receipt, ...changed };
      }),
    ),
    unknown: { from: ENDPOINTS[0]!, bytes: 56, errorCode: 420, unknown: [NOBODYS_ATTRIBUTE] },
    classic: responseFrom(0),
    padded: responseFrom(0, { paddingBytes: 1600 }),
    givesWitnesses: true,
    ...more,
  };
}

function troubleIn(facts: FamilyFacts): string[] {
  return judgeFamily(facts)
    .filter(({ state }) => state !== 'ok')
    .map(({ check, state, seen }) => `${state} ${check}: ${seen}`);
}

describe('of a server', () => {
  it('that is right nothing is wrong', () => {
    expect(troubleIn(factsOf({}))).toEqual([]);
    const [first] = judgeFamily(factsOf({}));
    expect(first?.seen).toBe('8.8.4.4:3478 is natprobed, with a round trip of 10.0 ms');
  });

  it('that names an address where nothing answers', () => {
    const facts = factsOf({ corner: { 2: { udp: undefined }, 3: { udp: undefined } } });
    expect(troubleIn(facts)).toEqual([
      'error IPv4 UDP: it names 8.8.8.8:3478 (AP) and 8.8.8.8:3479 (AA), where nothing answers',
    ]);
  });

  it('whose OTHER-ADDRESS is the same from everywhere, as coturn has it', () => {
    const always = ENDPOINTS[3]!;
    const corner = Object.fromEntries(
      SERVER_ROLES.map((role) => [role, { udp: responseFrom(role, { other: always }) }]),
    );
    expect(troubleIn(factsOf({ corner }))).toEqual([
      'error IPv4 OTHER-ADDRESS: at 8.8.4.4:3479 it names 8.8.8.8:3479, at 8.8.8.8:3478 it names 8.8.8.8:3479 ' +
        'and at 8.8.8.8:3479 it names 8.8.8.8:3479, which is not the opposite corner',
    ]);
  });

  it('that tells its private address behind 1:1 NAT', () => {
    const other = { address: '10.0.0.5', port: 3479 };
    const origin = { address: '10.0.0.4', port: 3478 };
    const facts = factsOf({ corner: { 0: { udp: responseFrom(0, { other, origin }) } } });
    expect(troubleIn(facts)).toEqual([
      'error IPv4 OTHER-ADDRESS: it names 10.0.0.5:3479, an address that leads nowhere from outside',
      'error IPv4 RESPONSE-ORIGIN: at 8.8.4.4:3478 it says that it answers from 10.0.0.4:3478',
    ]);
  });

  it('that ignores CHANGE-REQUEST', () => {
    const change = (asked: ServerRole) => ({ response: responseFrom(asked), receipt: undefined });
    expect(troubleIn(factsOf({ change, givesWitnesses: false }))).toEqual([
      'error IPv4 CHANGE-REQUEST: it is ignored: the answer comes from where it was asked, and every NAT seems to let all in',
      'warning IPv4 receipts: it does not tell what it has sent: clients have to wait, and can take loss for filtering',
    ]);
  });

  it('whose answers from the second address come from elsewhere', () => {
    const strange = { address: '8.8.8.9', port: 3478 };
    const change = (_: ServerRole, bits: 1 | 2 | 3) =>
      bits === 2 ? { response: responseFrom(2, { from: strange }) } : {};
    expect(troubleIn(factsOf({ change }))).toEqual([
      'error IPv4 CHANGE-REQUEST: answers come from elsewhere than they should ' +
        '(at PP for AP, at PA for AA, at AP for PP and at AA for PA): 8.8.8.9:3478',
    ]);
  });

  it('whose answers do not arrive, with receipts and without', () => {
    expect(troubleIn(factsOf({ change: { response: undefined } }))).toEqual([]);
    const unseen = troubleIn(factsOf({ change: { response: undefined, receipt: undefined } }));
    expect(unseen).toContainEqual(
      expect.stringMatching(/^warning IPv4 CHANGE-REQUEST: no answer was seen to 12 of 12: /),
    );
  });

  it('with one address, which refuses or ignores', () => {
    const { from, bytes, mapped, xorMapped, origin } = responseFrom(0);
    const udp = { from, bytes, mapped: mapped!, xorMapped: xorMapped!, origin: origin! };
    const corners = [{ role: 0, endpoint: from, udp, tcp: 'answered' }] as const;
    const asked = { asked: 0, changedBits: 2, receipt: undefined } as const;
    const refused = { ...asked, response: { from: ENDPOINTS[0]!, bytes: 56, errorCode: 420 } };
    const onlyOne = factsOf({ corners, changes: [refused] });
    expect(troubleIn(onlyOne)).toEqual([
      'warning IPv4 OTHER-ADDRESS: it names no second address, so nobody learns by it what a NAT lets in',
    ]);
    const ignored = troubleIn(factsOf({ corners, changes: [{ ...asked, response: responseFrom(0) }] }));
    expect(ignored[1]).toMatch(/^error IPv4 CHANGE-REQUEST: it is ignored: with one address it should be/);
  });

  it('that answers over TCP alone, or not at all', () => {
    const only = (tcp: CornerFacts['tcp']) =>
      factsOf({ corners: [{ role: 0, endpoint: ENDPOINTS[0]!, udp: undefined, tcp }], changes: [] });
    expect(troubleIn(only('answered'))).toEqual([
      'error IPv4: 8.8.4.4:3478 answers over TCP, and not over UDP',
    ]);
    expect([isReached(only('answered')), isReached(only('refused')), isReached(only('silent'))]).toEqual([
      true,
      true,
      false,
    ]);
    expect(troubleIn(only('silent'))).toEqual(['error IPv4: 8.8.4.4:3478 does not answer, over UDP nor TCP']);
  });

  it('on whose way a gateway rewrites addresses', () => {
    const udp = responseFrom(0, { mapped: { address: '10.0.0.2', port: 40_000 } });
    expect(troubleIn(factsOf({ corner: { 0: { udp } } }))).toEqual([
      'warning IPv4 way: 10.0.0.2:40000 and 9.9.9.9:40000 arrive for the same endpoint: a gateway near here rewrites addresses in packets',
    ]);
  });
});

describe('of an API', () => {
  it('is told whether it is named, answers, is behind TLS and has a broker', () => {
    const states = (facts: Parameters<typeof judgeApi>[0]) =>
      judgeApi(facts, true).map(({ check, state }) => `${check}: ${state}`);
    const url = 'https://nat.example.org/';
    const failure = { seen: 'the certificate has expired', remedy: 'renew it' };
    expect(states({ url: undefined })).toEqual(['HTTP API: warning']);
    expect(states({ url, version: '1.0.0', timeMs: 3 })).toEqual(['HTTP API: ok', 'broker: ok']);
    expect(states({ url, failure })).toEqual(['HTTP API: error']);
    expect(states({ url, brokerFailure: failure })).toEqual(['HTTP API: ok', 'broker: error']);
    expect(states({ url: 'http://nat.example.org/' })).toEqual([
      'HTTP API: ok',
      'HTTP API: warning',
      'broker: ok',
    ]);
    expect(states({ url: 'http://127.0.0.1:8478/' })).toEqual(['HTTP API: ok', 'broker: ok']);
  });
});
