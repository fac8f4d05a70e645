/** Who wants to be introduced to this member, and what is said to them. */
import type { BrokerPeer } from '../../shared/broker/messages.ts';
import type { JoinOptions, MembershipEvent } from '../join.ts';

export interface AskDeskOptions {
  /** Whether that peer has been let in already: then nobody is bothered again. */
  readonly isWelcome: (peer: BrokerPeer) => boolean;
  readonly onAsk?: JoinOptions['onAsk'];
  readonly answer: (introduction: number, isYes: boolean) => void;
  readonly tell: (event: Extract<MembershipEvent, { kind: 'asked' | 'answered' }>) => void;
}

export class AskDesk {
  readonly #options: AskDeskOptions;
  readonly #open = new Map<number, { readonly peer: BrokerPeer; readonly end: AbortController }>();

  constructor(options: AskDeskOptions) {
    this.#options = options;
  }

  ask(introduction: number, peer: BrokerPeer, timeoutMs: number): void {
    const { isWelcome, onAsk, answer, tell } = this.#options;
    if (isWelcome(peer)) {
      answer(introduction, true);
      return;
    }
    tell({ kind: 'asked', peer, timeoutMs });
    const end = new AbortController();
    this.#open.set(introduction, { peer, end });
    const decide = async (): Promise<boolean> =>
      (await onAsk?.(peer, { timeoutMs, signal: end.signal })) === true;
    void decide()
      .catch(() => false)
      .then((isYes) => {
        if (!this.#open.delete(introduction)) return;
        answer(introduction, isYes);
        tell({ kind: 'answered', peer, answer: isYes ? 'yes' : 'no' });
      });
  }

  /** It is no question any more: the peer is gone, or it has waited for too long. */
  withdraw(introduction: number): void {
    const asked = this.#open.get(introduction);
    if (asked === undefined) return;
    this.#open.delete(introduction);
    asked.end.abort();
    this.#options.tell({ kind: 'answered', peer: asked.peer, answer: 'withdrawn' });
  }
}
