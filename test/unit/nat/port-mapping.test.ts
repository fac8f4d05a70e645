/** Whether a mapped port is reached, judged from evidence written by hand: each way to each conclusion. */
import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { BindingEvidence, BindingReply, Evidence, Stray } from '../../../shared/nat/evidence.ts';
import { assessPortMapping, PORT_MAPPING_SOCKETS } from '../../../shared/nat/port-mapping.ts';
import { REQUIRED_CONFIDENCE } from '../../../shared/nat/verdict.ts';
import { AA, AP, MAPPED, PP, publicPort, receipt, response, run, series } from '../../support/evidence.ts';

const { asker, control, mapped } = PORT_MAPPING_SOCKETS;
const EXTERNAL_PORT = 45_678;
const PUBLIC: Endpoint = { address: MAPPED.address, port: EXTERNAL_PORT };
const CONTACT = series(asker, PP, [0], [response(0, 10, PP, MAPPED)]);

/** Questions to PP by RESPONSE-PORT, one each 40 ms from 20 ms on, answered as told. */
function questions(
  count: number,
  replies: readonly BindingReply[] = [],
  strays: readonly Stray[] = [],
): BindingEvidence {
  const sendsMs = Array.from({ length: count }, (_, index) => 20 + 40 * index);
  return {
    ...series(asker, PP, sendsMs, replies, { address: true, port: true }),
    responsePort: EXTERNAL_PORT,
    strays,
  };
}

/** For each question the word that AA has sent the response. */
function receipts(count: number, sentFrom: Endpoint = AA): BindingReply[] {
  return Array.from({ length: count }, (_, index) => receipt(index, 30 + 40 * index, sentFrom));
}

/** AA has been asked directly as often, and answered. */
function controls(count: number, answered = count): Evidence {
  const sendsMs = Array.from({ length: count }, (_, index) => 20 + 40 * index);
  return series(
    control,
    AA,
    sendsMs,
    sendsMs.slice(0, answered).map((atMs, index) => response(index, atMs + 10, AA, publicPort(50_000))),
  );
}

function heardOn(socket: string, kind: Stray['kind'] = 'response'): Stray {
  return { kind, send: 0, atMs: 31, socket, from: AA };
}

function codesOf(evidence: readonly Evidence[]): [string, ...string[]] {
  const { value, reasons } = assessPortMapping(evidence);
  return [value, ...reasons.map(({ code }) => code)];
}

const UNTIL_MS = 5000;

describe('a mapped port', () => {
  it('is reached if the mapped socket heard the response', () => {
    const asked = questions(1, receipts(1), [heardOn(mapped)]);
    expect(assessPortMapping([run(40), CONTACT, asked])).toEqual({
      value: 'reachable',
      confidence: 1,
      reasons: [
        {
          code: 'port-mapping-heard',
          text: '203.0.113.7:45678 is reached from outside: 198.51.100.2:3479 was heard there',
        },
      ],
      public: PUBLIC,
      heardFrom: AA,
    });
  });

  it('is reached also where the response came late, after silence, or without receipt', () => {
    const late = questions(9, receipts(9), [{ ...heardOn(mapped), send: 8 }]);
    expect(codesOf([run(UNTIL_MS), CONTACT, late, controls(20)])[0]).toBe('reachable');
    expect(codesOf([run(40), CONTACT, questions(1, [], [heardOn(mapped)])])[0]).toBe('reachable');
  });

  it.each([
    ['another socket heard it', heardOn('mapping')],
    ['the asking socket did', heardOn(asker)],
    ['it was a request that came back', heardOn(mapped, 'request')],
  ])('is not reached if %s', (_what, stray) => {
    expect(codesOf([run(40), CONTACT, questions(1, receipts(1), [stray])])).toEqual([
      'unknown',
      'port-mapping-open',
    ]);
  });

  it('is not reached if what was sent to it, often enough, was not heard', () => {
    const axis = assessPortMapping([run(UNTIL_MS), CONTACT, questions(12, receipts(12)), controls(12)]);
    expect(axis).toMatchObject({
      value: 'unreachable',
      public: PUBLIC,
      reasons: [
        {
          code: 'port-mapping-silence',
          text: 'none of 12 packets that 198.51.100.2:3479 sent to the mapped port arrived',
        },
      ],
    });
    expect(axis.confidence).toBeGreaterThanOrEqual(REQUIRED_CONFIDENCE);
    expect(axis.confidence).toBeLessThan(1);
    expect(axis).not.toHaveProperty('heardFrom');
  });

  it.each<readonly [string, readonly Evidence[]]>([
    ['too few were sent', [run(UNTIL_MS), CONTACT, questions(2, receipts(2)), controls(40)]],
    ['no receipt says that they were', [run(UNTIL_MS), CONTACT, questions(40), controls(40)]],
    [
      'the endpoint that sent them answers nobody',
      [run(UNTIL_MS), CONTACT, questions(40, receipts(40)), controls(40, 0)],
    ],
    ['that endpoint was not asked itself', [run(UNTIL_MS), CONTACT, questions(40, receipts(40))]],
    ['another one was', [run(UNTIL_MS), CONTACT, questions(40, receipts(40, AP)), controls(40)]],
    ['the path loses most', [run(UNTIL_MS), CONTACT, questions(12, receipts(12)), controls(40, 4)]],
    ['they may still be on their way', [run(31), CONTACT, questions(1, receipts(1)), controls(1)]],
    ['nothing was sent yet', [run(40), CONTACT]],
    [
      'the receipts are somebody else’s',
      [
        run(UNTIL_MS),
        CONTACT,
        questions(
          40,
          receipts(40).map((item) => ({ ...item, from: AP })),
        ),
        controls(40),
      ],
    ],
  ])('stays open if %s', (_what, evidence) => {
    expect(codesOf(evidence)).toEqual(['unknown', 'port-mapping-open']);
  });

  it('counts a receipt once however often it came', () => {
    const twice = Array.from({ length: 20 }, () => receipts(2)).flat();
    const evidence = [run(UNTIL_MS), CONTACT, questions(2, twice), controls(40)];
    expect(codesOf(evidence)).toEqual(['unknown', 'port-mapping-open']);
  });

  it('counts a burst as one packet', () => {
    const burst = {
      ...questions(40, receipts(40)),
      sends: questions(40).sends.map((send) => ({ ...send, atMs: 20 })),
    };
    expect(codesOf([run(UNTIL_MS), CONTACT, burst, controls(40)])).toEqual(['unknown', 'port-mapping-open']);
  });

  it('waits after a receipt for what a relay may add', () => {
    const relayed = receipts(40).map((item) => ({ ...item, relayDelayMs: 2000 }));
    const evidence = (untilMs: number): Evidence[] => [
      run(untilMs),
      CONTACT,
      questions(40, relayed),
      controls(40),
    ];
    expect(codesOf(evidence(2030))).toEqual(['unknown', 'port-mapping-open']);
    expect(codesOf(evidence(4000))[0]).toBe('unreachable');
  });

  it('is not known of where the server did not answer', () => {
    expect(codesOf([run(UNTIL_MS)])).toEqual(['unknown', 'no-answer']);
    expect(codesOf([run(UNTIL_MS), series(asker, PP, [0])])).toEqual(['unknown', 'no-answer']);
    // What another socket or another endpoint says of this machine's address is not asked.
    expect(codesOf([run(UNTIL_MS), series('mapping', PP, [0], [response(0, 10, PP, MAPPED)])])).toEqual([
      'unknown',
      'no-answer',
    ]);
    expect(codesOf([run(UNTIL_MS), series(asker, PP, [0], [response(0, 10, AA, MAPPED)])])).toEqual([
      'unknown',
      'no-answer',
    ]);
  });

  it('is not known of with a server that can’t send to it', () => {
    const refused = questions(1, [
      { kind: 'error', send: 0, atMs: 30, from: PP, code: 420, unknownAttributes: [0x27] },
    ]);
    expect(assessPortMapping([run(40), CONTACT, refused])).toMatchObject({
      value: 'unknown',
      public: PUBLIC,
      reasons: [
        { code: 'port-mapping-unsupported', text: 'the server answers RESPONSE-PORT with error 420' },
      ],
    });
    const ignored = questions(1, [response(0, 30, AA, MAPPED)]);
    expect(codesOf([run(40), CONTACT, ignored])).toEqual(['unknown', 'port-mapping-unsupported']);
  });

  it('can’t be judged without a run', () => {
    expect(() => assessPortMapping([CONTACT])).toThrow(TypeError);
  });
});
