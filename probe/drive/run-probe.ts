import type { Socket } from 'node:dgram';
import type { Endpoint } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { Machine } from '../../shared/machine.ts';
import type { Verdict } from '../../shared/nat/verdict.ts';
import { errorOf } from '../../shared/thrown.ts';
import type { ClassifierAction, ClassifierInput, ClassifierResult, InquiryEvent } from '../classify/io.ts';
import { aborted } from './aborted.ts';
import { createRunner } from './run-machine.ts';
import { connectTcp } from './tcp.ts';
import {
  adoptUdpSocket,
  openConnectedUdpSocket,
  openUdpSocket,
  systemErrorCode,
  type UdpHandlers,
  type UdpSocket,
} from './udp.ts';

/** A machine of the prober: the classifier, or another inquiry. */
export type ProbeMachine<Progress, Result> = Machine<
  ClassifierInput,
  ClassifierAction,
  InquiryEvent<Progress, Result>
>;
export type ClassifierMachine = ProbeMachine<Verdict, ClassifierResult>;

export interface ProbeRun<Progress> {
  /** A bound socket of the caller that stands in for the one the machine opens on that socket's port. */
  readonly socket?: Socket;
  /** Stops the run; the promise rejects with ERR_ABORTED. */
  readonly signal?: AbortSignal;
  /** Ends the run early; the promise resolves with what is known by then. */
  readonly concludeSignal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/**
 * Carries out what a machine of the prober asks for, on real sockets, until it is done.
 *
 * Everything that was opened is closed when the promise settles. Rejects with ERR_LOCAL_PORT if a
 * given local port cannot be bound, with ERR_ABORTED if the signal says so.
 */
export function runProbe<Progress, Result>(
  machine: ProbeMachine<Progress, Result>,
  run: ProbeRun<Progress> = {},
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const sockets = new Map<string, Slot>();
    const attempts = new Map<string, () => void>();
    const runner = createRunner(machine, { perform, emit, fail });
    let over = false;
    if (run.signal?.aborted === true) {
      reject(aborted('classification', run.signal));
      return;
    }
    run.signal?.addEventListener('abort', handleAbort, { once: true });
    run.concludeSignal?.addEventListener('abort', handleConclude, { once: true });
    runner.start();
    if (run.concludeSignal?.aborted === true) handleConclude();

    function perform(action: ClassifierAction): void {
      switch (action.kind) {
        case 'open-socket':
          openSocket(action.socket, action.given ? action.port : 0, (handlers) =>
            run.socket !== undefined && action.given
              ? adoptUdpSocket(run.socket, action.towards, handlers)
              : openUdpSocket(action.family, action.port, action.towards, handlers, action.localAddress),
          );
          return;
        case 'open-connected-socket':
          openSocket(action.socket, 0, (handlers) => openConnectedUdpSocket(action.to, handlers));
          return;
        case 'send':
          openSlot(action.socket).send(action.to, action.bytes);
          return;
        case 'connect-tcp':
          connectAttempt(action.attempt, action.to, action.bytes);
          return;
        case 'close-socket':
          closeSocket(action.socket);
          return;
      }
    }

    function emit(event: InquiryEvent<Progress, Result>): void {
      switch (event.kind) {
        case 'progress':
          run.onProgress?.(event.progress);
          return;
        case 'done':
          settle(() => resolve(event.result));
          return;
      }
    }

    function openSocket(
      socket: string,
      givenPort: number,
      open: (handlers: UdpHandlers) => Promise<UdpSocket>,
    ): void {
      if (sockets.has(socket)) throw new Error(`the machine opened socket ${socket} twice`);
      sockets.set(socket, 'opening');
      open({
        onDatagram: (from, bytes) => deliver({ kind: 'datagram', socket, from, bytes }),
        onRefused: (to, reason) => deliver({ kind: 'refused', to, reason }),
      }).then(
        (opened) => {
          if (over || sockets.get(socket) !== 'opening') {
            opened.close();
            return;
          }
          sockets.set(socket, opened);
          deliver({ kind: 'socket-opened', socket, local: opened.local });
        },
        (error: unknown) => {
          sockets.delete(socket);
          const code = systemErrorCode(error);
          if (givenPort !== 0 && (code === 'EADDRINUSE' || code === 'EACCES')) {
            fail(new NatprobeError('ERR_LOCAL_PORT', `local port ${givenPort}`, code, { cause: error }));
            return;
          }
          deliver({ kind: 'socket-failed', socket, code });
        },
      );
    }

    function openSlot(socket: string): UdpSocket {
      const slot = sockets.get(socket);
      if (slot === undefined || slot === 'opening') {
        throw new Error(`the machine sent from socket ${socket}, which is not open`);
      }
      return slot;
    }

    function connectAttempt(attempt: string, to: Endpoint, bytes: Uint8Array): void {
      const giveUp = connectTcp(to, bytes, {
        onConnected: () => deliver({ kind: 'tcp-connected', attempt }),
        onAnswered: (bytes) => {
          attempts.delete(attempt);
          deliver({ kind: 'tcp-answered', attempt, bytes });
        },
        onFailed: (reason) => {
          attempts.delete(attempt);
          deliver({ kind: 'tcp-failed', attempt, reason });
        },
      });
      attempts.set(attempt, giveUp);
    }

    function closeSocket(socket: string): void {
      const slot = sockets.get(socket);
      sockets.delete(socket);
      if (slot !== undefined && slot !== 'opening') slot.close();
    }

    function deliver(input: ClassifierInput): void {
      runner.deliver(input);
    }

    function handleConclude(): void {
      deliver({ kind: 'stop' });
    }

    function handleAbort(): void {
      fail(aborted('classification', run.signal));
    }

    function fail(error: unknown): void {
      settle(() => reject(errorOf(error)));
    }

    function settle(report: () => void): void {
      if (over) return;
      over = true;
      runner.stop();
      run.signal?.removeEventListener('abort', handleAbort);
      run.concludeSignal?.removeEventListener('abort', handleConclude);
      for (const socket of [...sockets.keys()]) closeSocket(socket);
      for (const giveUp of attempts.values()) giveUp();
      report();
    }
  });
}

/** A socket that is being opened, or open. */
type Slot = 'opening' | UdpSocket;
