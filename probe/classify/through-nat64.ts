/**
 * Takes a machine through a NAT64: it speaks of IPv4 servers throughout, while its sockets are IPv6 ones
 * and send to the addresses that stand for those servers (RFC 6052).
 */
import type { Machine } from '../../shared/machine.ts';
import { extractEndpoint, synthesizeEndpoint, type Nat64Prefix } from '../../shared/nat64.ts';
import type { ClassifierAction, ClassifierInput } from './io.ts';
import type { TcpAction, TcpInput } from './inquiries/tcp.ts';

/** A machine of the prober; itself where there is no prefix. */
export function throughNat64<Event>(
  machine: Machine<ClassifierInput, ClassifierAction, Event>,
  prefix: Nat64Prefix | undefined,
): Machine<ClassifierInput, ClassifierAction, Event> {
  if (prefix === undefined) return machine;
  return translated(
    machine,
    (input) => inputFrom(prefix, input),
    (action) => actionUnder(prefix, action),
  );
}

/** The machine of the TCP inquiry; itself where there is no prefix. */
export function tcpThroughNat64<Event>(
  machine: Machine<TcpInput, TcpAction, Event>,
  prefix: Nat64Prefix | undefined,
): Machine<TcpInput, TcpAction, Event> {
  if (prefix === undefined) return machine;
  return translated(
    machine,
    (input) => (input.kind === 'accepted' ? { ...input, from: extractEndpoint(prefix, input.from) } : input),
    (action) =>
      action.kind === 'connect' ? { ...action, to: synthesizeEndpoint(prefix, action.to) } : action,
  );
}

function translated<Input, Action, Event>(
  machine: Machine<Input, Action, Event>,
  translateInput: (input: Input) => Input,
  translateAction: (action: Action) => Action,
): Machine<Input, Action, Event> {
  return {
    handleInput: (input, now) => machine.handleInput(translateInput(input), now),
    handleTimeout: (now) => machine.handleTimeout(now),
    pollAction: () => {
      const action = machine.pollAction();
      return action && translateAction(action);
    },
    pollTimeout: () => machine.pollTimeout(),
    pollEvent: () => machine.pollEvent(),
  };
}

function inputFrom(prefix: Nat64Prefix, input: ClassifierInput): ClassifierInput {
  switch (input.kind) {
    case 'datagram':
      return { ...input, from: extractEndpoint(prefix, input.from) };
    case 'refused':
      return { ...input, to: extractEndpoint(prefix, input.to) };
    default:
      return input;
  }
}

function actionUnder(prefix: Nat64Prefix, action: ClassifierAction): ClassifierAction {
  switch (action.kind) {
    case 'open-socket':
      return { ...action, family: 'ipv6', towards: synthesizeEndpoint(prefix, action.towards) };
    case 'open-connected-socket':
    case 'send':
    case 'connect-tcp':
      return { ...action, to: synthesizeEndpoint(prefix, action.to) };
    case 'close-socket':
      return action;
  }
}
