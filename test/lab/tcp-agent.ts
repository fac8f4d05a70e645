/** Runs the TCP inquiry inside a namespace against ADDRESS, and prints what it came to as one line of JSON. */
import { randomBytes } from 'node:crypto';
import { createTcpInquiry, TCP_INQUIRY_TIMEOUT_MS } from '../../probe/classify/inquiries/tcp.ts';
import { runTcpInquiry } from '../../probe/drive/tcp-inquiry.ts';
import { DEFAULT_PACE_MS } from '../../probe/index.ts';
import { familyOf } from '../../shared/endpoint.ts';
import { assessTcp, type TcpAxis } from '../../shared/nat/tcp.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';

export interface TcpOutcome {
  readonly axis: TcpAxis;
  readonly evidence: readonly Evidence[];
  readonly tookMs: number;
}

const address = process.argv[2]!;
const startedAt = performance.now();
const { evidence } = await runTcpInquiry(
  createTcpInquiry({
    family: familyOf(address),
    server: { address, port: 3478 },
    timeoutMs: TCP_INQUIRY_TIMEOUT_MS,
    paceMs: DEFAULT_PACE_MS,
    random: randomBytes,
  }),
);
const outcome: TcpOutcome = { axis: assessTcp(evidence), evidence, tookMs: performance.now() - startedAt };
process.stdout.write(`${JSON.stringify(outcome)}\n`);
