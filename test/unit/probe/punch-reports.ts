/** Reports of punches as the library gives them, for those who print them. */
import type { PunchReport } from '../../../probe/hole.ts';

export const OPEN_PUNCH: PunchReport = {
  schema: 'natprobe/punch@1',
  outcome: 'open',
  strategy: 'plain',
  path: 'direct',
  transport: 'udp',
  peer: { number: 2, name: 'bob', type: 'port-restricted-cone' },
  predicted: { outcome: 'likely', probability: 0.974, strategy: 'plain', plain: true },
  endpoints: { local: '192.0.2.1:40000', remote: '198.51.100.7:40001' },
  timing: { totalMs: 84.2, rttMs: 12.9 },
  packets: 8,
  attempts: 1,
};

export const FAILED_PUNCH: PunchReport = {
  schema: 'natprobe/punch@1',
  outcome: 'failed',
  strategy: 'relay',
  transport: 'udp',
  peer: { number: 2, name: 'bob', type: 'symmetric' },
  predicted: { outcome: 'relay', probability: 0, strategy: 'relay', plain: false },
  endpoints: {},
  timing: { totalMs: 3020 },
  packets: 1040,
  attempts: 2,
  reason: 'nothing of the peer came through',
  code: 'nothing-heard',
  relay: { urls: ['turn:192.0.2.9:3478'] },
};
