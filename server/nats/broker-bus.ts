/**
 * The bus between brokers over NATS: peers are found by core request and reply, where the subject of a
 * peer is subscribed to by the server that has it, so that introductions need no JetStream; names are
 * claimed, kept and listed with it.
 */
import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import { RequestError } from '@nats-io/transport-node';
import type { Bus, BusAction, BusInput, ClaimEnd, HeldName } from '../broker/bus/bus.ts';
import { decodePost, decodeSeek, decodeSeekAnswer, type Post } from '../broker/bus/messages.ts';
import type { Log } from '../log.ts';
import { NamesBucket } from './bucket.ts';
import type { NatsLink } from './open.ts';
import { SharedNames } from './shared-names.ts';
import { peerSubject, serverSubject } from './subjects.ts';

/** Longer than a broker waits before it asks again (server/broker/limits.ts). */
const SEEK_TIMEOUT_MS = 2000;
const CHECK_TIMEOUT_MS = 900;
/** A server that is just changing to another server of NATS answers the next time. */
const MISSED_CHECKS = 2;

/** What became of a question to another server: `nobody` was there to answer. */
export type AskedEnd = 'answered' | 'nobody' | 'unanswered';

/** Since the start. */
export interface BusCounts {
  /** `seek`: who has that peer; `check`: whether that server is there. */
  readonly asked: Readonly<Record<'seek' | 'check', Readonly<Record<AskedEnd, number>>>>;
  readonly claims: Readonly<Record<ClaimEnd['kind'], number>>;
}

export interface BusStatus {
  /** Whether names can be claimed, as far as is known. */
  readonly hasNames: boolean;
  readonly counts: BusCounts;
}

export interface BrokerBus extends Bus {
  status(): BusStatus;
}

/** `server`: letters, digits, `-` and `_`, and none that another server ever had. */
export function openBrokerBus(link: NatsLink, server: string, log: Log): BrokerBus {
  return new NatsBus(link, server, log);
}

class NatsBus implements BrokerBus {
  readonly server: string;
  private readonly link: NatsLink;
  private readonly bucket: NamesBucket;
  private readonly names: SharedNames;
  private nats: NatsConnection | undefined;
  private deliver: (input: BusInput) => void = () => undefined;
  private readonly subscriptions = new Map<string, readonly Subscription[]>();
  private readonly replies = new Map<number, Msg>();
  private lastReply = 0;
  private readonly missed = new Map<string, number>();
  private readonly asked = { seek: createAskedCounts(), check: createAskedCounts() };
  private readonly claims = { new: 0, resumed: 0, refused: 0, undecided: 0 };
  private isClosed = false;

  constructor(link: NatsLink, server: string, log: Log) {
    this.link = link;
    this.server = server;
    this.bucket = new NamesBucket(link.connected, log);
    this.names = new SharedNames({
      server,
      bucket: this.bucket,
      onUsurped: (room, name) => this.lose(room, name),
      onTaken: (from, room, name, revision) => this.post(from, { kind: 'moved', room, name, revision }),
    });
  }

  open(deliver: (input: BusInput) => void): void {
    this.deliver = (input) => !this.isClosed && deliver(input);
    this.bucket.watch();
    void this.link.connected.then((nats) => {
      if (this.isClosed) return;
      this.nats = nats;
      nats.subscribe(serverSubject(this.server), {
        callback: (error, message) => {
          if (error === null) this.handlePost(message);
        },
      });
    });
  }

  perform(action: BusAction): void {
    switch (action.kind) {
      case 'claim':
        void this.names.claim(action.claim).then((end) => {
          this.claims[end.kind]++;
          this.deliver({ kind: 'claimed', request: action.request, end });
        });
        break;
      case 'hold':
        this.names.hold(action.held);
        this.subscribe(action.held);
        break;
      case 'release':
        this.unsubscribe(action.room, action.name);
        this.names.release(action.room, action.name);
        break;
      case 'list':
        void this.names
          .list(action.room)
          .then((peers) => this.deliver({ kind: 'listed', request: action.request, peers }));
        break;
      case 'seek':
        void this.seek(action);
        break;
      case 'answer': {
        const message = this.replies.get(action.reply);
        this.replies.delete(action.reply);
        message?.respond(JSON.stringify(action.answer));
        break;
      }
      case 'post':
        this.post(action.to, action.post);
        break;
      case 'check':
        void this.check(action.server);
    }
  }

  status(): BusStatus {
    return {
      hasNames: this.link.isUp() && this.bucket.wasThere,
      counts: { asked: this.asked, claims: this.claims },
    };
  }

  close(): Promise<void> {
    this.isClosed = true;
    this.names.close();
    this.bucket.close();
    for (const subscriptions of this.subscriptions.values())
      subscriptions.forEach((one) => one.unsubscribe());
    return Promise.resolve();
  }

  private subscribe({ room, name, number }: HeldName): void {
    const key = `${room}\n${name}`;
    if (this.nats === undefined || this.subscriptions.has(key)) return;
    const { nats } = this;
    this.subscriptions.set(
      key,
      [name, number].map((peer) =>
        nats.subscribe(peerSubject(room, peer), {
          callback: (error, message) => {
            if (error === null) this.handleSeek(room, peer, message);
          },
        }),
      ),
    );
  }

  private unsubscribe(room: string, name: string): void {
    const key = `${room}\n${name}`;
    this.subscriptions.get(key)?.forEach((one) => one.unsubscribe());
    this.subscriptions.delete(key);
  }

  private handleSeek(room: string, peer: string | number, message: Msg): void {
    const seek = decodeSeek(message.string());
    if (seek === undefined) return;
    const reply = ++this.lastReply;
    this.replies.set(reply, message);
    this.deliver({ kind: 'seek', reply, room, peer, seek });
  }

  private handlePost(message: Msg): void {
    // A look whether this server is there.
    if (message.data.length === 0) {
      message.respond();
      return;
    }
    const post = decodePost(message.string());
    if (post === undefined) return;
    if (post.kind === 'moved') {
      if (this.names.drop(post.room, post.name, post.revision)) this.lose(post.room, post.name);
    } else this.deliver({ kind: 'post', post });
  }

  private lose(room: string, name: string): void {
    this.unsubscribe(room, name);
    this.deliver({ kind: 'usurped', room, name });
  }

  private async seek({ request, room, peer, seek }: BusAction & { kind: 'seek' }): Promise<void> {
    try {
      const nats = this.nats ?? (await this.link.connected);
      const reply = await nats.request(peerSubject(room, peer), JSON.stringify(seek), {
        timeout: SEEK_TIMEOUT_MS,
      });
      this.asked.seek.answered++;
      const answer = decodeSeekAnswer(reply.string());
      if (answer !== undefined) this.deliver({ kind: 'sought', request, answer });
    } catch (error) {
      this.asked.seek[endOf(error)]++;
      // Of what isn't answered in time the broker knows by itself.
      if (!isNobodyThere(error)) return;
      const isKept = typeof peer === 'string' && (await this.names.isKept(room, peer));
      this.deliver({ kind: 'not-found', request, isKept });
    }
  }

  private post(to: string, post: Post): void {
    if (!this.isClosed) this.nats?.publish(serverSubject(to), JSON.stringify(post));
  }

  private async check(server: string): Promise<void> {
    try {
      await this.nats?.request(serverSubject(server), undefined, { timeout: CHECK_TIMEOUT_MS });
      this.asked.check.answered++;
      this.missed.delete(server);
    } catch (error) {
      this.asked.check[endOf(error)]++;
      const missed = (this.missed.get(server) ?? 0) + 1;
      this.missed.set(server, missed);
      if (missed < MISSED_CHECKS) return;
      this.missed.delete(server);
      this.deliver({ kind: 'unreachable', server });
    }
  }
}

function isNobodyThere(error: unknown): boolean {
  return error instanceof RequestError && error.isNoResponders();
}

function endOf(error: unknown): AskedEnd {
  return isNobodyThere(error) ? 'nobody' : 'unanswered';
}

function createAskedCounts(): Record<AskedEnd, number> {
  return { answered: 0, nobody: 0, unanswered: 0 };
}
