import type { Machine } from '../../shared/machine.ts';

/** What a machine is connected to. Both may call `deliver` at once; it is queued until they return. */
export interface World<Action, Event> {
  perform(action: Action): void;
  emit(event: Event): void;
  /** A bug in the machine or in the world: the run is over. */
  fail(error: unknown): void;
}

export interface MachineRunner<Input> {
  /** Does what the machine wants at first. */
  start(): void;
  deliver(input: Input): void;
  /** Disarms the timer; later inputs are ignored. */
  stop(): void;
}

/**
 * Runs a machine on the process's monotonic clock (`performance.now()`), with one timer.
 *
 * After each input and each timeout actions and events are drained, actions first, so that a
 * packet leaves before anybody is told about it.
 */
export function createRunner<Input, Action, Event>(
  machine: Machine<Input, Action, Event>,
  world: World<Action, Event>,
): MachineRunner<Input> {
  const inputs: Input[] = [];
  let draining = false;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;

  function turn(step?: () => void): void {
    if (stopped) return;
    draining = true;
    try {
      step?.();
      drain();
      for (let input = inputs.shift(); input !== undefined; input = inputs.shift()) {
        machine.handleInput(input, performance.now());
        drain();
      }
    } catch (error) {
      stop();
      world.fail(error);
    } finally {
      draining = false;
    }
    arm();
  }

  function drain(): void {
    for (let action = machine.pollAction(); action !== undefined; action = machine.pollAction()) {
      world.perform(action);
    }
    for (let event = machine.pollEvent(); event !== undefined && !stopped; event = machine.pollEvent()) {
      world.emit(event);
    }
  }

  function arm(): void {
    disarm();
    if (stopped) return;
    const at = machine.pollTimeout();
    if (at === undefined) return;
    const waitMs = at - performance.now();
    // A timer of Node waits for at least a millisecond; what is due is not to wait for it.
    if (waitMs <= 0) immediate = setImmediate(timeout);
    // It may also fire up to a millisecond early, by the finer clock: then there is still something to wait.
    else timer = setTimeout(arm, Math.ceil(waitMs));
  }

  function timeout(): void {
    turn(() => machine.handleTimeout(performance.now()));
  }

  function disarm(): void {
    clearTimeout(timer);
    clearImmediate(immediate);
  }

  function stop(): void {
    stopped = true;
    inputs.length = 0;
    disarm();
  }

  return {
    start: () => turn(),
    deliver(input: Input): void {
      if (stopped) return;
      inputs.push(input);
      if (!draining) turn();
    },
    stop,
  };
}
