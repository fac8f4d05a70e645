import { Worker } from 'node:worker_threads';

/**
 * Runs `tasks` on worker threads, each of which has one at a time, is sent it as a message and
 * answers with one. Rejects if a worker throws.
 */
export function shareOut(
  script: URL,
  workers: number,
  tasks: readonly object[],
  onResult: (result: unknown) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let next = 0;
    let open = tasks.length;
    const pool = Array.from({ length: Math.min(workers, tasks.length) }, () => new Worker(script));
    const feed = (worker: Worker) => {
      if (next < tasks.length) worker.postMessage(tasks[next++]);
    };
    for (const worker of pool) {
      worker.on('error', reject);
      worker.on('message', (result: unknown) => {
        onResult(result);
        open -= 1;
        feed(worker);
        if (open > 0) return;
        for (const idle of pool) void idle.terminate();
        resolve();
      });
      feed(worker);
    }
  });
}
