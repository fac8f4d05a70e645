/** What goes along with a report to the server's `/classify` alone: it is no part of the report, and is neither stored nor shown. */
import type { Endpoint } from '../endpoint.ts';
import type { Report } from './report.ts';

/** A report as it is posted. */
export interface ReportSubmission extends Report {
  readonly witnesses?: ReportWitnesses;
}

/** The witnesses that a run was given, all under one nonce. */
export interface ReportWitnesses {
  /** Hexadecimal, REPORT_NONCE_BYTES of it. */
  readonly nonce: string;
  readonly given: readonly GivenWitness[];
}

/** The server's word that it sent this to `mapped`, in answer to a request to its endpoint `to`. */
export interface GivenWitness {
  /** Of that request; hexadecimal, as in the evidence. */
  readonly transactionId: string;
  readonly to: Endpoint;
  readonly mapped: Endpoint;
  readonly keyId: number;
  /** By the server's clock, in milliseconds since 1970. */
  readonly madeAtMs: number;
  /** HMAC-SHA-256, hexadecimal. */
  readonly mac: string;
}

/** Long enough that no two runs share one. */
export const REPORT_NONCE_BYTES = 16;

/** A run meets no more endpoints of servers than this in all its tries; whoever sends more has no run behind it. */
export const MAX_GIVEN_WITNESSES = 256;
