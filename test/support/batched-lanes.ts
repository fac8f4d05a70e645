import { loadSystemCalls } from '../../server/udp/batched/system-calls.ts';

/** Why there can be no batched lanes here, or undefined. */
export const batchedLanesMissing: string | undefined = await loadSystemCalls().then(
  () => undefined,
  (error: unknown) => (error instanceof Error ? error.message : String(error)),
);
