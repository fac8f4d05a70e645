import { EXIT } from '../exit-codes.ts';

/** After Ctrl-C. A resolver that doesn't answer can't be called off. */
const INTERRUPTED_WITHIN_MS = 3000;

/**
 * Runs a command with a signal that Ctrl-C and SIGTERM abort; resolves with its exit code, or with that of
 * an interruption. What was begun elsewhere (a mapping in a router, a name at a broker) is ended first; a
 * second Ctrl-C, or three seconds, end the process all the same.
 */
export async function interruptibly(run: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const interrupt = new AbortController();
  const abort = (): void => {
    if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
    interrupt.abort();
    setTimeout(() => process.exit(EXIT.interrupted), INTERRUPTED_WITHIN_MS).unref();
  };
  process.on('SIGINT', abort);
  process.on('SIGTERM', abort);
  try {
    const exitCode = await run(interrupt.signal);
    return interrupt.signal.aborted ? EXIT.interrupted : exitCode;
  } catch (error) {
    if (interrupt.signal.aborted) return EXIT.interrupted;
    throw error;
  }
}

/** Runs with a signal that follows `signal` until then: what comes of it is not called off any more. */
export async function callableOff<Result>(
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const call = new AbortController();
  const callOff = (): void => call.abort(signal.reason);
  if (signal.aborted) callOff();
  signal.addEventListener('abort', callOff);
  try {
    return await run(call.signal);
  } finally {
    signal.removeEventListener('abort', callOff);
  }
}
