/** Every NAT of the lab, and what each axis beyond mapping and filtering is expected to be behind it. */
import { LAB_COLLISIONS_NATS, LAB_POOLING_NATS, LAB_PORTS_NATS } from './allocation-nats.ts';
import {
  LAB_FRAGMENTS_NATS,
  LAB_HAIRPIN_NATS,
  LAB_LIFETIME_NATS,
  LAB_MANGLING_NATS,
  LAB_UNSOLICITED_NATS,
} from './axis-nats.ts';
import { LAB_NATS, type LabNat } from './nats.ts';
import { LAB_NAT64S } from './nat64-nats.ts';
import { describeVerdict, shortTerm } from './table.ts';
import { LAB_TCP_NATS } from './tcp-nats.ts';
import { LAB_TRANSLATION_NATS } from './translation-nats.ts';

/** What is measured behind a NAT, and what it should come to, in words. */
export interface Expectations {
  readonly nat: LabNat;
  readonly axes: readonly string[];
}

/** The NATs that any axis is tested behind, each once. */
export function listExpectations(): readonly Expectations[] {
  const all = [
    ...LAB_PORTS_NATS.flatMap(({ nat, ports, block }) => [
      { nat, axis: `ports ${ports.value}${block === undefined ? '' : ` of ${block.size}`}` },
      { nat, axis: 'pooling single' },
    ]),
    ...LAB_POOLING_NATS.map(({ nat, pooling: { value, by }, insideAddresses }) => ({
      nat,
      axis: `pooling ${value}${by === undefined ? '' : ` by ${by}`}${insideAddresses === 2 ? ' (--also)' : ''}`,
    })),
    ...LAB_COLLISIONS_NATS.map(({ nat, collisions: { value, then } }) => ({
      nat,
      axis: `collisions ${value}${then === undefined ? '' : `, then ${then}`} (--also)`,
    })),
    ...LAB_UNSOLICITED_NATS.map(({ nat, unsolicited, because }) => ({
      nat,
      axis: because === undefined ? `unsolicited ${unsolicited}` : because.replace('-', ' '),
    })),
    ...LAB_HAIRPIN_NATS.map(({ nat, hairpin }) => ({ nat, axis: `hairpin ${hairpin}` })),
    ...LAB_MANGLING_NATS.map(({ nat, mangling }) => ({ nat, axis: `payload ${mangling}` })),
    ...LAB_FRAGMENTS_NATS.map(({ nat, fragments }) => ({ nat, axis: `fragments ${fragments}` })),
    ...LAB_LIFETIME_NATS.map(({ nat, briefMs, streamMs }) => ({
      nat,
      axis: `lifetime ${briefMs / 1000} s, of a stream ${streamMs / 1000} s`,
    })),
    ...LAB_TRANSLATION_NATS.map(({ nat, translation }) => ({ nat, axis: `IPv6 translation ${translation}` })),
    ...LAB_NAT64S.map(({ nat, truth }) => ({ nat, axis: `translation nat64: ${describeVerdict(truth)}` })),
    ...LAB_TCP_NATS.map(({ nat, tcp: { mapping, filtering, syn } }) => ({
      nat,
      axis: `TCP ${shortTerm(mapping)}/${shortTerm(filtering)}, SYN ${syn}`,
    })),
  ];
  return [...Map.groupBy(all, ({ nat }) => nat.name).values()].map((ofOne) => ({
    nat: ofOne[0]!.nat,
    axes: [...new Set(ofOne.map(({ axis }) => axis))],
  }));
}

/** The NAT of that name, of all that the lab has. */
export function findLabNat(name: string): LabNat | undefined {
  return [...LAB_NATS, ...listExpectations().map(({ nat }) => nat)].find((nat) => nat.name === name);
}
