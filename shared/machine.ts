/**
 * A protocol decision without I/O: inputs and the clock go in, actions and events come out.
 *
 * Times are milliseconds on one monotonic clock whose origin the driver chooses. After every
 * handleX call the driver drains pollAction and pollEvent, then arms one timer for pollTimeout.
 */
export interface Machine<Input, Action, Event> {
  handleInput(input: Input, now: number): void;
  handleTimeout(now: number): void;
  /** The next thing to do in the world; drain until undefined. */
  pollAction(): Action | undefined;
  /** When handleTimeout wants to be called next (same clock), or undefined for never. */
  pollTimeout(): number | undefined;
  pollEvent(): Event | undefined;
}
