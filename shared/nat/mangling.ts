/**
 * Whether something on the way rewrites addresses inside packets (an application layer gateway):
 * MAPPED-ADDRESS, which it can find, against XOR-MAPPED-ADDRESS, which it can't (RFC 8489 §14.2). The
 * classification's evidence tells, or any other inquiry's.
 */
import { type Endpoint, formatEndpoint } from '../endpoint.ts';
import type { Axis } from './axis.ts';
import type { Evidence, ResponseReply } from './evidence.ts';

export interface ManglingAxis extends Axis<'none' | 'rewritten'> {
  /** What MAPPED-ADDRESS was turned into, and what it had been. */
  readonly rewritten?: { readonly from: Endpoint; readonly to: Endpoint };
}

export function assessMangling(evidence: readonly Evidence[]): ManglingAxis {
  let compared = 0;
  for (const { mapped, plainMapped, mappedIn } of responsesOf(evidence)) {
    if (plainMapped !== undefined) {
      const text = `MAPPED-ADDRESS arrived as ${formatEndpoint(plainMapped)}, and was sent as ${formatEndpoint(mapped)}`;
      return {
        value: 'rewritten',
        confidence: 1,
        reasons: [{ code: 'payload-rewritten', text }],
        rewritten: { from: mapped, to: plainMapped },
      };
    }
    if (mappedIn === undefined) compared++;
  }
  if (compared === 0) {
    const text = 'no response carried the mapped address both plainly and disguised';
    return { value: 'unknown', confidence: 0, reasons: [{ code: 'payload-not-compared', text }] };
  }
  const text = `in ${compared} responses the plain and the disguised address were the same`;
  return { value: 'none', confidence: 1, reasons: [{ code: 'payload-intact', text }] };
}

/** In plain words, for one line. */
export function describeMangling({ value, rewritten }: ManglingAxis): string {
  switch (value) {
    case 'none':
      return 'addresses inside packets arrive as they were sent';
    case 'rewritten':
      return `a gateway rewrites addresses inside packets (to ${formatEndpoint(rewritten!.to)})`;
    case 'unknown':
      return 'unknown';
  }
}

function* responsesOf(evidence: readonly Evidence[]): Generator<ResponseReply> {
  for (const item of evidence) {
    if (item.kind !== 'binding') continue;
    for (const reply of item.replies) if (reply.kind === 'response') yield reply;
  }
}
