/**
 * The simulated server as two hosts with one address each: what is to come from the other host's address
 * goes there, and word of it comes back, each in half of a round trip; until that host or what is between them dies.
 */
import { type Endpoint, type Family, familyOf } from '../../shared/endpoint.ts';
import { type ServerRole } from '../../shared/role.ts';
import { AnswerCore } from '../../server/answer/answer-core.ts';
import {
  type RelayedAnswer,
  refuseRelayed,
  relayedAnswer,
  stateRelayDelay,
} from '../../server/answer/relayed-answer.ts';
import { SourceAddress } from '../../server/answer/source-address.ts';
import { RELAY_TIMEOUT_MS } from '../../server/pair/pending-relays.ts';
import type { Network } from './network.ts';
import type { SimulatedServer } from './server.ts';

export interface PairConditions {
  /** From one host to the other and back. */
  readonly roundTripMs: number;
  readonly death?: {
    readonly of: 'other-host' | 'messages';
    readonly atMs: number;
    /** When the first host says that it has one address, and the other one likewise. */
    readonly noticedAtMs: number;
  };
}

type RoleEndpoint = readonly [Endpoint, Endpoint];

/** Has the server's sockets answer as those of a pair do. It is to have two addresses. */
export function pairHosts(network: Network, server: SimulatedServer, conditions: PairConditions): void {
  const { roundTripMs, death } = conditions;
  const [pp, pa, ap, aa] = server.endpoints;
  const family: Family = familyOf(pp.address);
  const first = coreOf(family, [pp, pa], [ap!, aa!]);
  const second = coreOf(family, [ap!, aa!], [pp, pa]);
  const source = new SourceAddress();
  if (death !== undefined)
    network.schedule(death.noticedAtMs, () => {
      first.usePartner(undefined);
      second.usePartner(undefined);
    });
  server.setTap((role, bytes, from) => {
    const isSecond = role >= 2;
    if (isSecond && isDead('other-host')) return true;
    const core = isSecond ? second : first;
    const ownRole = (role & 1) as ServerRole;
    source.set(from.address, from.port);
    const count = core.answer(bytes, 0, bytes.length, source, ownRole);
    if (count === 0) return true;
    if (core.outgoing[0].role >= 2) {
      relay(relayedAnswer(core.outgoing, count, { family, source: from, role: ownRole }), role & 2);
      return true;
    }
    for (const { role: sender, buffer, length, port } of core.outgoing.slice(0, count))
      server.sendFrom(
        (sender | (role & 2)) as ServerRole,
        { address: from.address, port },
        buffer.slice(0, length),
      );
    return true;
  });

  function isDead(what: 'other-host' | 'messages'): boolean {
    return death?.of === what && network.now >= death.atMs;
  }

  /** `asker` is 0 for the first host, 2 for the other. */
  function relay(answer: RelayedAnswer, asker: number): void {
    const askedAt = network.now;
    let isTold = false;
    const arrival = (answer.arrival | asker) as ServerRole;
    const tell = (bytes: Uint8Array): void => {
      isTold = true;
      if (asker === 0 || !isDead('other-host')) server.sendFrom(arrival, answer.source, bytes);
    };
    const carry = (then: () => void): void => {
      if (isDead('messages') || isDead('other-host')) return;
      network.schedule(network.now + roundTripMs / 2, () => {
        if (!isDead('other-host')) then();
      });
    };
    network.schedule(askedAt + RELAY_TIMEOUT_MS, () => {
      if (!isTold) tell(refuseRelayed(answer));
    });
    carry(() => {
      server.sendFrom((answer.port | (asker ^ 2)) as ServerRole, answer.to, answer.response);
      carry(() => {
        if (isTold || answer.receipt === undefined) return;
        stateRelayDelay(answer.receipt, Math.ceil(network.now - askedAt), family);
        tell(answer.receipt);
      });
    });
  }
}

function coreOf(family: Family, own: RoleEndpoint, partner: RoleEndpoint): AnswerCore {
  const core = new AnswerCore({ family, endpoints: [...own, undefined, undefined] });
  core.usePartner(partner);
  return core;
}
