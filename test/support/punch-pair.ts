/** Two who punch on real sockets, planned for by whoever has both: the broker's part in a few lines. */
import type { Socket } from 'node:dgram';
import { type MainSockets, openMainSockets } from '../../probe/drive/main-sockets.ts';
import type { OpenPunchSocket } from '../../probe/drive/punch-socket.ts';
import type { Punching, PunchingOptions } from '../../probe/drive/punching.ts';
import { openUdpSocket } from '../../probe/drive/udp.ts';
import { startUdpPunching, type UdpPunchStart } from '../../probe/drive/udp-punching.ts';
import type { Hole, PunchReport } from '../../probe/hole.ts';
import type { Plan } from '../../shared/broker/messages.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import type { NatprobeError } from '../../shared/errors.ts';
import type { PunchBehaviour } from '../../shared/punch/behaviour.ts';
import type { Side } from '../../shared/punch/plain.ts';
import { planPunch, type PunchPlan } from '../../shared/punch/plan.ts';

export interface PunchPairOptions {
  /** A natprobed, for the witnesses. */
  readonly server: Endpoint;
  readonly behaviours: Readonly<Record<Side, PunchBehaviour>>;
  readonly open?: OpenPunchSocket<Socket>;
  /** What becomes of each plan before it is followed. */
  readonly change?: (plan: PunchPlan, side: Side) => PunchPlan;
  readonly keys?: Readonly<Record<Side, Uint8Array>>;
  readonly onTrouble?: (error: NatprobeError, side: Side) => void;
}

export interface PunchPair {
  /** Both sides' holes; rejects with the report of one that failed. */
  readonly opened: Promise<Readonly<Record<Side, Hole<Socket>>>>;
  readonly punchings: Readonly<Record<Side, Punching<UdpPunchStart<Socket>>>>;
  /** Introductions, by the attempt that each was for. */
  readonly attempts: number[];
  readonly outcomes: Readonly<Record<Side, PunchReport[]>>;
  stop(): void;
}

export const NONCE = '00112233445566778899aabbccddeeff';
const KEY = Buffer.alloc(32, 5);
const SIDES: readonly Side[] = ['a', 'b'];

export async function punchPair(options: PunchPairOptions): Promise<PunchPair> {
  const { keys = { a: KEY, b: KEY } } = options;
  const attempts: number[] = [];
  const outcomes: Record<Side, PunchReport[]> = { a: [], b: [] };
  const opened = { a: Promise.withResolvers<Hole<Socket>>(), b: Promise.withResolvers<Hole<Socket>>() };
  const first = await introduce(1);
  const punchings = { a: punch('a'), b: punch('b') };
  return {
    opened: Promise.all([opened.a.promise, opened.b.promise]).then(([a, b]) => ({ a, b })),
    punchings,
    attempts,
    outcomes,
    stop: () => {
      for (const side of SIDES) punchings[side].stop();
    },
  };

  function punch(side: Side): Punching<UdpPunchStart<Socket>> {
    const run: PunchingOptions<Socket> = {
      open: options.open ?? openUdpSocket,
      onRenew: (attempt) => {
        if (side === 'a') void renew(attempt);
      },
      onOpen: (hole) => opened[side].resolve(hole),
      onFailed: (report) => opened[side].reject(new Error(JSON.stringify(report))),
      onOutcome: (_, report) => outcomes[side].push(report),
      onTrouble: (error) => options.onTrouble?.(error, side),
      onError: (error) => opened[side].reject(error),
    };
    return startUdpPunching({ ...first[side], key: keys[side] }, run);
  }

  async function renew(attempt: number): Promise<void> {
    const next = await introduce(attempt);
    for (const side of SIDES) punchings[side].begin({ ...next[side], key: keys[side] });
  }

  /** Fresh main sockets of both; what is planned closes them when it is done with them. */
  async function introduce(
    attempt: number,
  ): Promise<Record<Side, { readonly plan: Plan; readonly mains: MainSockets<Socket> }>> {
    attempts.push(attempt);
    const mains = { a: await openMains(), b: await openMains() };
    const sideOf = (side: Side) => ({
      behaviour: options.behaviours[side],
      candidates: mains[side].candidates.public.map(
        ({ mapped }) => ({ kind: 'public', endpoint: mapped }) as const,
      ),
      publicKey: '',
      rttMs: 0,
    });
    const planned = planPunch(sideOf('a'), sideOf('b'), attempt);
    const { outcome, probability, strategy, plain } = planned.prediction;
    const planOf = (side: Side): Plan => ({
      kind: 'plan',
      introduction: attempts.length,
      side,
      peer: { number: 2, name: side === 'a' ? 'b' : 'a', type: 'open' },
      prediction: { outcome, probability, strategy, plain },
      plan: options.change?.(planned[side], side) ?? planned[side],
    });
    for (const side of SIDES) setImmediate(() => mains[side].close());
    return { a: { plan: planOf('a'), mains: mains.a }, b: { plan: planOf('b'), mains: mains.b } };
  }

  function openMains(): Promise<MainSockets<Socket>> {
    return openMainSockets({
      servers: { ipv4: options.server },
      nonce: NONCE,
      open: options.open ?? openUdpSocket,
    });
  }
}
