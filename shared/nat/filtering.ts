/** Filtering behaviour from CHANGE-REQUEST tests on fresh sockets (RFC 4787 §5, RFC 5780 §4.4). */
import { type Endpoint, formatEndpoint } from '../endpoint.ts';
import type { Filtering } from './behaviour.ts';
import type { Change } from './evidence.ts';
import { assessTest, type FilteringState, type FilteringTest } from './filtering-test.ts';
import type { Observations } from './observations.ts';
import { MIN_SILENT_SLOTS } from './silence.ts';
import type { Reason } from './verdict.ts';

/** Test II of RFC 5780 §4.4: an answer from the other address and port. */
export const FROM_OTHER_ADDRESS: Change = { address: true, port: true };
/** Test III: an answer from the same address and the other port. */
export const FROM_OTHER_PORT: Change = { address: false, port: true };

export { type FilteringTest, lacksReceipts } from './filtering-test.ts';

export interface FilteringAssessment {
  readonly filtering: Filtering;
  readonly confidence: number;
  readonly reasons: readonly Reason[];
  readonly otherAddress: FilteringTest;
  readonly otherPort: FilteringTest;
}

/** What the tests towards `server` (its primary endpoint) have shown. */
export function assessFiltering(observations: Observations, server: Endpoint): FilteringAssessment {
  const otherAddress = assessTest(observations, server, FROM_OTHER_ADDRESS);
  const otherPort = assessTest(observations, server, FROM_OTHER_PORT);
  return { ...concludeFiltering(otherAddress, otherPort), otherAddress, otherPort };
}

/** From both tests; `packet` is what they wait for, in words for people. */
export function concludeFiltering(
  otherAddress: FilteringTest,
  otherPort: FilteringTest,
  packet: 'response' | 'check' = 'response',
): Pick<FilteringAssessment, 'filtering' | 'confidence' | 'reasons'> {
  const address = otherAddress.state;
  const port = otherPort.state;
  if (address.kind === 'heard') {
    return {
      filtering: 'endpoint-independent',
      confidence: 1,
      reasons: [heardReason(packet, otherAddress, 'an address never sent to')],
    };
  }
  if (port.kind === 'silent' && hadItsChance(address)) {
    return {
      filtering: 'address-and-port-dependent',
      confidence: port.confidence,
      reasons: [
        silentReason(packet, otherPort, port),
        ...(address.kind === 'open' ? [] : openReasons(otherAddress)),
      ],
    };
  }
  if (port.kind === 'heard' && address.kind === 'silent') {
    return {
      filtering: 'address-dependent',
      confidence: address.confidence,
      reasons: [
        heardReason(packet, otherPort, 'another port of an address sent to'),
        silentReason(packet, otherAddress, address),
      ],
    };
  }
  const reasons = [...openReasons(otherAddress), ...openReasons(otherPort)];
  if (port.kind === 'heard') {
    reasons.push({
      code: 'filtering-not-by-port',
      text: 'another port of an address sent to was let in, so filtering is not address- and port-dependent',
    });
  }
  if (address.kind === 'silent') reasons.push(silentReason(packet, otherAddress, address));
  return { filtering: 'unknown', confidence: 1, reasons };
}

/**
 * Whether the other address would have been heard by now if it were let in. What keeps another port
 * out keeps another address out too, so its own silence needs no proof: being heard would disprove.
 */
function hadItsChance(address: FilteringState): boolean {
  return address.kind !== 'open' || address.unheard >= MIN_SILENT_SLOTS;
}

function heardReason(packet: string, test: FilteringTest, what: string): Reason {
  return {
    code: 'filtering-heard',
    text: `a ${packet} from ${formatEndpoint(test.expected!)}, ${what}, was let in`,
  };
}

function silentReason(
  packet: string,
  test: FilteringTest,
  state: Extract<FilteringState, { kind: 'silent' }>,
): Reason {
  const from = formatEndpoint(test.expected!);
  return state.receipts
    ? {
        code: 'filtering-silence',
        text: `${state.sent} ${packet}s from ${from} are known to have been sent, and none was let in`,
      }
    : {
        code: 'filtering-silence-without-receipts',
        text: `${state.sent} requests for a response from ${from} brought none, while requests beside them were answered`,
      };
}

function openReasons(test: FilteringTest): Reason[] {
  const what = test.change.address ? 'other address' : 'other port';
  const { state } = test;
  switch (state.kind) {
    case 'unsupported':
      return [
        {
          code: 'change-request-unsupported',
          text: `the server does not serve CHANGE-REQUEST to its ${what}: it ${state.how}`,
        },
      ];
    case 'unavailable':
      return [
        state.why === 'no other address'
          ? { code: 'one-address-server', text: `the server has no ${what} to answer from` }
          : {
              code: 'other-address-dead',
              text: `the server's ${what}, ${formatEndpoint(test.expected!)}, answers nobody`,
            },
      ];
    case 'open':
      return [
        { code: 'filtering-open', text: `too little was seen to tell about the ${what} in the time given` },
      ];
    case 'heard':
    case 'silent':
      return [];
  }
}
