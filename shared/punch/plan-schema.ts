/** Plans as a JSON Schema (TypeBox), for whoever sends or takes them. */
import Type from 'typebox';
import type { Static, TSchema } from 'typebox';
import { canonicalAddress } from '../endpoint.ts';
import { CANDIDATE_KINDS, PUNCH_ROLES, type PunchPlan, TRANSPORTS } from './plan.ts';
import { MAX_GUESSES } from './port-odds.ts';
import { STRATEGY_NAMES } from './strategy.ts';

const ListOf = <Item extends TSchema>(item: Item, maxItems: number) =>
  Type.Immutable(Type.Array(item, { maxItems }));
const Milliseconds = Type.Number({ minimum: 0, maximum: 3_600_000 });
const Count = (maximum: number) => Type.Integer({ minimum: 0, maximum });
const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
/** IP addresses, written as nothing else is: a plan names no hosts. */
const Address = Type.Refine(Type.String({ maxLength: 45 }), (text) => canonicalAddress(text) === text);
const EndpointSchema = Type.Object({ address: Address, port: Port });
const StrategyNameSchema = Type.Enum([...STRATEGY_NAMES]);
/** Few networks are deeper, and a larger one would reach the peer from anywhere. */
const Ttl = Type.Integer({ minimum: 1, maximum: 16 });
const PortsSchema = Type.Object({ first: Port, last: Port });

/** More endpoints are in no plan. */
const MOST_ENDPOINTS = 16;
const MOST_STEPS = 32;
const MOST_SOCKETS = 512;
/** Whoever refuses connections isn't asked more often. */
const LEAST_RETRY_MS = 20;

export const PunchCandidateSchema = Type.Object({
  kind: Type.Enum([...CANDIDATE_KINDS]),
  endpoint: EndpointSchema,
});

const StepActionSchema = Type.Union([
  Type.Object({
    kind: Type.Literal('check'),
    to: ListOf(EndpointSchema, MOST_ENDPOINTS),
    ttl: Type.Optional(Ttl),
  }),
  Type.Object({
    kind: Type.Literal('guess'),
    address: Address,
    ports: ListOf(Port, MAX_GUESSES),
    rounds: Count(8),
  }),
  Type.Object({
    kind: Type.Literal('spray'),
    address: Address,
    ranges: ListOf(Type.Object({ first: Port, last: Port, step: Port }), MAX_GUESSES),
    probes: Count(MAX_GUESSES),
  }),
  Type.Object({
    kind: Type.Literal('spread'),
    to: EndpointSchema,
    sockets: Count(MOST_SOCKETS),
    localPorts: Type.Optional(PortsSchema),
    ttl: Type.Optional(Ttl),
    rounds: Type.Optional(Count(8)),
    isPaired: Type.Optional(Type.Boolean()),
  }),
  Type.Object({
    kind: Type.Literal('connect'),
    to: ListOf(EndpointSchema, MOST_ENDPOINTS),
    everyMs: Type.Optional(Type.Number({ minimum: LEAST_RETRY_MS, maximum: 60_000 })),
  }),
  Type.Object({ kind: Type.Literal('listen'), family: Type.Enum(['ipv4', 'ipv6']) }),
]);

export const PunchPlanSchema = Type.Object(
  {
    transport: Type.Enum([...TRANSPORTS]),
    role: Type.Enum([...PUNCH_ROLES]),
    peer: Type.Object({
      publicKey: Type.String({ maxLength: 64 }),
      candidates: ListOf(PunchCandidateSchema, MOST_ENDPOINTS),
    }),
    startInMs: Milliseconds,
    steps: ListOf(
      Type.Object({
        strategy: StrategyNameSchema,
        atMs: Milliseconds,
        untilMs: Milliseconds,
        action: StepActionSchema,
      }),
      MOST_STEPS,
    ),
    timeMs: Milliseconds,
    limits: Type.Object({ packetsPerSecond: Count(10_000), packets: Count(100_000) }),
    keepaliveMs: Milliseconds,
    attempt: Type.Integer({ minimum: 1, maximum: 16 }),
    attempts: Type.Integer({ minimum: 1, maximum: 16 }),
    predicted: Type.Object({
      strategy: StrategyNameSchema,
      probability: Type.Number({ minimum: 0, maximum: 1 }),
    }),
  },
  { title: 'natprobe punch plan', description: 'What one side of a punch does, and when' },
);

type Agree<A, B> = [A, B] extends [B, A] ? true : false;

/** The compiler's proof that what is written and what is checked are the same; it has no other use. */
export const PLAN_SCHEMA_AGREES: Agree<Static<typeof PunchPlanSchema>, PunchPlan> = true;
