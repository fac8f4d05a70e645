/** What one peer, one client and everybody together may take of the broker. */
export interface BrokerLimits {
  /** Each of these, and each name that is kept for a connection that is lost. */
  readonly connections: number;
  /** From one address, or one /56 of IPv6; many machines may be behind a carrier's NAT. */
  readonly connectionsPerClient: number;
  readonly rooms: number;
  readonly peersPerRoom: number;
  /** Frames and bytes on one connection: so many a second, and twice as many at once. */
  readonly framesPerSecond: number;
  readonly bytesPerSecond: number;
  /** Introductions that a peer has asked for, or is asked about, and that are not decided. */
  readonly pendingPerPeer: number;
  /** That a peer may ask for in a second, and twice as many at once. */
  readonly introductionsPerSecond: number;
  /** The same of all peers of one client: a plan may take tens of milliseconds. */
  readonly introductionsPerClient: number;
  /** Plans of a peer whose outcome is not known yet. */
  readonly plansPerPeer: number;
}

export const DEFAULT_BROKER_LIMITS: BrokerLimits = {
  connections: 20_000,
  connectionsPerClient: 256,
  rooms: 10_000,
  peersPerRoom: 256,
  framesPerSecond: 20,
  bytesPerSecond: 32 << 10,
  pendingPerPeer: 8,
  introductionsPerSecond: 2,
  introductionsPerClient: 8,
  plansPerPeer: 64,
};

/** How long what may take; all in milliseconds. */
export interface BrokerTimes {
  /** From a connection to its hello. */
  readonly helloMs: number;
  /** From one heartbeat to the next. */
  readonly heartbeatMs: number;
  /** A connection on which nothing is heard for so long is taken for lost. */
  readonly silenceMs: number;
  /** A name whose connection is lost is kept for so long. */
  readonly graceMs: number;
  /** To say whether one consents. */
  readonly consentMs: number;
  /** To open fresh sockets and have them witnessed: over TCP that may take a lost SYN or two. */
  readonly prepareMs: number;
  /** Ports that move have moved on for sure once a candidate is so old. */
  readonly portsMs: number;
  /** To report the outcome of a plan: more than a birthday punch with its retries takes. */
  readonly outcomeMs: number;
  /** Where servers share names: for one to be decided on, less than what a peer waits for its welcome. */
  readonly claimMs: number;
  /** For a peer to be found at another server, twice; a server of the bus may fail in the meantime. */
  readonly seekMs: number;
  /** For an introduction between servers to be planned, once nobody is to be asked for consent. */
  readonly settleMs: number;
  /** Between two looks whether the server at the other end of an undecided introduction is there. */
  readonly checkMs: number;
}

export const DEFAULT_BROKER_TIMES: BrokerTimes = {
  helloMs: 10_000,
  heartbeatMs: 15_000,
  silenceMs: 35_000,
  graceMs: 30_000,
  consentMs: 30_000,
  prepareMs: 5000,
  portsMs: 1500,
  outcomeMs: 120_000,
  claimMs: 8000,
  seekMs: 800,
  settleMs: 4500,
  checkMs: 1000,
};

/** Where servers share names it is less, so that with the search for the peer it takes less than 5 s. */
export const PREPARE_BETWEEN_SERVERS_MS = 3300;
