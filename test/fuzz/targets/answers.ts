import { AnswerFuzz } from '../../unit/answer/fuzz.ts';
import { PADDING, CHANGE_REQUEST, RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import { RECEIPT_REQUEST, SERVICE } from '../../../shared/stun/attributes/natprobe.ts';
import { request } from '../../unit/answer/exchange.ts';
import type { FuzzTarget } from '../target.ts';
import { inventDatagram } from './codec.ts';

/** Of all inputs together: its counts are held against what was expected, and its sizes printed. */
export const ANSWER_FUZZ = new AnswerFuzz();

export const ANSWERS: FuzzTarget = {
  name: 'answers',
  invariant:
    'no datagram makes the core throw, or draws more than the rule for its kind allows, or another answer than the reference server’s',
  seeds: () => [
    request(),
    request([CHANGE_REQUEST.of({ address: true, port: true }), RECEIPT_REQUEST.of(100)]),
    request([RESPONSE_PORT.of(4000), PADDING.of(200)]),
    request([SERVICE.of({ kind: 'asked' })]),
  ],
  invent: inventDatagram,
  check: (input) => ANSWER_FUZZ.takeEverywhere(input),
};
