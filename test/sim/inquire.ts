import { createInquiry, type InquiryPlan, type InquiryResult } from '../../probe/classify/inquiry.ts';
import type { ProberOptions } from '../../probe/classify/prober.ts';
import { DEFAULT_PACE_MS, DEFAULT_TIMEOUT_MS } from '../../probe/index.ts';
import { runMachine, type MachineRun } from './machine-driver.ts';
import type { World } from './scenario.ts';

/** Runs an inquiry, with the probe's defaults, on a world's client; it is told to stop after `stopAfterMs`. */
export function inquireIn(
  world: World,
  inquiry: InquiryPlan,
  options: Partial<ProberOptions> = {},
  stopAfterMs?: number,
): MachineRun<InquiryResult> {
  const random = world.network.random.fork();
  const machine = createInquiry(
    {
      family: world.family,
      servers: [world.server.primary],
      ...(world.nat64 && { nat64: world.nat64 }),
      timeoutMs: DEFAULT_TIMEOUT_MS,
      paceMs: DEFAULT_PACE_MS,
      random: (length) => random.bytes(length),
      ...options,
    },
    inquiry,
  );
  return runMachine(world.client, machine, 2 * (options.timeoutMs ?? DEFAULT_TIMEOUT_MS), stopAfterMs);
}
