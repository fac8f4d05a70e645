/** Deployments on loopback that are looked at, on a machine that lacks nothing but what a test says. */
import { type CheckFlags, lookAtDeployment } from '../../../../server/check/check.ts';
import { type CheckedMachine, THIS_MACHINE } from '../../../../server/check/machine.ts';
import { SOCKET_BUFFER_BYTES } from '../../../../server/udp/socket-buffers.ts';
import type { Finding } from '../../../../shared/findings.ts';
import { findFreePorts } from '../loopback.ts';

export const GOOD_MACHINE: CheckedMachine = {
  ...THIS_MACHINE,
  measureBuffers: () =>
    Promise.resolve({ receiveBytes: SOCKET_BUFFER_BYTES, sendBytes: SOCKET_BUFFER_BYTES }),
  readDescriptorLimit: () => 100_000,
  findLaneObstacle: () => Promise.resolve(undefined),
};

/** Two addresses and free ports of loopback, where nothing runs. */
export async function freeFlags(): Promise<CheckFlags & { port: string; altPort: string }> {
  const [port, altPort] = await findFreePorts('127.0.0.1', '127.0.0.2');
  const [http] = await findFreePorts('127.0.0.1');
  const ports = { port: `${port}`, altPort: `${altPort}`, http: `127.0.0.1:${http}` };
  return { ip: ['127.0.0.1'], altIp: ['127.0.0.2'], ...ports };
}

export interface Looked {
  readonly state: string;
  /** Of a word: `state: what was seen`. */
  of(check: string): string[];
  /** What to change, of all. */
  readonly remedies: readonly string[];
  readonly findings: readonly Finding[];
}

export async function look(
  flags: CheckFlags,
  machine: Partial<CheckedMachine> = {},
  env: NodeJS.ProcessEnv = {},
): Promise<Looked> {
  const { state, findings } = await lookAtDeployment(flags, env, { ...GOOD_MACHINE, ...machine });
  return {
    state,
    findings,
    of: (check) =>
      findings.filter((item) => item.check === check).map((item) => `${item.state}: ${item.seen}`),
    remedies: findings.flatMap(({ remedy }) => remedy ?? []),
  };
}
