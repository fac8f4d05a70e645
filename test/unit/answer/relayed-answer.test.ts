/** Answers from the address of another host: what it is told to send, and what is said of it here. */
import { describe, expect, it } from 'vitest';
import type { Family } from '../../../shared/endpoint.ts';
import {
  MAPPED_ADDRESS,
  OTHER_ADDRESS,
  RESPONSE_ORIGIN,
  XOR_MAPPED_ADDRESS,
} from '../../../shared/stun/attributes/address.ts';
import { CHANGE_REQUEST } from '../../../shared/stun/attributes/behaviour.ts';
import { ERROR_CODE, UNKNOWN_ATTRIBUTES } from '../../../shared/stun/attributes/error.ts';
import { RECEIPT, RECEIPT_REQUEST } from '../../../shared/stun/attributes/natprobe.ts';
import { ATTRIBUTE } from '../../../shared/stun/registry.ts';
import type { AnswerCore } from '../../../server/answer/answer-core.ts';
import {
  isBindingResponse,
  refuseRelayed,
  type RelayedAnswer,
  relayedAnswer,
  stateRelayDelay,
} from '../../../server/answer/relayed-answer.ts';
import { SourceAddress } from '../../../server/answer/source-address.ts';
import {
  CLASSIC_ID,
  CLIENT,
  CLIENTS,
  countsOf,
  createOneAddressCore,
  ENDPOINTS,
  exchange,
  hexOf,
  indication,
  refusal,
  request,
  success,
} from './exchange.ts';

const CHANGE = CHANGE_REQUEST.of({ address: true, port: true });
const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];
/** More than any answer and its receipt take. */
const ASK_RECEIPT = RECEIPT_REQUEST.of(300);
const UNSUPPORTED = [
  ERROR_CODE.of({ code: 420, reason: 'Unknown Attribute' }),
  UNKNOWN_ATTRIBUTES.of([ATTRIBUTE.CHANGE_REQUEST]),
];

function pairedCore(family: Family = 'ipv4'): AnswerCore {
  const core = createOneAddressCore(family);
  const [, , ap, aa] = ENDPOINTS[family];
  core.usePartner([ap, aa]);
  return core;
}

function relayOf(core: AnswerCore, asked: Uint8Array, family: Family = 'ipv4'): RelayedAnswer {
  const source = CLIENTS[family];
  const count = exchange(core, asked, { source }).length as 1 | 2;
  return relayedAnswer(core.outgoing, count, { family, source, role: 0 });
}

describe('a core whose other address is a partner’s', () => {
  it('names it and answers from it, until there is none again', () => {
    const core = pairedCore();
    const [pp, , ap, aa] = ENDPOINTS.ipv4;
    const mapped = [MAPPED_ADDRESS.of(CLIENT), XOR_MAPPED_ADDRESS.of(CLIENT)];
    expect(exchange(core, request())).toEqual([
      {
        from: 'PP',
        port: 40_000,
        hex: success([...mapped, RESPONSE_ORIGIN.of(pp), OTHER_ADDRESS.of(aa)]),
      },
    ]);
    expect(exchange(core, request([CHANGE_REQUEST.of({ address: true, port: false })]))).toEqual([
      {
        from: 'AP',
        port: 40_000,
        hex: success([...mapped, RESPONSE_ORIGIN.of(ap), OTHER_ADDRESS.of(aa)]),
      },
    ]);
    core.usePartner(undefined);
    expect(exchange(core, request())[0]!.hex).toBe(success([...mapped, RESPONSE_ORIGIN.of(pp)]));
    expect(exchange(core, request([CHANGE]))).toEqual([
      { from: 'PP', port: 40_000, hex: refusal(UNSUPPORTED) },
    ]);
  });

  it('answers no endpoint of the partner’s, and sends nothing there that the partner asks for', () => {
    const core = pairedCore();
    const [pp, , , aa] = ENDPOINTS.ipv4;
    expect(exchange(core, request(), { source: aa })).toEqual([]);
    for (const [{ address, port }, isAdmitted] of [
      [aa, false],
      [pp, false],
      [CLIENT, true],
    ] as const) {
      const to = new SourceAddress();
      to.set(address, port);
      expect(core.admitRelayed(to, 68), address).toBe(isAdmitted);
    }
    expect(countsOf(core.counters.snapshot())).toEqual({ 'drop own-endpoint': 3 });
  });
});

describe('a relayed answer', () => {
  it('says what to send from which port, and is not written over', () => {
    const core = pairedCore();
    const relayed = relayOf(core, request([CHANGE, ASK_RECEIPT]));
    const before = hexOf(relayed.response);
    exchange(core, request([CHANGE, ASK_RECEIPT]), { source: { address: '198.51.100.8', port: 9 } });
    expect(relayed).toMatchObject({ family: 'ipv4', port: 1, to: CLIENT, source: CLIENT, arrival: 0 });
    expect(hexOf(relayed.response)).toBe(before);
    expect(isBindingResponse(relayed.response)).toBe(true);
    expect(isBindingResponse(relayed.response.subarray(0, -1))).toBe(false);
    expect(isBindingResponse(request())).toBe(false);
    expect(relayOf(core, request([CHANGE])).receipt).toBeUndefined();
  });

  it.each(FAMILIES.flatMap((family) => [false, true].map((fingerprint) => ({ family, fingerprint }))))(
    'has a receipt that states the delay: %j',
    ({ family, fingerprint }) => {
      const asked = request([CHANGE, ASK_RECEIPT], { fingerprint });
      const { receipt } = relayOf(pairedCore(family), asked, family);
      stateRelayDelay(receipt!, 0x1234, family);
      const [, , , aa] = ENDPOINTS[family];
      const stated = [
        RECEIPT.of({ sentFrom: aa, relayDelayMs: 0x1234 }),
        XOR_MAPPED_ADDRESS.of(CLIENTS[family]),
      ];
      expect(hexOf(receipt!)).toBe(indication(stated, { fingerprint }));
    },
  );

  it.each([{}, { fingerprint: true }, { id: CLASSIC_ID }])(
    'is refused as with one address: %j',
    (options) => {
      const asked = request([CHANGE], options);
      const alone = exchange(createOneAddressCore(), asked);
      expect(hexOf(refuseRelayed(relayOf(pairedCore(), asked)))).toBe(alone[0]!.hex);
    },
  );
});
