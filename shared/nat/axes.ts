/** All that was found out about a NAT beyond its mapping and filtering, by axis. An axis not measured is absent. */
import type { Evidence } from './evidence.ts';
import { assessTcp, describeTcp, type TcpAxis } from './tcp.ts';

export interface Axes {
  readonly tcp?: TcpAxis;
}

export type AxisName = keyof Axes;

/** The evidence that each axis is judged from, as its inquiry collected it. */
export type AxisEvidence = Readonly<Partial<Record<AxisName, readonly Evidence[]>>>;

/** Judges each axis from its own evidence: pure, the same in the probe and in the server. */
export function assessAxes({ tcp }: AxisEvidence): Axes {
  return { ...(tcp !== undefined && { tcp: assessTcp(tcp) }) };
}

/** One axis for people: what stands before it, and what it says. */
export interface AxisRow {
  readonly label: string;
  readonly sentences: readonly string[];
}

/** In the order in which people are told. */
export function describeAxes({ tcp }: Axes): AxisRow[] {
  return [...(tcp === undefined ? [] : [{ label: 'TCP', sentences: describeTcp(tcp) }])];
}
