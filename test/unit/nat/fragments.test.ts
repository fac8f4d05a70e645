import { describe, expect, it } from 'vitest';
import type { BindingEvidence, BindingReply, Evidence } from '../../../shared/nat/evidence.ts';
import {
  assessFragments,
  describeFragments,
  type FragmentsAxis,
  FRAGMENTED_BYTES,
  paddingFor,
  RECEIPT_CHANGE,
} from '../../../shared/nat/fragments.ts';
import { LOCAL, MAPPED, PA, PP, receipt, response, run, series, socket } from '../../support/evidence.ts';

const TIMES = Array.from({ length: 16 }, (_, index) => 100 + index * 20);
const FRAGMENTED = paddingFor(FRAGMENTED_BYTES, 'ipv4');
const answeredAll = (from: typeof PP) => TIMES.map((ms, send) => response(send, ms + 10, from, MAPPED));
const receiptedAll = TIMES.map((ms, send) => receipt(send, ms + 10, PA));

const CONTACT = series('fragments', PP, [0], [response(0, 10, PP, MAPPED)]);
const CONTROL = series('fragments', PP, TIMES, receiptedAll, RECEIPT_CHANGE);

function padded(bytes: number, replies: readonly BindingReply[] = [], atMs = TIMES): BindingEvidence {
  return { ...series('fragments', PP, atMs, replies), paddingBytes: paddingFor(bytes, 'ipv4') };
}

function receipted(replies: readonly BindingReply[] = []): BindingEvidence {
  return { ...series('fragments', PP, TIMES, replies, RECEIPT_CHANGE), paddingBytes: FRAGMENTED };
}

/** A response to the first of a series, that long as a packet. */
function long(packetBytes: number): BindingReply[] {
  return [{ ...response(0, 110, PP, MAPPED), bytes: packetBytes - 28 }];
}

function assess(evidence: readonly Evidence[], untilMs = 1000): FragmentsAxis {
  return assessFragments([run(untilMs), socket('fragments'), CONTACT, ...evidence]);
}

const summary = ({ value, reasons }: FragmentsAxis) => [value, reasons[0]!.code];

describe('fragments', () => {
  it('pass where a response in fragments was heard', () => {
    const axis = assess([CONTROL, padded(2048, long(2048)), receipted(), padded(1500, long(1500), [100])]);
    expect(axis).toMatchObject({
      value: 'pass',
      confidence: 1,
      largestHeardBytes: 2048,
      largestWholeBytes: 1500,
    });
    expect(describeFragments(axis)).toBe('pass both ways (heard 2048 bytes)');
  });

  it('are blocked on the way out where none draws a receipt and short ones do', () => {
    const axis = assess([CONTROL, padded(2048), receipted(), padded(1400, long(1400), [100])]);
    expect(summary(axis)).toEqual(['blocked-outbound', 'fragments-silence']);
    expect(axis.confidence).toBeGreaterThan(0.999);
    expect(axis.largestHeardBytes).toBe(1400);
    expect(describeFragments(axis)).toBe('blocked on the way out; 1400 bytes in one packet pass');
  });

  it('are blocked on the way in where they draw receipts and nothing else', () => {
    const axis = assess([CONTROL, padded(2048), receipted(receiptedAll)]);
    expect(summary(axis)).toEqual(['blocked-inbound', 'fragments-silence']);
    expect(describeFragments(axis)).toBe('blocked on the way in');
  });

  it('are not judged without enough of either, or without controls', () => {
    const early = 210;
    expect(assess([CONTROL, padded(2048), receipted()], early).value).toBe('unknown');
    expect(assess([CONTROL, padded(2048), receipted(receiptedAll)], early).value).toBe('unknown');
    expect(assess([padded(2048), receipted()]).value).toBe('unknown');
    const late = TIMES.map((ms) => ms + 400);
    expect(assess([CONTROL, padded(2048, [], late), receipted(receiptedAll)]).value).toBe('unknown');
  });

  it('take twice the silence that single packets would', () => {
    // Beside 17 answers and no loss 3 single packets are enough: 1/19 · 2/20 · 3/21 is below 0.001.
    const count = (n: number) =>
      assess([CONTROL, padded(2048), { ...receipted(), sends: receipted().sends.slice(0, n) }]).value;
    expect([4, 5, 6, 7].map(count)).toEqual([
      'unknown',
      'blocked-outbound',
      'blocked-outbound',
      'blocked-outbound',
    ]);
  });

  it('are not judged by a response from another endpoint, or one that is short', () => {
    const elsewhere = answeredAll(PA).map((reply) => ({ ...reply, bytes: 2020 }));
    expect(assess([CONTROL, padded(2048), receipted(elsewhere)]).value).toBe('blocked-outbound');
    const short = assess([CONTROL, padded(2048, answeredAll(PP)), receipted()]);
    expect(summary(short)).toEqual(['unknown', 'response-not-padded']);
  });

  it('are unknown on loopback, and without an answer', () => {
    const local = { address: '127.0.0.1', port: LOCAL.port };
    expect(
      summary(assessFragments([run(1000), socket('fragments', local), CONTACT, padded(2048, long(2048))])),
    ).toEqual(['unknown', 'fragments-loopback']);
    expect(summary(assessFragments([run(1000)]))).toEqual(['unknown', 'no-answer']);
  });

  it('are asked for by PADDING that makes the packet as long as said', () => {
    expect([paddingFor(1500, 'ipv4'), paddingFor(1500, 'ipv6')]).toEqual([1448, 1428]);
  });
});
