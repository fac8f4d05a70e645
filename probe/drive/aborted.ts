import { NatprobeError } from '../../shared/errors.ts';

/** What is rejected with once the signal has ended it. */
export function aborted(place: string, signal?: AbortSignal): NatprobeError {
  return new NatprobeError('ERR_ABORTED', place, undefined, { cause: signal?.reason });
}

/**
 * What `begin` comes to, unless the signal ends it first: then what `begin` gave back is called, and the
 * promise rejects with ERR_ABORTED. Nothing begins once the signal is aborted.
 */
export function unlessAborted<Result>(
  place: string,
  signal: AbortSignal | undefined,
  begin: (resolve: (result: Result) => void, reject: (error: Error) => void) => () => void,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(aborted(place, signal));
      return;
    }
    const over = (): void => signal?.removeEventListener('abort', handleAbort);
    const handleAbort = (): void => {
      stop();
      reject(aborted(place, signal));
    };
    signal?.addEventListener('abort', handleAbort, { once: true });
    const stop = begin(
      (result) => {
        over();
        resolve(result);
      },
      (error) => {
        over();
        reject(error);
      },
    );
  });
}
