import Type from 'typebox';

const EndpointText = Type.String({ description: '192.0.2.1:3478 or [2001:db8::1]:3478' });

/** One address family as served; AP and AA are there with two addresses only, and a partner's while it is there. */
export const FamilyStatus = Type.Object({
  family: Type.Union([Type.Literal('ipv4'), Type.Literal('ipv6')]),
  mode: Type.Union([Type.Literal('two-address'), Type.Literal('one-address')]),
  /** As advertised to clients. */
  endpoints: Type.Object({
    PP: EndpointText,
    PA: EndpointText,
    AP: Type.Optional(EndpointText),
    AA: Type.Optional(EndpointText),
  }),
});
export type FamilyStatus = Type.Static<typeof FamilyStatus>;

/** What answers UDP. */
export const UdpStatus = Type.Object({
  kind: Type.Union([Type.Literal('batched'), Type.Literal('dgram')]),
  lanes: Type.Integer({ minimum: 0, description: 'Threads that answer; 0 where the main one does' }),
  restarts: Type.Integer({
    minimum: 0,
    description: 'How often one of them has died and been started again',
  }),
  kernelDrops: Type.Optional(
    Type.Integer({ minimum: 0, description: 'Datagrams that the kernel dropped before they were read' }),
  ),
});
export type UdpStatus = Type.Static<typeof UdpStatus>;

/** How it stands with the host that has the other address. */
export const HealthOfPair = Type.Object({
  name: Type.String(),
  partner: Type.Union([Type.Literal('there'), Type.Literal('lost')]),
  roundTripMs: Type.Optional(
    Type.Integer({ minimum: 0, description: 'To it and back, over NATS, while it is there' }),
  ),
});
export type HealthOfPair = Type.Static<typeof HealthOfPair>;

/** How it stands with NATS, over which servers work together. */
export const HealthOfNats = Type.Object({
  connection: Type.Union([Type.Literal('there'), Type.Literal('lost')]),
  names: Type.Optional(
    Type.Union([Type.Literal('there'), Type.Literal('lost')], {
      description:
        'What keeps the names of peers that the brokers of all servers share: lost, nobody can join',
    }),
  ),
});
export type HealthOfNats = Type.Static<typeof HealthOfNats>;

/** What GET /healthz says. */
export const Health = Type.Object({
  status: Type.Literal('ok'),
  version: Type.String(),
  uptimeMs: Type.Integer({ minimum: 0 }),
  families: Type.Array(FamilyStatus),
  /** Once its sockets are open. */
  udp: Type.Optional(UdpStatus),
  /** With --pair. */
  pair: Type.Optional(HealthOfPair),
  /** With --nats. */
  nats: Type.Optional(HealthOfNats),
});
export type Health = Type.Static<typeof Health>;

/** What GET /readyz says while all is well. */
export const Readiness = Type.Object({ status: Type.Literal('ready') });
export type Readiness = Type.Static<typeof Readiness>;
