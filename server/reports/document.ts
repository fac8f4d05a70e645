/** A report's document as bytes: JSON without what it says twice, deflated (RFC 1951). */
import { isDeepStrictEqual } from 'node:util';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { Verdict } from '../../shared/nat/verdict.ts';
import { isClassified, type Report } from '../../shared/report/report.ts';

export interface ReportDocument {
  /** As the server judged. */
  readonly verdict: Verdict;
  readonly report: Report;
}

interface PackedDocument {
  /** Absent if it is the report's own. */
  readonly verdict?: Verdict;
  /** Without what its top level repeats of `families[family]`. */
  readonly report: Pick<Report, 'family' | 'families'> & Partial<Report>;
}

export function encodeDocument({ verdict, report }: ReportDocument): Uint8Array {
  const packed: PackedDocument = {
    ...(!isDeepStrictEqual(verdict, report.verdict) && { verdict }),
    report: withoutRepetition(report),
  };
  return deflateRawSync(JSON.stringify(packed));
}

export function decodeDocument(bytes: Uint8Array): ReportDocument {
  const packed = JSON.parse(inflateRawSync(bytes).toString()) as PackedDocument;
  const repeated = packed.report.families[packed.report.family];
  const report = { ...(isClassified(repeated) ? repeated : {}), ...packed.report } as Report;
  return { verdict: packed.verdict ?? report.verdict, report };
}

function withoutRepetition(report: Report): PackedDocument['report'] {
  const repeated = report.families[report.family];
  if (!isClassified(repeated)) return report;
  const { family, families, ...top } = report;
  const below: Readonly<Record<string, unknown>> = { ...repeated };
  const rest = Object.entries(top).filter(([key, value]) => !isDeepStrictEqual(value, below[key]));
  return { family, families, ...Object.fromEntries(rest) };
}
