import type { AnswerCounts } from './answer/answer-counters.ts';
import type { DialCounts } from './tcp/dial-back.ts';
import type { TcpCounts } from './tcp/stun-connection.ts';
import type { UdpCounts } from './udp/open-udp.ts';

/** Counts of one family since the start. */
export interface FamilyCounts {
  readonly udp: UdpCounts;
  readonly tcp: StreamCounts;
  /** If it is served. */
  readonly tls?: StreamCounts;
}

export interface StreamCounts extends AnswerCounts {
  readonly connections: Readonly<TcpCounts>;
  readonly dials: Readonly<DialCounts>;
}
