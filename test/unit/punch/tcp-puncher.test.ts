import { beforeEach, describe, expect, it } from 'vitest';
import { punchSession } from '../../../probe/punch/session.ts';
import type { TcpPuncherAction, TcpPuncherEvent, TcpPuncherInput } from '../../../probe/punch/tcp-io.ts';
import { createTcpPuncher } from '../../../probe/punch/tcp-puncher.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { decodeCheck, encodeCheck, encodeCheckResponse } from '../../../shared/ice/check.ts';
import type { PunchPlan, PunchRole, PunchStep } from '../../../shared/punch/plan.ts';
import { decodeMessage, type TransactionId } from '../../../shared/stun/message.ts';

const KEY = Buffer.alloc(32, 1);
const PEER: Endpoint = { address: '203.0.113.2', port: 4000 };
const CONNECT: PunchStep = {
  strategy: 'plain',
  atMs: 0,
  untilMs: 1000,
  action: { kind: 'connect', to: [PEER], everyMs: 100 },
};
const LISTEN: PunchStep = { ...CONNECT, action: { kind: 'listen', family: 'ipv4' } };

function plan(more: Partial<PunchPlan> = {}): PunchPlan {
  return {
    transport: 'tcp',
    role: 'controlling',
    peer: { publicKey: '', candidates: [{ kind: 'public', endpoint: PEER }] },
    startInMs: 30,
    steps: [CONNECT],
    timeMs: 1000,
    limits: { packetsPerSecond: 200, packets: 400 },
    keepaliveMs: 60_000,
    attempt: 1,
    attempts: 1,
    predicted: { strategy: 'plain', probability: 1 },
    ...more,
  };
}

/** A puncher with a peer made of single messages. */
class Scene {
  readonly puncher = createTcpPuncher({ random: (length) => Buffer.alloc(length, this.#next++) });
  readonly events: TcpPuncherEvent[] = [];
  readonly role: PunchRole;
  #next = 1;

  constructor(given: Partial<PunchPlan> = {}) {
    this.role = given.role ?? 'controlling';
    this.tell({ kind: 'plan', plan: plan(given), key: KEY, sockets: { ipv4: 'port' } }, 0);
  }

  at(now: number): TcpPuncherAction[] {
    this.puncher.handleTimeout(now);
    return this.#drain();
  }

  tell(input: TcpPuncherInput, now: number): TcpPuncherAction[] {
    this.puncher.handleInput(input, now);
    return this.#drain();
  }

  data(connection: string, bytes: Uint8Array, now: number): TcpPuncherAction[] {
    return this.tell({ kind: 'data', connection, bytes }, now);
  }

  /** A check of the peer, or of a stranger with another key. */
  check(id: string, { nominates = false, key = KEY } = {}): Uint8Array {
    const session = punchSession(key, this.role === 'controlling' ? 'controlled' : 'controlling');
    const { own, peer, role } = session;
    return encodeCheck(
      {
        transactionId: id.padStart(24, '0') as TransactionId,
        receiverUfrag: peer.ufrag,
        senderUfrag: own.ufrag,
        priority: 1,
        role,
        nominates,
      },
      peer.password,
    );
  }

  /** The peer's answer to the last check among these. */
  answer(actions: readonly TcpPuncherAction[]): Uint8Array {
    const theirs = punchSession(KEY, this.role === 'controlling' ? 'controlled' : 'controlling');
    const id = actions.flatMap((action) => checkIn(action)?.transactionId ?? []).at(-1)!;
    return encodeCheckResponse(id, PEER, theirs.own.password);
  }

  #drain(): TcpPuncherAction[] {
    const actions: TcpPuncherAction[] = [];
    for (let action = this.puncher.pollAction(); action; action = this.puncher.pollAction())
      actions.push(action);
    for (let event = this.puncher.pollEvent(); event; event = this.puncher.pollEvent())
      this.events.push(event);
    return actions;
  }
}

function checkIn(action: TcpPuncherAction): ReturnType<typeof decodeCheck> {
  if (action.kind !== 'send') return undefined;
  const decoded = decodeMessage(action.bytes);
  return decoded.kind === 'message' ? decodeCheck(decoded.message) : undefined;
}

function outline(actions: readonly TcpPuncherAction[]): string[] {
  return actions.map((action) => {
    if (action.kind === 'renew') return `renew ${action.attempt}`;
    if (action.kind === 'listen' || action.kind === 'close-socket') return action.kind;
    const check = checkIn(action);
    const what =
      action.kind !== 'send'
        ? action.kind
        : check === undefined
          ? 'answer'
          : check.nominates
            ? 'nomination'
            : 'check';
    return `${what} ${action.connection}`;
  });
}

const ONE = 'connection-1-1';
const TWO = 'connection-1-2';

describe('the TCP puncher', () => {
  let scene: Scene;
  beforeEach(() => {
    scene = new Scene();
  });

  const connect = (now: number): TcpPuncherAction[] =>
    scene.tell({ kind: 'connected', connection: ONE }, now);

  it('takes a call back that has had its time, and is there to be called', () => {
    const { action } = CONNECT;
    const brief = {
      ...CONNECT,
      untilMs: 75,
      action: { ...action, everyMs: undefined },
    } as unknown as PunchStep;
    scene = new Scene({ steps: [brief, LISTEN] });
    expect(outline(scene.at(30)).sort()).toEqual([`connect ${ONE}`, 'listen']);
    expect(scene.puncher.pollTimeout()).toBe(105);
    expect(outline(scene.at(104))).toEqual([]);
    expect(outline(scene.at(105))).toEqual([`close ${ONE}`]);
    expect(outline(scene.tell({ kind: 'accepted', connection: 'in', from: PEER }, 180))).toEqual([
      'check in',
    ]);
    // One that stands is not taken back.
    scene = new Scene({ steps: [brief, LISTEN] });
    scene.at(30);
    connect(60);
    expect(outline(scene.at(200))).toEqual([]);
  });

  it('opens once both have answered the other’s check, and one is nominated', () => {
    expect(scene.puncher.pollTimeout()).toBe(30);
    expect(outline(scene.at(30))).toEqual([`connect ${ONE}`]);
    const checked = connect(60);
    expect(outline(checked)).toEqual([`check ${ONE}`]);
    expect(outline(scene.data(ONE, scene.answer(checked), 80))).toEqual([]);
    const heard = scene.data(ONE, scene.check('a1'), 85);
    expect(outline(heard)).toEqual([`answer ${ONE}`, `nomination ${ONE}`]);
    expect(scene.events).toEqual([]);
    expect(outline(scene.data(ONE, scene.answer(heard), 110))).toEqual(['close-socket']);
    expect(scene.events).toMatchObject([
      {
        kind: 'open',
        connection: ONE,
        remote: PEER,
        path: 'direct',
        strategy: 'plain',
        tookMs: 80,
        rttMs: 25,
      },
    ]);
    expect(scene.puncher.pollTimeout()).toBeUndefined();
  });

  it.each([1, 40, 200, 1000])(
    'leaves the peer’s first bytes for the application, in pieces of %d',
    (size) => {
      scene = new Scene({ role: 'controlled' });
      scene.at(30);
      const checked = connect(60);
      const punch = Buffer.concat([
        scene.check('a1'),
        scene.answer(checked),
        scene.check('a2', { nominates: true }),
      ]);
      const bytes = Buffer.concat([punch, Buffer.from('application')]);
      let given = 0;
      for (; scene.events.length === 0; given += size)
        scene.data(ONE, bytes.subarray(given, given + size), 90);
      const [opened] = scene.events;
      expect(opened).toMatchObject({ kind: 'open', connection: ONE });
      const early = opened?.kind === 'open' ? Buffer.from(opened.early).toString() : '';
      expect(early).toBe('application'.slice(0, Math.max(0, given - punch.length)));
    },
  );

  it('connects again at its own times where it is refused, and not once the time is out', () => {
    scene.at(30);
    scene.tell({ kind: 'connect-failed', connection: ONE, reason: 'refused' }, 35);
    const at = scene.puncher.pollTimeout()!;
    expect(at).toBeGreaterThanOrEqual(130);
    expect(at).toBeLessThanOrEqual(155);
    expect(outline(scene.at(at))).toEqual([`connect ${TWO}`]);
    scene.tell({ kind: 'connect-failed', connection: TWO, reason: 'refused' }, 990);
    expect(scene.puncher.pollTimeout()).toBe(1030);
    expect(outline(scene.at(1030))).toEqual(['close-socket']);
    expect(scene.events).toMatchObject([
      { kind: 'failed', reason: { code: 'refused' }, packets: 2, tookMs: 1000 },
    ]);
  });

  it.each([
    ['has another key', (one: Scene) => one.check('a1', { key: Buffer.alloc(32, 2) })],
    ['sends no STUN', () => Buffer.from('SSH-2.0-OpenSSH_9.9\r\n')],
    [
      'answers what was not asked',
      () => encodeCheckResponse('01'.repeat(12) as TransactionId, PEER, 'x'.repeat(24)),
    ],
    ['never ends its message', () => Buffer.from('00010fff2112a442', 'hex')],
  ])('closes on one that %s, and does not call it again', (_what, bytesOf) => {
    scene.at(30);
    connect(60);
    expect(outline(scene.data(ONE, bytesOf(scene), 70))).toEqual([`close ${ONE}`]);
    expect(scene.puncher.pollTimeout()).toBe(1030);
    scene.at(1030);
    expect(scene.events).toMatchObject([{ kind: 'failed', reason: { code: 'not-the-peer' } }]);
  });

  it('waits three seconds for one that says nothing', () => {
    scene = new Scene({ timeMs: 5000 });
    scene.at(30);
    connect(60);
    expect(scene.puncher.pollTimeout()).toBe(3060);
    expect(outline(scene.at(3060))).toEqual([`close ${ONE}`]);
  });

  it('takes the peer in from a port that it did not know, and strangers not', () => {
    scene = new Scene({
      role: 'controlled',
      steps: [{ ...CONNECT, action: { kind: 'connect', to: [PEER] } }, LISTEN],
    });
    expect(outline(scene.at(30)).sort()).toEqual([`connect ${ONE}`, 'listen']);
    const stranger = { address: '198.51.100.66', port: 6666 };
    for (let index = 0; index < 20; index++) {
      const connection = `stranger-${index}`;
      const said = scene.tell({ kind: 'accepted', connection, from: stranger }, 40);
      expect(outline(said)).toEqual([`${index < 16 ? 'check' : 'close'} ${connection}`]);
    }
    scene.data('stranger-0', scene.check('b1', { key: Buffer.alloc(32, 3) }), 45);
    const from = { address: PEER.address, port: 4999 };
    const checked = scene.tell({ kind: 'accepted', connection: 'accepted', from }, 50);
    expect(outline(checked)).toEqual(['check accepted']);
    scene.data('accepted', scene.answer(checked), 60);
    scene.data('accepted', scene.check('a1'), 60);
    const ended = outline(scene.data('accepted', scene.check('a2', { nominates: true }), 70));
    expect(ended).toEqual([
      'answer accepted',
      `close ${ONE}`,
      ...Array.from({ length: 15 }, (_, index) => `close stranger-${index + 1}`),
      'close-socket',
    ]);
    expect(scene.events).toMatchObject([{ kind: 'open', connection: 'accepted', remote: from }]);
  });

  it('nominates one of two connections, and another one if that is gone', () => {
    scene = new Scene({ steps: [CONNECT, LISTEN] });
    scene.at(30);
    const first = connect(40);
    const second = scene.tell({ kind: 'accepted', connection: 'accepted', from: PEER }, 41);
    scene.data(ONE, scene.answer(first), 50);
    scene.data('accepted', scene.answer(second), 50);
    expect(outline(scene.data(ONE, scene.check('a1'), 51))).toEqual([`answer ${ONE}`, `nomination ${ONE}`]);
    expect(outline(scene.data('accepted', scene.check('a2'), 52))).toEqual(['answer accepted']);
    const again = scene.tell({ kind: 'closed', connection: ONE }, 53);
    expect(outline(again)).toEqual(['nomination accepted']);
    expect(outline(scene.data('accepted', scene.answer(again), 60))).toEqual(['close-socket']);
    expect(scene.events).toMatchObject([{ kind: 'open', connection: 'accepted' }]);
  });

  it('asks for fresh ports while there are attempts, and gives up where no plan comes', () => {
    scene = new Scene({ attempts: 2 });
    scene.at(30);
    expect(outline(scene.at(1030))).toEqual([`close ${ONE}`, 'close-socket', 'renew 2']);
    expect(scene.events).toMatchObject([{ kind: 'retrying', attempt: 2, reason: { code: 'nothing-heard' } }]);
    // What the old attempt had begun is of no use.
    expect(outline(scene.tell({ kind: 'connected', connection: ONE }, 1040))).toEqual([`close ${ONE}`]);
    scene.at(scene.puncher.pollTimeout()!);
    expect(scene.events.at(-1)).toMatchObject({ kind: 'failed', reason: { code: 'no-plan' } });
  });

  it('keeps to its limit of connections', () => {
    const ports = Array.from({ length: 300 }, (_, index) => 1000 + index);
    const guess: PunchStep = {
      ...CONNECT,
      action: { kind: 'guess', address: PEER.address, ports, rounds: 1 },
    };
    scene = new Scene({ steps: [guess], limits: { packetsPerSecond: 1000, packets: 100 } });
    let connects = 0;
    for (let now = 30; now <= 1030; now++)
      connects += outline(scene.at(now)).filter((what) => what.startsWith('connect ')).length;
    expect(connects).toBe(36);
    expect(scene.events).toMatchObject([{ kind: 'failed', reason: { code: 'too-many-packets' } }]);
  });

  it('says that it was stopped, and that there is no way', () => {
    scene.at(30);
    expect(outline(scene.tell({ kind: 'stop' }, 40))).toEqual([`close ${ONE}`, 'close-socket']);
    expect(scene.events).toMatchObject([{ kind: 'failed', reason: { code: 'stopped' } }]);
    scene = new Scene({ steps: [], timeMs: 0 });
    scene.at(30);
    expect(scene.events).toMatchObject([{ kind: 'failed', reason: { code: 'no-tcp-way' } }]);
  });
});
