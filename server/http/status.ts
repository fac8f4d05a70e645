import Type from 'typebox';

const EndpointText = Type.String({ description: '192.0.2.1:3478 or [2001:db8::1]:3478' });

/** One address family as served; AP and AA are there with two addresses only. */
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

/** What GET /healthz says. */
export const Health = Type.Object({
  status: Type.Literal('ok'),
  version: Type.String(),
  uptimeMs: Type.Integer({ minimum: 0 }),
  families: Type.Array(FamilyStatus),
});
export type Health = Type.Static<typeof Health>;

/** What GET /readyz says while all is well. */
export const Readiness = Type.Object({ status: Type.Literal('ready') });
export type Readiness = Type.Static<typeof Readiness>;
