/** What the probe's own machines find out about one side of a punch before it. */
import { planHairpin } from '../../probe/classify/inquiries/hairpin.ts';
import { planPorts } from '../../probe/classify/inquiries/ports.ts';
import { planUnsolicited } from '../../probe/classify/inquiries/unsolicited.ts';
import { assessHairpin } from '../../shared/nat/hairpin.ts';
import { assessPorts } from '../../shared/nat/ports.ts';
import { assessUnsolicited } from '../../shared/nat/unsolicited.ts';
import { behaviourOf } from '../../shared/punch/behaviour.ts';
import type { Side } from '../../shared/punch/plain.ts';
import { portOddsOf } from '../../shared/punch/port-odds.ts';
import { classifyIn, verdictOf } from './classify.ts';
import { inquireIn } from './inquire.ts';
import type { KnownSide } from './punch.ts';
import type { PunchWorld } from './punch-world.ts';
import type { World } from './scenario.ts';

/** The verdict, how ports are picked where that matters, what unasked packets do, and hairpinning if asked. */
export function measureSide(
  { network, hosts, realms, server }: PunchWorld,
  side: Side,
  { hairpin = false }: { readonly hairpin?: boolean } = {},
): KnownSide {
  const world: World = {
    family: 'ipv4',
    network,
    client: hosts[side],
    lan: realms[side],
    server,
    nat64: undefined,
  };
  const verdict = verdictOf(classifyIn(world)) ?? { mapping: 'unknown', filtering: 'unknown', confidence: 0 };
  const asked = { server: server.primary };
  const turning = hairpin
    ? assessHairpin(inquireIn(world, planHairpin(asked)).result!.evidence).value
    : 'unknown';
  const behaviour = { ...behaviourOf(verdict), confidence: verdict.confidence, hairpin: turning };
  const isSteady = verdict.mapping === 'none' || verdict.mapping === 'endpoint-independent';
  if (isSteady) {
    const { value } = assessUnsolicited(inquireIn(world, planUnsolicited(asked)).result!.evidence);
    return { behaviour: { ...behaviour, unsolicited: value } };
  }
  const ports = assessPorts(inquireIn(world, planPorts(asked)).result!.evidence);
  return { behaviour: { ...behaviour, ports: portOddsOf(ports) }, ports };
}
