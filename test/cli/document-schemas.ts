/** What `natprobe punch`, `join` and `peers` print with --json, as schemas: names that are there stay. */
import Type, { type Static } from 'typebox';
import type { RoomEvent } from '../../probe/cli/render/room-events.ts';
import type { PunchReport } from '../../probe/hole.ts';
import { PlanSchema, PUNCH_OUTCOMES, PUNCH_PATHS, TRANSPORTS } from '../../shared/broker/messages.ts';
import { STRATEGY_NAMES } from '../../shared/punch/strategy.ts';

const { peer, prediction, relay } = PlanSchema.properties;
const EndpointText = Type.String({ pattern: '^(\\d+\\.\\d+\\.\\d+\\.\\d+|\\[[0-9a-f:]+\\]):\\d+$' });
const Milliseconds = Type.Number({ minimum: 0 });
const Count = Type.Integer({ minimum: 0 });

/** `natprobe/punch@1`. */
export const PunchReportSchema = Type.Object({
  schema: Type.Literal('natprobe/punch@1'),
  outcome: Type.Enum([...PUNCH_OUTCOMES]),
  strategy: Type.Enum([...STRATEGY_NAMES]),
  path: Type.Optional(Type.Enum([...PUNCH_PATHS])),
  transport: Type.Enum([...TRANSPORTS]),
  peer,
  predicted: prediction,
  endpoints: Type.Object({ local: Type.Optional(EndpointText), remote: Type.Optional(EndpointText) }),
  timing: Type.Object({ totalMs: Milliseconds, rttMs: Type.Optional(Milliseconds) }),
  packets: Count,
  attempts: Count,
  reason: Type.Optional(Type.String()),
  code: Type.Optional(Type.String()),
  relay,
});

/** `natprobe/peers@1`. */
export const PeersSchema = Type.Object({
  schema: Type.Literal('natprobe/peers@1'),
  room: Type.String(),
  peers: Type.Array(peer),
});

const Stamp = {
  schema: Type.Literal('natprobe/join@1'),
  at: Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' }),
};

/** A line of `natprobe/join@1`. */
export const RoomEventSchema = Type.Union([
  Type.Object({
    ...Stamp,
    event: Type.Literal('registered'),
    name: Type.String(),
    number: Count,
    room: Type.String(),
  }),
  Type.Object({ ...Stamp, event: Type.Literal('asked'), peer, timeoutMs: Milliseconds }),
  Type.Object({
    ...Stamp,
    event: Type.Literal('answered'),
    peer,
    answer: Type.Enum(['yes', 'no', 'withdrawn']),
  }),
  Type.Object({ ...Stamp, event: Type.Literal('punching'), peer, predicted: prediction, attempt: Count }),
  Type.Object({ ...Stamp, event: Type.Enum(['open', 'failed', 'reopened']), report: PunchReportSchema }),
  Type.Object({ ...Stamp, event: Type.Literal('lost'), peer, silentMs: Milliseconds }),
  Type.Object({ ...Stamp, event: Type.Literal('closed'), peer }),
  Type.Object({ ...Stamp, event: Type.Literal('trouble'), code: Type.String(), message: Type.String() }),
]);

type Covers<A, B> = [A] extends [B] ? true : false;

/** The compiler's proof that what the program prints is what the schemas have. */
export const DOCUMENTS_AGREE: readonly [
  Covers<PunchReport, Static<typeof PunchReportSchema>>,
  Covers<RoomEvent, Static<typeof RoomEventSchema>>,
] = [true, true];
