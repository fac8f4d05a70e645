/**
 * What the brokers of several servers say to each other, one JSON object a message. The asker's server
 * leads an introduction; the one that has the other peer passes on what is said to that peer and by it.
 */
import Type, { type Static, type TSchema } from 'typebox';
import {
  CandidatesSchema,
  HelloSchema,
  OutcomeSchema,
  ServerMessageSchema,
  TRANSPORTS,
} from '../../../shared/broker/messages.ts';
import { ERROR_CATALOGUE, type ErrorCode } from '../../../shared/errors.ts';
import { jsonReader } from '../../../shared/json-reader.ts';

/** A server among those whose brokers are one; another one each time it starts. */
const Server = Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' });
const Milliseconds = Type.Number({ minimum: 0, maximum: 1e9 });
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const PeerNumber = Type.Integer({ minimum: 1, maximum: 0xffffffff });
const Code = Type.Enum(Object.keys(ERROR_CATALOGUE) as ErrorCode[]);
const ListOf = <Item extends TSchema>(item: Item) => Type.Immutable(Type.Array(item, { maxItems: 16 }));
const { private: Endpoints } = CandidatesSchema.properties;

const WitnessedSchema = ListOf(
  Type.Object({ endpoint: Endpoints.items, seenAgoMs: Milliseconds, leftMs: Milliseconds }),
);
const CandidatesHereSchema = Type.Object({
  udp: WitnessedSchema,
  tcp: WitnessedSchema,
  mapped: ListOf(Endpoints.items),
  private: ListOf(Endpoints.items),
});
export type CandidatesHere = Static<typeof CandidatesHereSchema>;

const { consent, publicKey, behaviours, natLayers, lifetimeMs } = HelloSchema.properties;
/** A peer as its own server knows it; its candidates have been checked there. */
const PeerHereSchema = Type.Object({
  number: PeerNumber,
  name: Type.String(),
  /** Whom limits go by. */
  client: Type.String(),
  /** Absent where none has been measured yet. */
  rttMs: Type.Optional(Milliseconds),
  traits: Type.Object({ consent, publicKey, behaviours, natLayers, lifetimeMs }),
  candidates: CandidatesHereSchema,
});
export type PeerHere = Static<typeof PeerHereSchema>;

const Asked = Type.Object({
  /** The asker's number for it. */
  id: Count,
  attempt: Type.Integer({ minimum: 1, maximum: 16 }),
  transport: Type.Enum([...TRANSPORTS]),
});
/** Of a peer that asks for another one: does somebody have it? */
const SeekSchema = Type.Object({
  from: Server,
  asker: Type.Object({ number: PeerNumber, name: Type.String() }),
  /** Absent where it only wants to know what a punch would promise. */
  asks: Type.Optional(Asked),
});
export type Seek = Static<typeof SeekSchema>;

const SeekAnswerSchema = Type.Union([
  Type.Object({
    kind: Type.Literal('found'),
    server: Server,
    peer: PeerHereSchema,
    /** That peer has asked for the asker as well: it consents, and waits for an answer to this. */
    back: Type.Optional(Asked),
  }),
  /** So it is, and the server that has that peer leads the introduction. */
  Type.Object({ kind: Type.Literal('led') }),
  Type.Object({ kind: Type.Literal('refused'), code: Code, detail: Type.Optional(Type.String()) }),
]);
export type SeekAnswer = Static<typeof SeekAnswerSchema>;

/** What a peer says of an introduction that another server leads. */
const WordSchema = Type.Union([
  Type.Object({ kind: Type.Literal('consent') }),
  Type.Object({ kind: Type.Literal('refuse'), text: Type.Optional(Type.String()) }),
  Type.Object({ kind: Type.Literal('prepared'), candidates: CandidatesHereSchema }),
  Type.Object({ kind: Type.Literal('unprepared'), detail: Type.Optional(Type.String()) }),
  Type.Object({ kind: Type.Literal('outcome'), outcome: Type.Omit(OutcomeSchema, ['kind', 'introduction']) }),
  Type.Object({ kind: Type.Literal('asks-back'), ...Asked.properties }),
  Type.Object({ kind: Type.Literal('relayed'), endpoint: Type.Optional(Endpoints.items) }),
  /** It can't be reached any more. */
  Type.Object({ kind: Type.Literal('gone') }),
]);
export type Word = Static<typeof WordSchema>;

const About = { from: Server, room: Type.String(), peer: PeerNumber, introduction: Count };
const PostSchema = Type.Union([
  /** To the peer; numbers of introductions are those of the server that leads them. */
  Type.Object({ kind: Type.Literal('tell'), ...About, message: ServerMessageSchema }),
  /** To the server that leads it. */
  Type.Object({ kind: Type.Literal('said'), ...About, word: WordSchema }),
  /** That session, by the keys of its room and name, has gone on with another server; later revisions are later. */
  Type.Object({ kind: Type.Literal('moved'), room: Type.String(), name: Type.String(), revision: Count }),
]);
export type Post = Static<typeof PostSchema>;

/** Undefined for what is none: of another version, or no message at all. */
export const decodeSeek: (text: string) => Seek | undefined = decoderOf(SeekSchema);
export const decodeSeekAnswer: (text: string) => SeekAnswer | undefined = decoderOf(SeekAnswerSchema);
export const decodePost: (text: string) => Post | undefined = decoderOf(PostSchema);

function decoderOf<Schema extends TSchema>(schema: Schema): (text: string) => Static<Schema> | undefined {
  const read = jsonReader(schema);
  return (text) => {
    const reading = read(text);
    return reading.kind === 'read' ? reading.value : undefined;
  };
}
