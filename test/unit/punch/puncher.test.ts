import { beforeEach, describe, expect, it } from 'vitest';
import { encodeGoodbye } from '../../../probe/punch/goodbye.ts';
import type { PuncherAction, PuncherEvent } from '../../../probe/punch/io.ts';
import { createPuncher } from '../../../probe/punch/puncher.ts';
import { punchSession } from '../../../probe/punch/session.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { decodeCheck, encodeCheck, encodeCheckResponse } from '../../../shared/ice/check.ts';
import type { IceCredentials } from '../../../shared/ice/credentials.ts';
import type { PunchPlan, PunchStep } from '../../../shared/punch/plan.ts';
import { decodeMessage, type TransactionId } from '../../../shared/stun/message.ts';

const KEY = Buffer.alloc(32, 1);
const PEER: Endpoint = { address: '203.0.113.2', port: 4000 };
const ELSEWHERE: Endpoint = { address: '203.0.113.2', port: 4999 };
const CHECK: PunchStep = {
  strategy: 'plain',
  atMs: 0,
  untilMs: 1000,
  action: { kind: 'check', to: [PEER] },
};

function plan(more: Partial<PunchPlan> = {}): PunchPlan {
  return {
    role: 'controlling',
    peer: { publicKey: '', candidates: [{ kind: 'public', endpoint: PEER }] },
    startInMs: 30,
    steps: [CHECK],
    timeMs: 1000,
    limits: { packetsPerSecond: 1000, packets: 500 },
    transport: 'udp',
    keepaliveMs: 15_000,
    attempt: 1,
    attempts: 1,
    predicted: { strategy: 'plain', probability: 1 },
    ...more,
  };
}

type Send = Extract<PuncherAction, { kind: 'send' }>;

/** A puncher with a peer made of single packets. Its socket is `main`. */
class Scene {
  readonly puncher;
  readonly theirs;
  readonly events: PuncherEvent[] = [];

  constructor(given: Partial<PunchPlan> = {}) {
    let next = 1;
    this.puncher = createPuncher({ random: (length) => Buffer.alloc(length, next++) });
    const role = given.role ?? 'controlling';
    this.theirs = punchSession(KEY, role === 'controlling' ? 'controlled' : 'controlling');
    this.puncher.handleInput({ kind: 'plan', plan: plan(given), key: KEY, sockets: { ipv4: 'main' } }, 0);
  }

  at(now: number): PuncherAction[] {
    this.puncher.handleTimeout(now);
    return this.drain();
  }

  hear(bytes: Uint8Array, now: number, from = PEER, socket = 'main'): PuncherAction[] {
    this.puncher.handleInput({ kind: 'datagram', socket, from, bytes }, now);
    return this.drain();
  }

  check(id: string, { nominates = false, key = KEY, own = this.theirs.own } = {}): Uint8Array {
    const session = punchSession(key, this.theirs.role.kind);
    return encodeCheck(
      {
        transactionId: id.padStart(24, '0') as TransactionId,
        receiverUfrag: session.peer.ufrag,
        senderUfrag: own.ufrag,
        priority: 1,
        role: session.role,
        nominates,
      },
      session.peer.password,
    );
  }

  /** The answer to a check that the puncher sent. */
  answer({ bytes }: Send, credentials: IceCredentials = this.theirs.own): Uint8Array {
    return encodeCheckResponse(checkOf(bytes)!.transactionId, PEER, credentials.password);
  }

  goodbye(): Uint8Array {
    return encodeGoodbye('f'.repeat(24) as TransactionId, this.theirs);
  }

  private drain(): PuncherAction[] {
    const actions: PuncherAction[] = [];
    for (let action = this.puncher.pollAction(); action; action = this.puncher.pollAction())
      actions.push(action);
    for (let event = this.puncher.pollEvent(); event; event = this.puncher.pollEvent())
      this.events.push(event);
    return actions;
  }
}

function checkOf(bytes: Uint8Array): ReturnType<typeof decodeCheck> {
  const decoded = decodeMessage(bytes);
  return decoded.kind === 'message' ? decodeCheck(decoded.message) : undefined;
}

function classOf(bytes: Uint8Array): string | undefined {
  const decoded = decodeMessage(bytes);
  return decoded.kind === 'message' ? decoded.message.class : undefined;
}

/** `to ENDPOINT: what`, of each action. */
function outline(actions: readonly PuncherAction[]): string[] {
  return actions.map((action) => {
    if (action.kind !== 'send') return action.kind;
    const check = checkOf(action.bytes);
    if (check === undefined && classOf(action.bytes) === 'indication') return `goodbye to ${action.to.port}`;
    const what = check === undefined ? 'answer' : check.nominates ? 'nomination' : 'check';
    return `${what} to ${action.to.port}${action.ttl === undefined ? '' : ` with TTL ${action.ttl}`}`;
  });
}

describe('the puncher', () => {
  it('begins at the start, and repeats until the time is out; then it says that it failed, and why', () => {
    const scene = new Scene();
    expect(scene.puncher.pollTimeout()).toBe(30);
    expect(outline(scene.at(29))).toEqual([]);
    expect(outline(scene.at(30))).toEqual(['check to 4000']);
    expect(scene.puncher.pollTimeout()).toBe(80);
    expect(outline(scene.at(80))).toEqual(['check to 4000']);
    expect(outline(scene.at(1030)).at(-1)).toBe('close-socket');
    expect(scene.events).toMatchObject([{ kind: 'failed', reason: { code: 'nothing-heard' }, tookMs: 1000 }]);
    expect(scene.puncher.pollTimeout()).toBeUndefined();
  });

  it('opens only after an echo and an acknowledged nomination', () => {
    const scene = new Scene();
    const [first] = scene.at(30) as Send[];
    const heard = scene.hear(scene.check('a1'), 55);
    expect(outline(heard)).toEqual(['answer to 4000', 'check to 4000']);
    expect(scene.events).toEqual([]);
    const echoed = scene.hear(scene.answer(first!), 80);
    expect(outline(echoed)).toEqual(['nomination to 4000']);
    expect(scene.events).toEqual([]);
    scene.hear(scene.answer(echoed[0] as Send), 130);
    expect(scene.events).toMatchObject([
      {
        kind: 'open',
        socket: 'main',
        remote: PEER,
        path: 'direct',
        strategy: 'plain',
        tookMs: 100,
        packets: 4,
      },
    ]);
  });

  it('lets the controlling side nominate, and wants an echo of its own of what that nominates', () => {
    const scene = new Scene({ role: 'controlled' });
    scene.at(30);
    const actions = scene.hear(scene.check('a1', { nominates: true }), 60, ELSEWHERE);
    expect(outline(actions)).toEqual(['answer to 4999', 'check to 4999']);
    expect(scene.events).toEqual([]);
    scene.hear(scene.answer(actions[1] as Send), 90, ELSEWHERE);
    expect(scene.events).toMatchObject([{ kind: 'open', remote: ELSEWHERE }]);
  });

  it('nominates once: the first path that passes both ways, again and again until that is answered', () => {
    const scene = new Scene();
    const [first] = scene.at(30) as Send[];
    scene.hear(scene.answer(first!), 80);
    const other = scene.hear(scene.check('a2'), 90, ELSEWHERE);
    expect(outline(scene.hear(scene.answer(other[1] as Send), 110, ELSEWHERE))).toEqual([]);
    expect(outline(scene.at(130))).toEqual(['nomination to 4000']);
  });

  it.each([
    ['of another key', (scene: Scene) => scene.check('a1', { key: Buffer.alloc(32, 9) })],
    ['of another session', (scene: Scene) => scene.check('a1', { own: scene.theirs.peer })],
    ['that are nothing', () => Uint8Array.of(1, 2, 3)],
  ])('ignores packets %s', (_name, bytesOf) => {
    const scene = new Scene();
    scene.at(30);
    expect(scene.hear(bytesOf(scene), 40)).toEqual([]);
    expect(scene.events).toEqual([]);
  });

  it('ignores its own packets sent back, and answers that nobody asked for or that come elsewhere', () => {
    const scene = new Scene();
    const [sent] = scene.at(30) as Send[];
    expect(scene.hear(sent!.bytes, 40)).toEqual([]);
    expect(scene.hear(scene.answer(sent!, scene.theirs.peer), 40)).toEqual([]);
    expect(scene.hear(scene.answer(sent!), 40, PEER, 'another')).toEqual([]);
    const unasked = encodeCheckResponse('ff'.repeat(12) as TransactionId, PEER, scene.theirs.own.password);
    expect(scene.hear(unasked, 40)).toEqual([]);
    expect(outline(scene.hear(scene.answer(sent!), 50))).toEqual(['nomination to 4000']);
    // It counts once.
    expect(scene.hear(scene.answer(sent!), 51)).toEqual([]);
  });

  it('sends first packets with the TTL that the plan says, until the peer is heard', () => {
    const opening: PunchStep = {
      ...CHECK,
      strategy: 'low-ttl',
      untilMs: 150,
      action: { kind: 'check', to: [PEER], ttl: 2 },
    };
    const scene = new Scene({ steps: [opening, { ...CHECK, atMs: 150 }] });
    expect(outline(scene.at(30))).toEqual(['check to 4000 with TTL 2']);
    expect(outline(scene.hear(scene.check('a1'), 60))).toEqual(['answer to 4000', 'check to 4000']);
    const untouched = new Scene({ steps: [opening, { ...CHECK, atMs: 150 }] });
    untouched.at(30);
    untouched.at(80);
    expect(outline(untouched.at(180))).toEqual(['check to 4000']);
  });

  it('says that it was heard one way only', () => {
    const scene = new Scene();
    scene.at(30);
    scene.hear(scene.check('a1'), 60);
    scene.at(1030);
    expect(scene.events).toMatchObject([{ kind: 'failed', reason: { code: 'one-way' } }]);
  });

  it('asks for fresh sockets and a plan for another attempt, and fails if none comes', () => {
    const scene = new Scene({ attempts: 2 });
    scene.at(30);
    expect(outline(scene.at(1030)).slice(-2)).toEqual(['close-socket', 'renew']);
    expect(scene.events).toMatchObject([{ kind: 'retrying', attempt: 2 }]);
    scene.at(scene.puncher.pollTimeout()!);
    expect(scene.events.at(-1)).toMatchObject({ kind: 'failed', reason: { code: 'no-plan' } });
  });

  it('fails at once where the plan has nothing to do, and when it is stopped', () => {
    expect(new Scene({ steps: [], timeMs: 0, startInMs: 0 }).at(0)).toEqual([
      { kind: 'close-socket', socket: 'main' },
    ]);
    const scene = new Scene();
    scene.puncher.handleInput({ kind: 'stop' }, 10);
    scene.at(11);
    expect(scene.events).toMatchObject([{ kind: 'failed', reason: { code: 'stopped' } }]);
  });

  it('tries no more ports than its limit, and then says so', () => {
    const spray: PunchStep = {
      strategy: 'birthday',
      atMs: 0,
      untilMs: 3000,
      action: {
        kind: 'spray',
        address: PEER.address,
        ranges: [{ first: 1024, last: 65535, step: 1 }],
        probes: 2000,
      },
    };
    const scene = new Scene({ steps: [spray], timeMs: 3000 });
    const ports = new Set<number>();
    let sent = 0;
    for (let now = 30; now < 3030; now++)
      for (const action of scene.at(now)) {
        if (action.kind !== 'send') continue;
        sent++;
        ports.add(action.to.port);
      }
    expect(sent).toBe(500 - 64);
    expect(ports.size).toBe(sent);
    scene.at(3030);
    expect(scene.events.at(-1)).toMatchObject({ kind: 'failed', reason: { code: 'too-many-packets' } });
    // Meanwhile it tells how far it is, ten times a second.
    const told = scene.events.slice(0, -1);
    expect(told.map(({ kind }) => kind)).toEqual(new Array(5).fill('guessing'));
    expect(told[2]).toEqual({ kind: 'guessing', strategy: 'birthday', sent: 301, of: 2000 });
  });

  describe('with an open hole', () => {
    let scene: Scene;
    beforeEach(() => {
      scene = new Scene();
      const [first] = scene.at(30) as Send[];
      const [nomination] = scene.hear(scene.answer(first!), 80) as Send[];
      scene.hear(scene.answer(nomination!), 130);
      expect(scene.events).toMatchObject([{ kind: 'open' }]);
    });

    function stop(now: number): PuncherAction[] {
      scene.puncher.handleInput({ kind: 'stop' }, now);
      return scene.at(now);
    }

    it('says goodbye five times, and closes its socket', () => {
      expect(outline(stop(200))).toEqual(['goodbye to 4000']);
      expect(scene.events.at(-1)).toEqual({ kind: 'closed' });
      const actions: string[] = [];
      for (let at = scene.puncher.pollTimeout(); at !== undefined; at = scene.puncher.pollTimeout())
        actions.push(...outline(scene.at(at)));
      expect(actions).toEqual([...Array.from({ length: 4 }, () => 'goodbye to 4000'), 'close-socket']);
      expect(scene.events.filter(({ kind }) => kind === 'closed')).toHaveLength(1);
    });

    it('is done with goodbyes once the peer has said one', () => {
      stop(200);
      expect(outline(scene.hear(scene.goodbye(), 250))).toEqual(['close-socket']);
      expect(scene.puncher.pollTimeout()).toBeUndefined();
    });

    it('hears the peer’s goodbye, answers it, and is closed', () => {
      expect(outline(scene.hear(scene.goodbye(), 200))).toEqual(['goodbye to 4000', 'close-socket']);
      expect(scene.events.at(-1)).toEqual({ kind: 'closed' });
    });

    it.each([
      ['with another key', Buffer.alloc(32, 9), 'controlled'],
      ['that it has said itself', KEY, 'controlling'],
    ] as const)('takes no goodbye %s', (_, key, role) => {
      const bytes = encodeGoodbye('1'.padStart(24, '0') as TransactionId, punchSession(key, role));
      expect(scene.hear(bytes, 200)).toEqual([]);
      expect(scene.events).toHaveLength(1);
    });
  });

  it('gives up where the peer says goodbye to what is not open yet', () => {
    const scene = new Scene();
    scene.at(30);
    expect(outline(scene.hear(scene.goodbye(), 60))).toEqual(['close-socket']);
    expect(scene.events).toMatchObject([{ kind: 'failed', reason: { code: 'given-up' } }]);
  });

  it('loses the hole when nothing is answered any more, and asks for a plan', () => {
    const scene = new Scene();
    const [first] = scene.at(30) as Send[];
    const [nomination] = scene.hear(scene.answer(first!), 80) as Send[];
    scene.hear(scene.answer(nomination!), 130);
    const [kept] = scene.at(15_130) as Send[];
    scene.hear(scene.answer(kept!), 15_180);
    expect(scene.puncher.pollTimeout()).toBe(30_180);
    const actions: string[] = [];
    for (let at = scene.puncher.pollTimeout(); scene.events.length === 1; at = scene.puncher.pollTimeout())
      actions.push(...outline(scene.at(at!)));
    expect(actions).toEqual([...Array.from({ length: 8 }, () => 'check to 4000'), 'close-socket', 'renew']);
    expect(scene.events[1]).toEqual({ kind: 'lost', silentMs: 19_000 });
  });
});
