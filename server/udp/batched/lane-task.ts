/** What the main thread and a lane tell each other. */
import type { AnswerConfig } from '../../answer/answer-core.ts';
import type { SharedLimits } from '../../answer/answer-guard.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { ServerRole } from '../../../shared/role.ts';
import type { WitnessKey } from '../../witness/witness-keys.ts';
import type { LaneStateBuffers } from './lane-state.ts';
import type { RoleSockets } from './sockets.ts';

/** What a lane is started with. */
export interface LaneTask {
  /** Which of them it is, from 0. */
  readonly lane: number;
  readonly lanes: number;
  readonly families: readonly LaneFamily[];
  readonly state: LaneStateBuffers;
  /** Makes the witnesses; a message brings the next one. */
  readonly key: WitnessKey;
  /** A file descriptor that can be read once the lanes are to stop. */
  readonly wake: number;
  /** All lanes together. */
  readonly limits: SharedLimits | undefined;
}

export interface LaneFamily {
  readonly answers: Pick<AnswerConfig, 'family' | 'endpoints' | 'bound' | 'service'>;
  readonly sockets: RoleSockets;
  /** Whether the main thread may await datagrams of this family. */
  readonly tapped: boolean;
}

export type LaneMessage =
  | { readonly kind: 'ready' }
  /** A datagram that may be for the main thread. */
  | {
      readonly kind: 'datagram';
      readonly family: number;
      readonly role: ServerRole;
      readonly bytes: Uint8Array;
      readonly source: Endpoint;
    };
