import { errorOf } from '../../shared/thrown.ts';

/**
 * Waits for all tasks; but from the first result that is `enough` on, for the others no longer than
 * `graceMs` of it. What hasn't come by then is undefined. Rejects as soon as one task does.
 */
export function allWithGrace<Result>(
  tasks: readonly Promise<Result>[],
  enough: (result: Result) => boolean,
  graceMs: (result: Result) => number,
): Promise<(Result | undefined)[]> {
  return new Promise((resolve, reject) => {
    const results = tasks.map((): Result | undefined => undefined);
    let waitingFor = tasks.length;
    let timer: NodeJS.Timeout | undefined;
    if (waitingFor === 0) resolve([]);
    tasks.forEach((task, index) => {
      task.then(
        (result) => {
          results[index] = result;
          waitingFor -= 1;
          if (waitingFor === 0) finish();
          else if (enough(result)) timer ??= setTimeout(finish, graceMs(result));
        },
        (error: unknown) => {
          clearTimeout(timer);
          reject(errorOf(error));
        },
      );
    });

    function finish(): void {
      clearTimeout(timer);
      // A copy: a task that comes later must not change what has been handed over.
      resolve([...results]);
    }
  });
}
