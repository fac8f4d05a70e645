import type { EndedPunch } from '../../../../server/punches/punch-store.ts';

const REPORTED = { strategy: 'plain', path: 'direct', packets: 3, timeMs: 80 } as const;

/** One that counts and opened, between the same two behaviours, unless told otherwise. */
export function endedPunch(
  isOpen = true,
  { probability = 0.9, ...more }: Partial<EndedPunch> & { readonly probability?: number } = {},
): EndedPunch {
  const outcome = isOpen ? 'open' : 'failed';
  return {
    a: 'EIM/APDF',
    b: 'APDM/APDF',
    transport: 'udp',
    attempt: 1,
    predicted: { strategy: 'plain', probability },
    outcomes: { a: { ...REPORTED, outcome }, b: { ...REPORTED, outcome, packets: 4 } },
    counts: true,
    ...more,
  };
}
