/**
 * The report as a JSON Schema (TypeBox), for whoever takes one in: the server's `/classify`, tests,
 * other programs. The probe itself doesn't load it. Fields that aren't named here are allowed.
 */
import Type from 'typebox';
import type { Static, TSchema } from 'typebox';
import {
  type BindingEvidence,
  type EndpointsEvidence,
  type Evidence,
  INTERFACE_KINDS,
  type InterfaceEvidence,
  type Nat64Evidence,
  PORT_MAPPER_ERRORS,
  PORT_MAPPER_PROTOCOLS,
  type PortMapperEvidence,
  type RefusalEvidence,
  type RunEvidence,
  SOCKET_PURPOSES,
  type SocketEvidence,
  type TcpBindingEvidence,
  type TcpDialEvidence,
  type TcpEvidence,
} from '../nat/evidence.ts';
import { CANDIDATE_TYPES } from '../ice/candidate.ts';
import type { IceCheckEvidence } from '../nat/ice-evidence.ts';
import { FILTERINGS, MAPPINGS, NAT_TYPES } from '../nat/behaviour.ts';
import { DIAL_ORIGINS, DIAL_OUTCOMES } from '../stun/attributes/dial-back.ts';
import type { Axes, AxisEvidence } from '../nat/axes.ts';
import type { PortMappingReport } from './port-mapping.ts';
import { REPORT_SCHEMA, type Report, type ReportDelivery } from './report.ts';

const ListOf = <Item extends TSchema>(item: Item) => Type.Immutable(Type.Array(item));
const Milliseconds = Type.Number({ minimum: 0 });
const Count = Type.Integer({ minimum: 0 });
export const FamilySchema = Type.Enum(['ipv4', 'ipv6']);
const EndpointText = Type.String({
  pattern: '^(\\[[0-9a-f:.]+\\]|[0-9.]+):[0-9]{1,5}$',
  description: '192.0.2.1:3478, [2001:db8::1]:3478',
});
const Nat64PrefixText = Type.String({ pattern: '^[0-9a-f:.]+/[0-9]+$', description: '64:ff9b::/96' });
export const EndpointSchema = Type.Object({
  address: Type.String({ pattern: '^[0-9a-f:.]+$' }),
  port: Type.Integer({ minimum: 0, maximum: 65535 }),
});

export const RunEvidenceSchema = Type.Object({
  kind: Type.Literal('run'),
  family: FamilySchema,
  servers: ListOf(EndpointSchema),
  untilMs: Milliseconds,
  timeoutMs: Milliseconds,
  paceMs: Milliseconds,
});

export const SocketEvidenceSchema = Type.Object({
  kind: Type.Literal('socket'),
  socket: Type.String(),
  purpose: Type.Enum([...SOCKET_PURPOSES]),
  local: EndpointSchema,
});

const TransactionIdText = Type.String({ pattern: '^[0-9a-f]+$' });

const ReplyBase = { send: Count, atMs: Milliseconds, from: EndpointSchema };

const BindingReplySchema = Type.Union([
  Type.Object({
    kind: Type.Literal('response'),
    ...ReplyBase,
    mapped: EndpointSchema,
    plainMapped: Type.Optional(EndpointSchema),
    mappedIn: Type.Optional(Type.Enum(['mapped-address', 'xor-mapped-address'])),
    bytes: Type.Optional(Count),
    origin: Type.Optional(EndpointSchema),
    other: Type.Optional(EndpointSchema),
  }),
  Type.Object({
    kind: Type.Literal('receipt'),
    ...ReplyBase,
    sentFrom: EndpointSchema,
    relayDelayMs: Milliseconds,
  }),
  Type.Object({
    kind: Type.Literal('error'),
    ...ReplyBase,
    code: Type.Integer(),
    unknownAttributes: ListOf(Type.Integer()),
  }),
]);

export const BindingEvidenceSchema = Type.Object({
  kind: Type.Literal('binding'),
  socket: Type.String(),
  to: EndpointSchema,
  change: Type.Optional(Type.Object({ address: Type.Boolean(), port: Type.Boolean() })),
  responsePort: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535 })),
  paddingBytes: Type.Optional(Count),
  receipt: Type.Boolean(),
  sends: ListOf(Type.Object({ atMs: Milliseconds, transactionId: TransactionIdText })),
  replies: ListOf(BindingReplySchema),
  strays: Type.Optional(
    ListOf(Type.Object({ kind: Type.Enum(['response', 'request']), ...ReplyBase, socket: Type.String() })),
  ),
});

export const TcpEvidenceSchema = Type.Object({
  kind: Type.Literal('tcp'),
  to: EndpointSchema,
  atMs: Milliseconds,
  outcome: Type.Enum(['pending', 'answered', 'connected', 'refused', 'unreachable', 'timeout']),
  connectMs: Type.Optional(Milliseconds),
  answerMs: Type.Optional(Milliseconds),
});

export const IceBrowserStatsSchema = Type.Object({
  localCandidates: Count,
  pairs: Count,
  checksSent: Type.Optional(Count),
  localType: Type.Optional(Type.Enum([...CANDIDATE_TYPES])),
});

export const IceCheckEvidenceSchema = Type.Object({
  kind: Type.Literal('ice-check'),
  connection: Type.String(),
  purpose: Type.Enum(['mapping', 'filtering']),
  offered: ListOf(EndpointSchema),
  received: ListOf(
    Type.Object({
      atMs: Milliseconds,
      at: EndpointSchema,
      from: EndpointSchema,
      priority: Count,
      count: Count,
    }),
  ),
  checks: ListOf(
    Type.Object({
      from: EndpointSchema,
      to: EndpointSchema,
      transactionId: TransactionIdText,
      sentMs: ListOf(Milliseconds),
      answers: ListOf(
        Type.Object({ atMs: Milliseconds, from: EndpointSchema, code: Type.Optional(Type.Integer()) }),
      ),
    }),
  ),
  browser: Type.Optional(IceBrowserStatsSchema),
});

export const RefusalEvidenceSchema = Type.Object({
  kind: Type.Literal('refusal'),
  to: EndpointSchema,
  atMs: Milliseconds,
  reason: Type.Enum(['port-unreachable', 'unreachable']),
});

export const TcpBindingEvidenceSchema = Type.Object({
  kind: Type.Literal('tcp-binding'),
  socket: Type.String(),
  purpose: Type.Enum(['mapping', 'filtering']),
  to: EndpointSchema,
  atMs: Milliseconds,
  outcome: Type.Enum(['pending', 'connected', 'answered', 'refused', 'unreachable', 'closed']),
  local: Type.Optional(EndpointSchema),
  connectMs: Type.Optional(Milliseconds),
  mapped: Type.Optional(EndpointSchema),
  other: Type.Optional(EndpointSchema),
});

export const TcpDialEvidenceSchema = Type.Object({
  kind: Type.Literal('tcp-dial'),
  socket: Type.String(),
  origin: Type.Enum([...DIAL_ORIGINS]),
  atMs: Milliseconds,
  timeoutMs: Milliseconds,
  outcome: Type.Enum(['pending', 'unsupported', ...DIAL_OUTCOMES]),
  tookMs: Type.Optional(Milliseconds),
  dialledFrom: Type.Optional(EndpointSchema),
  acceptedAtMs: Type.Optional(Milliseconds),
});

const AddressText = Type.String({ pattern: '^[0-9a-f:.]+$' });

export const EndpointsEvidenceSchema = Type.Object({
  kind: Type.Literal('endpoints'),
  local: EndpointSchema,
  mapped: ListOf(EndpointSchema),
});

export const InterfaceEvidenceSchema = Type.Object({
  kind: Type.Literal('interface'),
  name: Type.String(),
  interfaceKind: Type.Enum([...INTERFACE_KINDS]),
  address: AddressText,
  onPath: Type.Boolean(),
  gateway: Type.Optional(AddressText),
});

export const PortMapperEvidenceSchema = Type.Object({
  kind: Type.Literal('port-mapper'),
  protocol: Type.Enum([...PORT_MAPPER_PROTOCOLS]),
  gateway: AddressText,
  externalAddress: Type.Optional(AddressText),
  latencyMs: Milliseconds,
  error: Type.Optional(Type.Enum([...PORT_MAPPER_ERRORS])),
});

export const Nat64EvidenceSchema = Type.Object({
  kind: Type.Literal('nat64'),
  prefix: Nat64PrefixText,
  used: Type.Boolean(),
});

/** The kinds that this version knows; fields that they do not name are nobody’s. */
export const KNOWN_EVIDENCE = [
  RunEvidenceSchema,
  SocketEvidenceSchema,
  BindingEvidenceSchema,
  TcpEvidenceSchema,
  RefusalEvidenceSchema,
  TcpBindingEvidenceSchema,
  TcpDialEvidenceSchema,
  EndpointsEvidenceSchema,
  InterfaceEvidenceSchema,
  PortMapperEvidenceSchema,
  IceCheckEvidenceSchema,
  Nat64EvidenceSchema,
];

/** Readers ignore other kinds. */
export const KNOWN_EVIDENCE_KINDS: ReadonlySet<string> = new Set(
  KNOWN_EVIDENCE.map(({ properties }) => properties.kind.const),
);

/** A kind that is known has its shape; one that isn't may have any, and readers pass over it. */
export const EvidenceSchema = Type.Unsafe<Evidence>({
  anyOf: [
    ...KNOWN_EVIDENCE,
    {
      type: 'object',
      required: ['kind'],
      properties: {
        kind: {
          type: 'string',
          not: { enum: [...KNOWN_EVIDENCE_KINDS] },
        },
      },
    },
  ],
});

export const VerdictSchema = Type.Object({
  type: Type.Enum([...NAT_TYPES]),
  mapping: Type.Enum([...MAPPINGS]),
  filtering: Type.Enum([...FILTERINGS]),
  confidence: Type.Number({ minimum: 0, maximum: 1 }),
  reasons: ListOf(Type.Object({ code: Type.String(), text: Type.String() })),
});

const familyReport = {
  verdict: VerdictSchema,
  endpoints: Type.Object({
    local: Type.Optional(EndpointText),
    mapped: Type.Optional(EndpointText),
    nat64: Type.Optional(Nat64PrefixText),
  }),
  server: Type.Object({
    asked: ListOf(Type.String()),
    unresolved: Type.Optional(ListOf(Type.String())),
    endpoints: ListOf(EndpointText),
    alternate: Type.Optional(EndpointText),
    receipts: Type.Boolean(),
  }),
  timing: Type.Object({
    totalMs: Milliseconds,
    rttMs: Type.Optional(Milliseconds),
    surveyMs: Type.Optional(Milliseconds),
  }),
  evidence: ListOf(EvidenceSchema),
  /** Follows from axisEvidence, so that its shape is the judge's to keep. */
  axes: Type.Optional(Type.Unsafe<Axes>({ type: 'object' })),
  axisEvidence: Type.Optional(
    Type.Unsafe<AxisEvidence>({ type: 'object', additionalProperties: ListOf(EvidenceSchema) }),
  ),
};

export const FamilyReportSchema = Type.Object(familyReport);

export const SkippedFamilySchema = Type.Object({
  skipped: Type.Object({
    code: Type.Enum(['not-asked', 'no-address', 'no-route', 'unreachable', 'late']),
    text: Type.String(),
  }),
});

const EitherFamily = Type.Union([FamilyReportSchema, SkippedFamilySchema]);

const DeliverySchema = Type.Unsafe<ReportDelivery>(
  Type.Union([
    Type.Object({
      url: Type.String(),
      id: Type.String(),
      endpointsWitnessed: Type.Union([Type.Boolean(), Type.Literal('partly')]),
      claimsFollow: Type.Boolean(),
    }),
    Type.Object({ failed: Type.Object({ code: Type.String(), text: Type.String() }) }),
  ]),
);

/** `natprobe/report@1`. */
export const ReportSchema = Type.Object(
  {
    schema: Type.Literal(REPORT_SCHEMA),
    family: FamilySchema,
    families: Type.Object({ ipv4: EitherFamily, ipv6: EitherFamily }),
    startedAt: Type.String({ format: 'date-time' }),
    source: Type.Optional(Type.Literal('browser')),
    judgeVersion: Type.Integer({ minimum: 1 }),
    ...familyReport,
    /** What the router was asked to do for this machine, which is no part of the verdict. */
    portMapping: Type.Optional(
      Type.Unsafe<PortMappingReport>({
        type: 'object',
        required: ['outcome'],
        properties: { outcome: { enum: ['mapped', 'failed'] } },
      }),
    ),
    /** Where it was handed to before. */
    report: Type.Optional(DeliverySchema),
  },
  { title: 'Report', description: 'What natprobe measured of a NAT, and how it was judged' },
);

type Agree<A, B> = [A, B] extends [B, A] ? true : false;

/** The compiler's proof that what is written and what is checked are the same; it has no other use. */
export const SCHEMA_AGREES: readonly [
  Agree<Static<typeof ReportSchema>, Report>,
  Agree<Static<typeof RunEvidenceSchema>, RunEvidence>,
  Agree<Static<typeof SocketEvidenceSchema>, SocketEvidence>,
  Agree<Static<typeof BindingEvidenceSchema>, BindingEvidence>,
  Agree<Static<typeof TcpEvidenceSchema>, TcpEvidence>,
  Agree<Static<typeof RefusalEvidenceSchema>, RefusalEvidence>,
  Agree<Static<typeof TcpBindingEvidenceSchema>, TcpBindingEvidence>,
  Agree<Static<typeof TcpDialEvidenceSchema>, TcpDialEvidence>,
  Agree<Static<typeof EndpointsEvidenceSchema>, EndpointsEvidence>,
  Agree<Static<typeof InterfaceEvidenceSchema>, InterfaceEvidence>,
  Agree<Static<typeof PortMapperEvidenceSchema>, PortMapperEvidence>,
  Agree<Static<typeof IceCheckEvidenceSchema>, IceCheckEvidence>,
  Agree<Static<typeof Nat64EvidenceSchema>, Nat64Evidence>,
] = [true, true, true, true, true, true, true, true, true, true, true, true, true];
