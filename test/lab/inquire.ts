import { fileURLToPath } from 'node:url';
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import { SERVER_ADDRESSES, type Internet, type Site } from './internet.ts';
import type { InquiryName, InquiryOutcome } from './inquiry-agent.ts';
import type { LabNat } from './nats.ts';

const AGENT = fileURLToPath(new URL('inquiry-agent.ts', import.meta.url));

export interface InquireOptions {
  readonly family?: Family;
  /** Of the inquiry's context, beside the server. */
  readonly context?: Readonly<Record<string, number | string>>;
  readonly stopAfterMs?: number;
  readonly timeoutMs?: number;
}

/** Runs an inquiry from a site's client against the lab's server. */
export async function inquire<Axis>(
  site: Site,
  name: InquiryName,
  { family = 'ipv4', context = {}, stopAfterMs, timeoutMs = 60_000 }: InquireOptions = {},
): Promise<InquiryOutcome<Axis>> {
  const server: Endpoint = { address: SERVER_ADDRESSES[family].primary, port: 3478 };
  const args = [AGENT, name, JSON.stringify({ ...context, server })];
  if (stopAfterMs !== undefined) args.push(String(stopAfterMs));
  const { stdout, stderr, code } = await site.client.run(process.execPath, args, { timeoutMs });
  if (code !== 0) throw new Error(`the ${name} inquiry failed (${code}):\n${stdout}${stderr}`);
  return JSON.parse(stdout) as InquiryOutcome<Axis>;
}

/** Does `body` at a site behind `nat`, which is removed afterwards. */
export async function behind<Result>(
  internet: Internet,
  nat: LabNat,
  lossPercent: number,
  body: (site: Site) => Promise<Result>,
): Promise<Result> {
  const site = await internet.attach(nat);
  try {
    if (lossPercent > 0) await site.setLoss(lossPercent);
    return await body(site);
  } finally {
    await site.close();
  }
}
