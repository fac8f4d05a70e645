import { TYPE_NAMES } from '../nat/names.ts';
import type { Verdict } from '../nat/verdict.ts';
import { type Behaviour, punchesPlainly } from './plain.ts';
import { possibilitiesOf } from './possibilities.ts';
import { listWords } from '../words.ts';

/** Who can reach this machine without having been sent to, and what a peer needs. */
export function describeReach({ type, mapping, filtering }: Verdict): string {
  if (type === 'udp-blocked') return 'No peer over UDP, in either direction: use TCP, or a relay over TCP.';
  if (mapping === 'unknown') return 'Not known, since the mapping is not.';
  const moving = mapping !== 'none' && mapping !== 'endpoint-independent';
  switch (filtering) {
    case 'endpoint-independent':
      if (mapping === 'none') return 'Anyone can reach this machine at any time.';
      return moving
        ? 'Anyone can reach a public endpoint of this machine while it lives, but each peer sees another one.'
        : 'Anyone can reach the public endpoint while the mapping is kept alive.';
    case 'address-dependent':
      return `Nobody can reach this machine unasked. ${moving ? MOVING_TARGET : ''}Any port of an address that it has sent to can answer.`;
    case 'address-and-port-dependent':
      return `Nobody can reach this machine unasked. ${moving ? MOVING_TARGET : ''}Only an address and port that it has sent to can answer.`;
    case 'unknown':
      return `Who gets in was not measured.${moving ? ` ${MOVING_TARGET.trimEnd()}` : ''}`;
  }
}

const MOVING_TARGET = 'Each peer sees another public endpoint, which it cannot know beforehand. ';

/** The peers that a plain punch is said to work with, or not, in the order they are named. */
const PEERS: readonly { readonly name: string; readonly behaviour: Behaviour }[] = [
  { name: TYPE_NAMES.open, behaviour: { mapping: 'none', filtering: 'endpoint-independent' } },
  {
    name: TYPE_NAMES['symmetric-firewall'],
    behaviour: { mapping: 'none', filtering: 'address-and-port-dependent' },
  },
  {
    name: TYPE_NAMES['full-cone'],
    behaviour: { mapping: 'endpoint-independent', filtering: 'endpoint-independent' },
  },
  {
    name: TYPE_NAMES['restricted-cone'],
    behaviour: { mapping: 'endpoint-independent', filtering: 'address-dependent' },
  },
  {
    name: TYPE_NAMES['port-restricted-cone'],
    behaviour: { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' },
  },
  {
    name: TYPE_NAMES.symmetric,
    behaviour: { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' },
  },
];

/** With which kinds of peers a plain hole punch works; undefined where nothing can be said. */
export function describePunching(verdict: Verdict): string | undefined {
  if (verdict.mapping === 'unknown') return undefined;
  // What is certain or not matters here, and not how sure: a verdict that isn't, is said to be so elsewhere.
  const possible = possibilitiesOf({ ...verdict, confidence: 1, unsolicited: 'unknown' });
  const works: string[] = [];
  const depends: string[] = [];
  const fails: string[] = [];
  for (const { name, behaviour } of PEERS) {
    const outcomes = possible.map(({ side }) => punchesPlainly(side, behaviour));
    if (outcomes.every(Boolean)) works.push(name);
    else if (outcomes.some(Boolean)) depends.push(name);
    else fails.push(name);
  }
  const parts: string[] = [];
  if (works.length === PEERS.length) parts.push('with every type of peer');
  else if (works.length > 0) parts.push(`with ${listWords(works)}`);
  if (depends.length > 0) parts.push(`perhaps with ${listWords(depends)}`);
  if (fails.length > 0) parts.push(`not with ${listWords(fails, 'or')}`);
  return `Both sides sending at once, to what the server saw, should work ${parts.join('; ')}.`;
}
