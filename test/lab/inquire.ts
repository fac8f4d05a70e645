import { fileURLToPath } from 'node:url';
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import { SERVER_ADDRESSES, type Site } from './internet.ts';
import type { InquiryName, InquiryOutcome } from './inquiry-agent.ts';

const AGENT = fileURLToPath(new URL('inquiry-agent.ts', import.meta.url));

export interface InquireOptions {
  readonly family?: Family;
  /** Of the inquiry's context, beside the server. */
  readonly context?: Readonly<Record<string, number>>;
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
