import type { Axes } from '../../../shared/nat/axes.ts';
import type { PortLaw } from '../../../shared/nat/port-law.ts';
import type { PortsAxis } from '../../../shared/nat/ports.ts';
import { parseBehaviour } from '../../../shared/punch/behaviour.ts';
import type { FamilyReport, Report } from '../../../shared/report/report.ts';

export interface ReportParts {
  readonly confidence?: number;
  readonly local?: string;
  readonly mapped?: string;
  readonly axes?: Axes;
  /** What it says over IPv6, which is skipped otherwise. */
  readonly ipv6?: string;
}

/** A report over IPv4 that says so much of a NAT, and has no evidence for it. */
export function reportOf(behaviour: string, parts: ReportParts = {}): Report {
  const ipv4 = familyReport(behaviour, parts);
  return {
    schema: 'natprobe/report@1',
    family: 'ipv4',
    ...ipv4,
    families: {
      ipv4,
      ipv6:
        parts.ipv6 === undefined
          ? { skipped: { code: 'no-address', text: 'no server has one' } }
          : familyReport(parts.ipv6, { ...(parts.confidence && { confidence: parts.confidence }) }),
    },
    startedAt: '2026-01-31T00:00:00.000Z',
    judgeVersion: 1,
  };
}

/** A ports axis of one law. */
export function portsOf(value: PortsAxis['value'], law: PortLaw, more: Partial<PortsAxis> = {}): PortsAxis {
  const laws = [{ weight: 1, law }];
  return {
    value,
    confidence: 1,
    reasons: [],
    samples: { sockets: 4, mappings: 16 },
    keepsMapping: 'no',
    parityPreserved: 'no',
    contiguous: 'no',
    model: { newSocket: laws, newEndpoint: laws },
    ...more,
  };
}

function familyReport(behaviour: string, { confidence = 1, local, mapped, axes }: ReportParts): FamilyReport {
  const { type, mapping, filtering } = parseBehaviour(behaviour);
  return {
    verdict: { type, mapping, filtering, confidence, reasons: [] },
    endpoints: { ...(local !== undefined && { local }), ...(mapped !== undefined && { mapped }) },
    server: { asked: ['192.0.2.1'], endpoints: ['192.0.2.1:3478'], receipts: true },
    timing: { totalMs: 80, rttMs: 20 },
    evidence: [],
    ...(axes !== undefined && { axes }),
  };
}
