/**
 * What peers and the broker say to each other over the WebSocket `/broker`, one JSON object a text
 * frame. A connection begins with `hello`, answered by `welcome`; `candidates` makes it a registered
 * peer, which may be introduced. Endpoints are in plans alone, and never in the list of peers.
 */
import Type, { type Static, type TSchema } from 'typebox';
import { NAT_TYPES } from '../nat/behaviour.ts';
import { TRANSPORTS } from '../punch/plan.ts';
import { PunchPlanSchema } from '../punch/plan-schema.ts';
import { PredictionSchema, PreflightSchema } from '../punch/schema.ts';
import { STRATEGY_NAMES } from '../punch/strategy.ts';
import { GivenWitnessSchema } from '../report/submission-schema.ts';
import { BrokerBehaviourSchema } from './behaviour.ts';

export { DEFAULT_ROOM, NAME_LENGTH, TEXT_LENGTH } from './names.ts';
export { TRANSPORTS, type Transport } from '../punch/plan.ts';

export const BROKER_SCHEMA = 'natprobe/broker@1';

/** Longer frames end the connection. */
export const MAX_FRAME_BYTES = 16 << 10;
export const MAX_PUBLIC_CANDIDATES = 8;
/** Private ones, which are no use but in the same network (MEASURING.md §4). */
export const MAX_PRIVATE_CANDIDATES = 4;
export const MAX_MAPPED_CANDIDATES = 2;

const ListOf = <Item extends TSchema>(item: Item, most: number) =>
  Type.Immutable(Type.Array(item, { maxItems: most }));
const Hexadecimal = (bytes: number) => Type.String({ pattern: `^[0-9a-f]{${2 * bytes}}$` });
/** Longer than what is kept of it: a peer is told of a name that is too long, and of other texts the rest is cut. */
const Words = Type.String({ maxLength: 1000 });
const Count = Type.Integer({ minimum: 0, maximum: 1e9 });
const Milliseconds = Type.Number({ minimum: 0, maximum: 1e9 });
/** An address is text of RFC 4291 once it has been read; here it is only short. */
const BrokerEndpoint = Type.Object({
  address: Type.String({ pattern: '^[0-9a-fA-F:.]{2,45}$' }),
  port: Type.Integer({ minimum: 1, maximum: 65535 }),
});
/** The asker's own number for a request, which is in what answers it. */
const RequestId = Type.Integer({ minimum: 0, maximum: 0xffffffff });
const PeerNumber = Type.Integer({ minimum: 1, maximum: 0xffffffff });
const IntroductionNumber = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
/** Of X25519 (RFC 7748), in base64url. */
const PublicKey = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' });

/** Whether a peer is introduced to whoever asks, only once it has said so, or never when others ask. */
export const CONSENTS = ['auto', 'ask', 'refuse'] as const;
export type Consent = (typeof CONSENTS)[number];
export const PUNCH_OUTCOMES = ['open', 'failed'] as const;
export const PUNCH_PATHS = ['direct', 'lan', 'hairpin', 'relay'] as const;

export const HelloSchema = Type.Object({
  kind: Type.Literal('hello'),
  schema: Type.Literal(BROKER_SCHEMA),
  /** DEFAULT_ROOM if absent. Who comes first decides whether a room has a key. */
  room: Type.Optional(Words),
  roomKey: Type.Optional(Words),
  /** Where the server wants one: a JWT (RFC 7519) that names the room, and may name the peer. */
  roomToken: Type.Optional(Type.String({ maxLength: 4096 })),
  name: Words,
  /** From an earlier `welcome`: goes on with that session, also if its connection seems to be open still. */
  token: Type.Optional(Type.String({ maxLength: 100 })),
  publicKey: PublicKey,
  consent: Type.Enum([...CONSENTS]),
  /** A family each, the one that was asked for or came first ahead. */
  behaviours: Type.Immutable(Type.Array(BrokerBehaviourSchema, { minItems: 1, maxItems: 2 })),
  /** How many NATs it is behind, one in another, and how long their mappings live, where that is known. */
  natLayers: Type.Optional(Type.Integer({ minimum: 0, maximum: 8 })),
  lifetimeMs: Type.Optional(Milliseconds),
});

/** Replaces all candidates before, but for those that answer a `prepare`; to be sent again before they are stale, as `registered` says. */
export const CandidatesSchema = Type.Object({
  kind: Type.Literal('candidates'),
  /**
   * Each is the `mapped` of a witness for purpose `broker` under the session's nonce; the first one is
   * preferred. Over UDP; none where there is no UDP, but then some of `tcp`.
   */
  public: ListOf(GivenWitnessSchema, MAX_PUBLIC_CANDIDATES),
  private: ListOf(BrokerEndpoint, MAX_PRIVATE_CANDIDATES),
  /** Of a port mapper, through which a packet of the server came; its address is that of a witnessed one. */
  mapped: ListOf(BrokerEndpoint, MAX_MAPPED_CANDIDATES),
  /** For TCP: witnesses that came over TCP connections to the server, which stay open. */
  tcp: Type.Optional(ListOf(GivenWitnessSchema, MAX_PUBLIC_CANDIDATES)),
  /** The `prepare` that these answer. Its plan is made with them, and no other: they replace nothing, and the plan is the answer. */
  introduction: Type.Optional(IntroductionNumber),
});

export const OutcomeSchema = Type.Object({
  kind: Type.Literal('outcome'),
  introduction: IntroductionNumber,
  outcome: Type.Enum([...PUNCH_OUTCOMES]),
  strategy: Type.Optional(Type.Enum([...STRATEGY_NAMES])),
  path: Type.Optional(Type.Enum([...PUNCH_PATHS])),
  packets: Count,
  timeMs: Milliseconds,
  reason: Type.Optional(Words),
});

/**
 * What a side says, once, of a relay that its plan named, and the other side is told: the relayed address
 * that it was given there, at which it takes packets of the other's; without `endpoint` it was given none.
 */
export const RelayedSchema = Type.Object({
  kind: Type.Literal('relayed'),
  introduction: IntroductionNumber,
  endpoint: Type.Optional(BrokerEndpoint),
});

/** The broker's question, and the peer's answer with the same number; its time is a round trip. */
const HeartbeatSchema = Type.Object({ kind: Type.Literal('heartbeat'), beat: Count });
const IntroduceSchema = Type.Object({
  kind: Type.Literal('introduce'),
  id: RequestId,
  /** By name or by number. */
  peer: Type.Union([Words, PeerNumber]),
  /** 1 if absent: each further one wants fresh candidates of fresh sockets (MEASURING.md §7). */
  attempt: Type.Optional(Type.Integer({ minimum: 1, maximum: 16 })),
  /** UDP if absent. */
  transport: Type.Optional(Type.Enum([...TRANSPORTS])),
});
/** What an introduction to that peer would promise, without asking it. */
const ForeseeSchema = Type.Object({
  kind: Type.Literal('foresee'),
  id: RequestId,
  peer: Type.Union([Words, PeerNumber]),
  /** UDP if absent. */
  transport: Type.Optional(Type.Enum([...TRANSPORTS])),
});
const AskedPeersSchema = Type.Object({ kind: Type.Literal('peers'), id: RequestId });
const ConsentSchema = Type.Object({ kind: Type.Literal('consent'), introduction: IntroductionNumber });
/** Of whoever is asked; of the asker, who wants it no more; and of either side that ends a punch before it knows how it went. */
const RefuseSchema = Type.Object({
  kind: Type.Literal('refuse'),
  introduction: IntroductionNumber,
  text: Type.Optional(Words),
});
/** Gives the name up, and ends the connection. */
const ByeSchema = Type.Object({ kind: Type.Literal('bye') });

/** What peers say. */
export const ClientMessageSchema = Type.Union([
  HelloSchema,
  CandidatesSchema,
  HeartbeatSchema,
  AskedPeersSchema,
  ForeseeSchema,
  IntroduceSchema,
  ConsentSchema,
  RefuseSchema,
  RelayedSchema,
  OutcomeSchema,
  ByeSchema,
]);
export type ClientMessage = Static<typeof ClientMessageSchema>;
export type Hello = Static<typeof HelloSchema>;
export type Candidates = Static<typeof CandidatesSchema>;
export type Introduce = Static<typeof IntroduceSchema>;
export type Foresee = Static<typeof ForeseeSchema>;
export type Refuse = Static<typeof RefuseSchema>;
export type Outcome = Static<typeof OutcomeSchema>;
export type Relayed = Static<typeof RelayedSchema>;

/** What peers of a room know of each other. */
const PeerSchema = Type.Object({
  number: PeerNumber,
  name: Type.String(),
  type: Type.Enum([...NAT_TYPES]),
});
export type BrokerPeer = Static<typeof PeerSchema>;

/** Of `natprobe/predict@1`; side `a` is the one that asked. */
const { outcome, probability, strategy, plain } = PredictionSchema.properties;
const PlannedPredictionSchema = Type.Object({ outcome, probability, strategy, plain });
/** Of `natprobe/preflight@1`. */
const { budget, reasons } = PreflightSchema.properties;
export type PlannedPrediction = Static<typeof PlannedPredictionSchema>;

/** A TURN server (RFC 8656) as WebRTC names it; a relay that wants no credentials has none. */
export const RelaySchema = Type.Object({
  urls: Type.Immutable(Type.Array(Type.String({ maxLength: 300 }), { minItems: 1, maxItems: 8 })),
  username: Type.Optional(Type.String({ maxLength: 512 })),
  credential: Type.Optional(Type.String({ maxLength: 512 })),
  /** How long the credentials hold. */
  lifetimeMs: Type.Optional(Milliseconds),
});
export type Relay = Static<typeof RelaySchema>;

export const PlanSchema = Type.Object({
  kind: Type.Literal('plan'),
  introduction: IntroductionNumber,
  /** Of the request that it answers, if this side asked. */
  id: Type.Optional(RequestId),
  /** `a` asked. */
  side: Type.Enum(['a', 'b']),
  peer: PeerSchema,
  prediction: PlannedPredictionSchema,
  /** `startInMs` counts from when this arrives. */
  plan: PunchPlanSchema,
  /** Where the two may be relayed, if the server has such a place. */
  relay: Type.Optional(RelaySchema),
});
export type Plan = Static<typeof PlanSchema>;

/** What the broker says. */
export const ServerMessageSchema = Type.Union([
  Type.Object({
    kind: Type.Literal('welcome'),
    schema: Type.Literal(BROKER_SCHEMA),
    peer: PeerNumber,
    room: Type.String(),
    /** As it was taken: without control characters. */
    name: Type.String(),
    /** Secret: who has it has the name. */
    token: Type.String(),
    /** For witnesses of this session. */
    nonce: Hexadecimal(16),
    heartbeatMs: Milliseconds,
    /** How long the name is kept for a peer whose connection is lost. */
    graceMs: Milliseconds,
    resumed: Type.Boolean(),
  }),
  Type.Object({
    kind: Type.Literal('registered'),
    public: ListOf(BrokerEndpoint, MAX_PUBLIC_CANDIDATES),
    /** Until the first of them is stale. */
    renewInMs: Milliseconds,
  }),
  Type.Object({ kind: Type.Literal('peers'), id: RequestId, peers: Type.Immutable(Type.Array(PeerSchema)) }),
  Type.Object({
    kind: Type.Literal('prediction'),
    id: RequestId,
    peer: PeerSchema,
    prediction: PlannedPredictionSchema,
    budget,
    reasons,
  }),
  /**
   * Fresh candidates are wanted for an introduction, from fresh sockets: ports that move have moved since,
   * an attempt has failed, or it is over TCP. `candidates` with its number answers.
   */
  Type.Object({
    kind: Type.Literal('prepare'),
    introduction: IntroductionNumber,
    transport: Type.Enum([...TRANSPORTS]),
    timeoutMs: Milliseconds,
  }),
  /** The peer is being asked. */
  Type.Object({ kind: Type.Literal('waiting'), id: RequestId, introduction: IntroductionNumber }),
  /** Somebody wants to be introduced; `consent` or `refuse` answers. */
  Type.Object({
    kind: Type.Literal('ask'),
    introduction: IntroductionNumber,
    peer: PeerSchema,
    timeoutMs: Milliseconds,
  }),
  /** What was asked is no question any more; or the peer has ended the punch. */
  Type.Object({ kind: Type.Literal('withdrawn'), introduction: IntroductionNumber }),
  PlanSchema,
  RelayedSchema,
  HeartbeatSchema,
  Type.Object({
    kind: Type.Literal('error'),
    /** Of the request that can't be met. */
    id: Type.Optional(RequestId),
    code: Type.String(),
    text: Type.String(),
    remedy: Type.String(),
  }),
]);
export type ServerMessage = Static<typeof ServerMessageSchema>;
