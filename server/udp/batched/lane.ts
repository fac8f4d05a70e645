/** One lane as the main thread has it: a worker that is started again if it dies. */
import { extname } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { messageOf } from '../../../shared/thrown.ts';
import type { PartnerEndpoints } from '../../answer/relayed-answer.ts';
import type { WitnessKey } from '../../witness/witness-keys.ts';
import type { LaneMessage, LaneOrder, LaneTask } from './lane-task.ts';

const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 10_000;
/** A lane that has lived as long is started again as fast as if it were the first time. */
const SETTLED_MS = 60_000;

/** Starts the thread of a lane; tests hold on to it. */
export type StartWorker = (module: URL, options: WorkerOptions) => Worker;

export interface LaneEvents {
  onMessage(message: LaneMessage): void;
  /** It has died, and will be started again after so many milliseconds. */
  onDeath(reason: string, restartMs: number): void;
}

export class Lane {
  private readonly task: LaneTask;
  private readonly events: LaneEvents;
  private readonly startWorker: StartWorker;
  private worker: Worker | undefined;
  private exited: Promise<unknown> = Promise.resolve();
  private key: WitnessKey;
  private partner: PartnerEndpoints | undefined;
  private restartMs = FIRST_RESTART_MS;
  private timer: NodeJS.Timeout | undefined;
  private isStopping = false;

  constructor(task: LaneTask, events: LaneEvents, startWorker: StartWorker = startThread) {
    this.task = task;
    this.key = task.key;
    this.partner = task.partner;
    this.events = events;
    this.startWorker = startWorker;
  }

  /** Resolves once it answers; rejects with what went wrong if it dies before. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.run(resolve, reject);
    });
  }

  /** It makes its witnesses with this key from now on. */
  useKey(key: WitnessKey): void {
    this.key = key;
    this.tell({ kind: 'key', key });
  }

  /** Answers from the other address are that host's from now on, or with undefined there is none. */
  usePartner(partner: PartnerEndpoints | undefined): void {
    this.partner = partner;
    this.tell({ kind: 'partner', partner });
  }

  /** Resolves when its thread has ended, after the shared flag has told it to. */
  stop(): Promise<unknown> {
    this.isStopping = true;
    clearTimeout(this.timer);
    return this.exited;
  }

  private run(onReady: () => void, onEarlyDeath?: (reason: Error) => void): void {
    const startedAt = performance.now();
    const worker = this.startWorker(LANE_MODULE, {
      name: `lane ${this.task.lane + 1}`,
      workerData: { ...this.task, key: this.key, partner: this.partner },
    });
    this.worker = worker;
    let reason = '';
    let isReady = false;
    worker.on('message', (message: LaneMessage) => {
      if (message.kind === 'ready') {
        isReady = true;
        onReady();
      } else this.events.onMessage(message);
    });
    worker.on('error', (error) => {
      reason = messageOf(error);
    });
    this.exited = new Promise<void>((resolve) => {
      worker.on('exit', (code) => {
        this.worker = undefined;
        resolve();
        if (this.isStopping) return;
        reason ||= `its thread ended with ${code}`;
        if (!isReady && onEarlyDeath !== undefined) onEarlyDeath(new Error(reason));
        else this.restart(reason, performance.now() - startedAt);
      });
    });
  }

  private tell(order: LaneOrder): void {
    this.worker?.postMessage(order);
  }

  private restart(reason: string, livedMs: number): void {
    if (livedMs > SETTLED_MS) this.restartMs = FIRST_RESTART_MS;
    const { restartMs } = this;
    this.restartMs = Math.min(2 * restartMs, LAST_RESTART_MS);
    this.timer = setTimeout(() => {
      this.run(() => undefined);
    }, restartMs);
    this.events.onDeath(reason, restartMs);
  }
}

/** As this module is: TypeScript in a checkout, JavaScript in the package. */
const LANE_MODULE = new URL(`lane-worker${extname(import.meta.url)}`, import.meta.url);

function startThread(module: URL, options: WorkerOptions): Worker {
  return new Worker(module, options);
}
