/**
 * What a side says that closes its hole: a Binding indication under a key that the two alone have. It
 * can't be used again, since each introduction has another key, and neither against who sent it, since each
 * direction has a password of its own.
 */
import { isAuthentic } from '../../shared/ice/check.ts';
import { USERNAME } from '../../shared/stun/attributes/text.ts';
import { shortTermKey } from '../../shared/stun/integrity.ts';
import {
  encodeMessage,
  readAttribute,
  type StunMessage,
  type TransactionId,
} from '../../shared/stun/message.ts';
import { METHOD } from '../../shared/stun/registry.ts';
import type { Exchange } from './exchange.ts';
import type { Path } from './paths.ts';
import type { PunchSession } from './session.ts';

/** At 20 % loss all of them are lost once in 3000 times; until one is answered they keep the socket open. */
const COPIES = 5;
const PACE_MS = 100;

/** Says goodbye until the peer has said it too, or so often that it must have heard. */
export class Goodbye {
  readonly #path: Path;
  readonly #exchange: Exchange;
  #sent = 0;
  #nextAt: number;

  constructor(path: Path, exchange: Exchange, now: number) {
    this.#path = path;
    this.#exchange = exchange;
    this.#nextAt = now;
    this.handleTimeout(now);
  }

  get nextAt(): number {
    return this.#nextAt;
  }

  isOver(now: number): boolean {
    return this.#sent >= COPIES && now >= this.#nextAt;
  }

  handleTimeout(now: number): void {
    if (now < this.#nextAt || this.#sent >= COPIES) return;
    this.#sent += 1;
    this.#nextAt = now + PACE_MS;
    this.#exchange.sayGoodbye(this.#path, now);
  }
}

export function encodeGoodbye(transactionId: TransactionId, { own, peer }: PunchSession): Uint8Array {
  return encodeMessage({
    class: 'indication',
    transactionId,
    attributes: [USERNAME.of(`${peer.ufrag}:${own.ufrag}`)],
    integrity: { algorithm: 'sha1', key: shortTermKey(peer.password) },
    fingerprint: true,
  });
}

/** Whether a message is the peer's goodbye, and really of the peer. */
export function isGoodbye(message: StunMessage, { own, peer }: Pick<PunchSession, 'own' | 'peer'>): boolean {
  return (
    message.class === 'indication' &&
    message.method === METHOD.BINDING &&
    readAttribute(message, USERNAME) === `${own.ufrag}:${peer.ufrag}` &&
    isAuthentic(message, own.password)
  );
}
