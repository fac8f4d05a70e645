import { decodeServerMessage } from '../../../shared/broker/decode.ts';
import { ERROR_CATALOGUE } from '../../../shared/errors.ts';
import type { PeerAction } from '../../../server/broker/io.ts';
import { BrokerPlay, helloOf } from '../../support/broker.ts';
import type { Random } from '../../sim/random.ts';
import { mutateJson } from '../mutate.ts';
import { ensure, type FuzzTarget } from '../target.ts';

/** Connections are told apart by the first character of a line. */
const CONNECTIONS = 4;
const MOST_LINES = 200;
const CLOSE_CODES = [1000, 1001, 1008, 1013];
/** By then all that is awaited of anybody has been given up. */
const LONG_MS = 600_000;

/**
 * A play, a step a line: `0+` opens connection 0, `0-` drops it, `0 500` lets 500 ms pass, and `0{…` is a
 * frame of it. Nonces and tokens are the same in each play.
 */
export const BROKER: FuzzTarget = {
  name: 'broker',
  invariant:
    'no frame makes it throw, what it says is by its own schema and to open connections only, each refusal has a code, and nothing is left of those who have gone',
  seeds: () => [Buffer.from(meeting())],
  invent,
  check(input) {
    const play = new Play();
    const lines = Buffer.from(input).toString().split('\n').slice(0, MOST_LINES);
    for (const line of lines) play.take(line);
    play.end();
  },
};

class Play {
  private readonly broker = new BrokerPlay();
  private readonly slots = new Map<string, number>();
  private readonly open = new Set<number>();

  take(line: string): void {
    const slot = String(line.charCodeAt(0) % CONNECTIONS);
    const rest = line.slice(1);
    const connection = this.slots.get(slot);
    if (rest === '+') {
      const opened = this.broker.connect();
      this.slots.set(slot, opened);
      this.open.add(opened);
      this.judge(this.broker.actions());
    } else if (/^ \d{1,6}$/.test(rest)) this.judge(this.broker.wait(Number(rest)));
    else if (connection === undefined) return;
    else if (rest === '-') {
      this.open.delete(connection);
      this.judge(this.broker.drop(connection));
    } else {
      const wasOpen = this.open.has(connection);
      const actions = this.broker.say(connection, rest);
      ensure(wasOpen || actions.length === 0, 'a connection that is closed is listened to');
      this.judge(actions);
    }
  }

  end(): void {
    for (const connection of this.open) {
      this.open.delete(connection);
      this.judge(this.broker.drop(connection));
    }
    this.judge(this.broker.wait(LONG_MS));
    ensure(this.broker.rendezvous.pollTimeout() === undefined, 'something is awaited of nobody');
    const peers = this.broker.events().flatMap((event) => ('peers' in event ? [event.peers] : []));
    ensure((peers.at(-1) ?? 0) === 0, `${peers.at(-1)} peers are left`);
  }

  private judge(actions: readonly PeerAction[]): void {
    for (const action of actions) {
      // Those that were dropped are told nothing; a frame in the same breath may have closed others.
      ensure(this.open.has(action.connection), `something is said to connection ${action.connection}`);
      if (action.kind === 'close') {
        ensure(CLOSE_CODES.includes(action.code), `a close code of ${action.code}`);
        this.open.delete(action.connection);
        continue;
      }
      const message = decodeServerMessage(JSON.stringify(action.message));
      if (message.kind === 'error') ensure(message.code in ERROR_CATALOGUE, `code ${message.code}`);
    }
  }
}

/** A meeting in which some is left out, said twice, by somebody else or otherwise. */
function invent(random: Random): Uint8Array {
  const lines = meeting()
    .split('\n')
    .flatMap((line) => {
      const choice = random.fraction();
      if (choice < 0.05) return [];
      if (choice < 0.1) return [line, line];
      if (choice < 0.15) return [`${random.integer(0, CONNECTIONS - 1)}${line.slice(1)}`];
      if (choice < 0.3 && line[1] === '{') return [line[0]! + mutateJson(line.slice(1), random)];
      return [line];
    });
  return Buffer.from(lines.join('\n'));
}

/** Two peers meet, are introduced, and punch; as they would say it to a broker that says the same each time. */
function meeting(): string {
  const play = new BrokerPlay();
  const lines: string[] = [];
  const nonces: string[] = [];
  const say = (slot: number, message: object): void => {
    const text = JSON.stringify(message);
    lines.push(`${slot}${text}`);
    const actions = play.say(slot + 1, text);
    for (const action of actions) {
      if (action.kind === 'send' && action.message.kind === 'welcome') nonces.push(action.message.nonce);
    }
  };
  for (const [slot, name] of ['ann', 'bob'].entries()) {
    lines.push(`${slot}+`);
    play.connect();
    say(slot, helloOf(name, slot === 1 ? { consent: 'ask' } : {}));
    say(slot, { kind: 'heartbeat', beat: 1 });
    const mapped = { address: `198.51.100.${7 + slot}`, port: 40_000 };
    say(slot, play.candidates(nonces[slot]!, [mapped], { private: [{ address: '192.168.1.7', port: 7 }] }));
  }
  say(0, { kind: 'peers', id: 1 });
  say(0, { kind: 'foresee', id: 2, peer: 'bob' });
  say(0, { kind: 'introduce', id: 3, peer: 'bob' });
  say(1, { kind: 'consent', introduction: 1 });
  lines.push('0 700');
  play.wait(700);
  for (const slot of [0, 1])
    say(slot, { kind: 'outcome', introduction: 1, outcome: 'failed', packets: 9, timeMs: 900, reason: 'x' });
  say(0, { kind: 'introduce', id: 4, peer: 2, attempt: 2 });
  say(1, { kind: 'refuse', introduction: 2, text: 'no' });
  lines.push('1-');
  play.drop(2);
  lines.push('0 20000');
  play.wait(20_000);
  say(0, { kind: 'bye' });
  return lines.join('\n');
}
