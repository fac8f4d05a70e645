import { NatprobeError } from '../../../shared/errors.ts';
import type { Consent } from '../../../shared/broker/messages.ts';
import type { JoinOptions, Membership } from '../../join.ts';
import { EXIT } from '../exit-codes.ts';
import type { HoleProgram } from '../hole-program.ts';
import type { RoomNews } from '../render/room-events.ts';
import type { HoleUse } from './hole-use.ts';

export interface ServiceOptions {
  readonly program: HoleProgram | undefined;
  /** The room is left after one hole. */
  readonly isOnce: boolean;
  readonly tell: (news: RoomNews) => void;
}

type Ask = NonNullable<JoinOptions['onAsk']>;

/** Serves the holes that peers open: one after the other where a program runs through them, else as many as come. */
export class HoleService<Raw> {
  readonly #use: HoleUse<Raw>;
  readonly #program: HoleProgram | undefined;
  readonly #isOnce: boolean;
  readonly #tell: ServiceOptions['tell'];
  #isBusy = false;

  constructor(use: HoleUse<Raw>, { program, isOnce, tell }: ServiceOptions) {
    this.#use = use;
    this.#program = program;
    // They read standard input to its end.
    this.#isOnce = isOnce || program?.kind === 'chat' || program?.kind === 'pipe';
    this.#tell = tell;
  }

  /** Who gets in: with one hole at a time nobody while there is one. */
  admission(consent: Consent, ask: Ask | undefined): Pick<JoinOptions, 'consent' | 'onAsk'> {
    const isLimited = this.#isOnce || this.#program !== undefined;
    if (consent === 'refuse' || (consent === 'auto' && !isLimited)) return { consent };
    return {
      consent: 'ask',
      onAsk: (peer, asked) => !(isLimited && this.#isBusy) && (ask === undefined || ask(peer, asked)),
    };
  }

  /**
   * Until the room is left: after one hole, on an abort once what runs has ended, or because the broker is
   * gone. Resolves with the exit code, rejects with what ended it.
   */
  async serve(membership: Membership<Raw>, signal: AbortSignal): Promise<number> {
    const leaveUnlessBusy = (): void => {
      if (!this.#isBusy) void membership.leave();
    };
    signal.addEventListener('abort', leaveUnlessBusy);
    if (signal.aborted) leaveUnlessBusy();
    let exitCode: number = EXIT.opened;
    try {
      for await (const hole of membership.holes()) {
        if (this.#program === undefined && !this.#isOnce) {
          // Over TCP only who reads hears of the end.
          hole.on('message', () => undefined);
          continue;
        }
        this.#isBusy = true;
        try {
          exitCode = await this.#use.run(hole, signal);
        } catch (error) {
          if (this.#isOnce || !(error instanceof NatprobeError)) throw error;
          this.#tell({ event: 'trouble', code: error.code, message: error.message });
        } finally {
          await hole.close();
          if (!this.#isOnce) this.#isBusy = false;
        }
        if (this.#isOnce || signal.aborted) await membership.leave();
      }
    } finally {
      await membership.leave();
    }
    const reason = await membership.left;
    if (reason !== undefined) throw reason;
    return this.#isOnce ? exitCode : EXIT.opened;
  }
}
