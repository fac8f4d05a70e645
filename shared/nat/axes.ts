/** All that was found out about a NAT beyond its mapping and filtering, by axis. An axis not measured is absent. */
import type { Evidence } from './evidence.ts';
import { assessMangling, describeMangling, type ManglingAxis } from './mangling.ts';
import { assessTcp, describeTcp, type TcpAxis } from './tcp.ts';

export interface Axes {
  readonly mangling?: ManglingAxis;
  readonly tcp?: TcpAxis;
}

/** What inquiries of their own collected, by the axis that is judged from it. */
export interface AxisEvidence {
  readonly tcp?: readonly Evidence[];
}

/**
 * Judges each axis from its own evidence, or from the classification's where that tells it too. Pure,
 * the same in the probe and in the server.
 */
export function assessAxes({ tcp }: AxisEvidence, classification: readonly Evidence[]): Axes {
  return {
    mangling: assessMangling(classification),
    ...(tcp !== undefined && { tcp: assessTcp(tcp) }),
  };
}

/** One axis for people: what stands before it, and what it says. */
export interface AxisRow {
  readonly label: string;
  readonly sentences: readonly string[];
}

/** In the order in which people are told. */
export function describeAxes({ mangling, tcp }: Axes): AxisRow[] {
  return [
    ...(mangling === undefined ? [] : [{ label: 'Payload', sentences: [describeMangling(mangling)] }]),
    ...(tcp === undefined ? [] : [{ label: 'TCP', sentences: describeTcp(tcp) }]),
  ];
}
