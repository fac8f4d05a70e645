/** Punches over whichever transport the plan names. */
import type { Socket as TcpSocket } from 'node:net';
import type { Plan } from '../../shared/broker/messages.ts';
import type { Hole } from '../hole.ts';
import type { MainSockets } from './main-sockets.ts';
import type { Punching, PunchingOptions } from './punching.ts';
import type { TcpPorts } from './tcp-ports.ts';
import { startTcpPunching } from './tcp-punching.ts';
import { startUdpPunching } from './udp-punching.ts';

/** Those that its candidates are of, by its transport. */
export type PlanSockets<Raw> =
  | { readonly transport: 'udp'; readonly mains: MainSockets<Raw> }
  | { readonly transport: 'tcp'; readonly ports: TcpPorts };

export interface PunchStart<Raw> {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly sockets: PlanSockets<Raw>;
}

export interface StartOptions<Raw> extends PunchingOptions<Raw> {
  /** In place of `onOpen` where the plan is over TCP. */
  readonly onTcpOpen: (hole: Hole<TcpSocket>) => void;
}

/** Punches by the first plan; ends in `onOpen`, `onTcpOpen` or `onFailed`. Later plans are over the same transport. */
export function startPunching<Raw>(
  { plan, key, sockets }: PunchStart<Raw>,
  options: StartOptions<Raw>,
): Punching<PunchStart<Raw>> {
  const wrongTransport = (): never => {
    throw new Error('a plan over another transport');
  };
  if (sockets.transport === 'udp') {
    const punching = startUdpPunching<Raw>({ plan, key, mains: sockets.mains }, options);
    return {
      begin: ({ sockets: next, ...start }) =>
        next.transport === 'udp' ? punching.begin({ ...start, mains: next.mains }) : wrongTransport(),
      stop: (code) => punching.stop(code),
      hearRelayed: (introduction, endpoint) => punching.hearRelayed?.(introduction, endpoint),
    };
  }
  const punching = startTcpPunching(
    { plan, key, ports: sockets.ports },
    { ...options, onOpen: options.onTcpOpen },
  );
  return {
    begin: ({ sockets: next, ...start }) =>
      next.transport === 'tcp' ? punching.begin({ ...start, ports: next.ports }) : wrongTransport(),
    stop: (code) => punching.stop(code),
  };
}
