/** What the probe's own machines find out about one side of a punch before it. */
import { planPorts } from '../../probe/classify/inquiries/ports.ts';
import { planUnsolicited } from '../../probe/classify/inquiries/unsolicited.ts';
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

/** The verdict, how ports are picked where that matters, and what unasked packets do. */
export function measureSide({ network, hosts, realms, server }: PunchWorld, side: Side): KnownSide {
  const world: World = {
    family: 'ipv4',
    network,
    client: hosts[side],
    lan: realms[side],
    server,
    nat64: undefined,
  };
  const verdict = verdictOf(classifyIn(world)) ?? { mapping: 'unknown', filtering: 'unknown', confidence: 0 };
  const behaviour = { ...behaviourOf(verdict), confidence: verdict.confidence };
  const asked = { server: server.primary };
  const isSteady = verdict.mapping === 'none' || verdict.mapping === 'endpoint-independent';
  if (isSteady) {
    const { value } = assessUnsolicited(inquireIn(world, planUnsolicited(asked)).result!.evidence);
    return { behaviour: { ...behaviour, unsolicited: value } };
  }
  const ports = assessPorts(inquireIn(world, planPorts(asked)).result!.evidence);
  return { behaviour: { ...behaviour, ports: portOddsOf(ports) }, ports };
}
