/** What the main thread and a lane tell each other. */
import type { AnswerConfig } from '../../answer/answer-core.ts';
import type { SharedLimits } from '../../answer/answer-guard.ts';
import type { PartnerEndpoints, RelayedAnswer } from '../../answer/relayed-answer.ts';
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
  /** Makes the witnesses; an order brings the next one. */
  readonly key: WitnessKey;
  /** Whose endpoints are AP and AA where it has none of its own; an order brings others, or takes them. */
  readonly partner: PartnerEndpoints | undefined;
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

/** What the main thread tells a lane. */
export type LaneOrder =
  | { readonly kind: 'key'; readonly key: WitnessKey }
  | { readonly kind: 'partner'; readonly partner: PartnerEndpoints | undefined };

export type LaneMessage =
  | { readonly kind: 'ready' }
  /** A datagram that may be for the main thread. */
  | {
      readonly kind: 'datagram';
      readonly family: number;
      readonly role: ServerRole;
      readonly bytes: Uint8Array;
      readonly source: Endpoint;
    }
  /** An answer for another host to send. */
  | { readonly kind: 'relay'; readonly answer: RelayedAnswer };
