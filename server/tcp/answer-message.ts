import type { ServerRole } from '../../shared/role.ts';
import { BINDING_SUCCESS } from '../../shared/stun/registry.ts';
import type { AnswerCore } from '../answer/answer-core.ts';
import type { SourceAddress } from '../answer/source-address.ts';
import type { DialBacks } from './dial-back.ts';

/**
 * What to send for one message of a connection, in memory of its own: the answer, ahead of it what is
 * said of a dial-back that a good request asks for, or nothing.
 */
export function answerMessage(
  message: Uint8Array,
  core: AnswerCore,
  source: SourceAddress,
  arrival: ServerRole,
  dialBacks: DialBacks,
): readonly Uint8Array[] {
  if (core.answerStream(message, 0, message.length, source, arrival) === 0) return [];
  const { buffer, length } = core.outgoing[0];
  const response = buffer.slice(0, length);
  const isSuccess = ((response[0]! << 8) | response[1]!) === BINDING_SUCCESS;
  const ahead = isSuccess ? dialBacks.handleRequest(message) : undefined;
  return ahead === undefined ? [response] : [ahead, response];
}
