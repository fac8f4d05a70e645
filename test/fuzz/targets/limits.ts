import { AnswerGuard, type AnswerLimits, shareLimits } from '../../../server/answer/answer-guard.ts';
import { readAnswerLimits } from '../../../server/answer/limit-settings.ts';
import { CHANGE_REQUEST, PADDING } from '../../../shared/stun/attributes/behaviour.ts';
import { RECEIPT_REQUEST, WITNESS } from '../../../shared/stun/attributes/natprobe.ts';
import { SERVER_ROLES } from '../../../shared/role.ts';
import { CLIENTS, createCore, createWitnessMaker, exchange, request } from '../../unit/answer/exchange.ts';
import { ensure, type FuzzTarget } from '../target.ts';
import { inventDatagram } from './codec.ts';

const NONCE = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const BOTH = CHANGE_REQUEST.of({ address: true, port: true });
/** Answers a second, which comes with so many times as many at once. */
const RATE = 1;
const BURST = 4 * RATE;
/** After which every bucket is full again. */
const PAUSE_MS = 3_600_000;

const CONFIGURATIONS: readonly AnswerLimits[] = [
  readAnswerLimits({ answerRate: String(RATE) }),
  readAnswerLimits({ answerRate: String(RATE), amplification: '1' }),
  readAnswerLimits({ rateLimit: false, amplification: '2.5' }),
];

/** A core under limits beside one without. */
const TARGETS = CONFIGURATIONS.flatMap((limits, index) =>
  (['ipv4', 'ipv6'] as const).map((family) => {
    const guard = new AnswerGuard(shareLimits(limits, index));
    const witness = createWitnessMaker();
    return {
      limits,
      source: CLIENTS[family],
      guard,
      core: createCore(family, { witness, guard }),
      free: createCore(family, { witness }),
      now: 0,
      /** Of its prefix, all inputs together. */
      bytesIn: 0,
      bytesOut: 0,
    };
  }),
);

export const LIMITS: FuzzTarget = {
  name: 'limits',
  invariant:
    'under --answer-rate and --amplification a datagram draws what it draws without, or nothing: nothing beyond the burst, and never more bytes than the factor allows, for one or for all of a prefix',
  seeds: () => [
    request(),
    request([BOTH]),
    request([BOTH, RECEIPT_REQUEST.of(100)]),
    request([PADDING.of(200)]),
    request([WITNESS.of({ kind: 'asked', purpose: 'report', nonce: NONCE, fillerLength: 100 })]),
  ],
  invent: inventDatagram,
  check(input) {
    for (const target of TARGETS) for (const role of SERVER_ROLES) checkLimits(target, input, role);
  },
};

/** Sends the datagram until its source has had its burst and more, and holds each answer against that without limits. */
function checkLimits(target: (typeof TARGETS)[number], input: Uint8Array, role: 0 | 1 | 2 | 3): void {
  const { limits, source, guard, core, free } = target;
  const factor = limits.amplification ?? Infinity;
  const drawn = exchange(free, input, { source, role });
  const bytes = drawn.reduce((sum, { hex }) => sum + hex.length / 2, 0);
  const isPaid = bytes <= factor * input.length;
  guard.now = target.now += PAUSE_MS;
  for (let had = 0; had <= BURST; had += Math.max(1, drawn.length)) {
    const isWithin = limits.rates === undefined || had + drawn.length <= BURST;
    const sent = exchange(core, input, { source, role });
    const expected = isPaid && isWithin ? drawn : [];
    ensure(
      JSON.stringify(sent) === JSON.stringify(expected),
      `${JSON.stringify(sent)} instead of ${JSON.stringify(expected)} after ${had} answers under ${JSON.stringify(limits)}`,
    );
    target.bytesIn += input.length;
    if (sent.length > 0) target.bytesOut += bytes;
  }
  ensure(
    target.bytesOut <= factor * target.bytesIn,
    `${target.bytesOut} bytes out for ${target.bytesIn} in under ${JSON.stringify(limits)}`,
  );
}
