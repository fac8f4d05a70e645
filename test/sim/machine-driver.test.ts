import { describe, expect, it } from 'vitest';
import type { ClassifierAction, ClassifierEvent, ClassifierInput } from '../../probe/classify/io.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import { Host } from './host.ts';
import { runMachine, type ClassifierMachine } from './machine-driver.ts';
import { Network } from './network.ts';
import { openRecorder } from './recorder.ts';

const SERVER: Endpoint = { address: '192.0.2.1', port: 1000 };

/** Asks for what `script` gives at each call, and keeps what it is told, with the time. */
class ScriptedMachine implements ClassifierMachine {
  readonly told: string[] = [];
  timeoutAt: number | undefined;
  readonly #script: (told: string) => readonly ClassifierAction[];
  readonly #actions: ClassifierAction[];
  readonly #events: ClassifierEvent[] = [];

  constructor(first: readonly ClassifierAction[], script: (told: string) => readonly ClassifierAction[]) {
    this.#actions = [...first];
    this.#script = script;
  }

  handleInput(input: ClassifierInput, now: number): void {
    this.#note(input.kind, now);
  }

  handleTimeout(now: number): void {
    this.timeoutAt = undefined;
    this.#note('timeout', now);
  }

  pollAction(): ClassifierAction | undefined {
    return this.#actions.shift();
  }

  pollTimeout(): number | undefined {
    return this.timeoutAt;
  }

  pollEvent(): ClassifierEvent | undefined {
    return this.#events.shift();
  }

  finish(): void {
    const outcome = { kind: 'unreachable', reason: 'scripted' } as const;
    this.#events.push({
      kind: 'done',
      result: { family: 'ipv4', outcome, endpoints: {}, timing: { totalMs: 0 }, evidence: [] },
    });
  }

  #note(kind: string, now: number): void {
    this.told.push(`${kind} ${now}`);
    this.#actions.push(...this.#script(kind));
  }
}

const openSocket = (port: number, socket = 'a'): ClassifierAction => ({
  kind: 'open-socket',
  socket,
  family: 'ipv4',
  port,
  given: port !== 0,
  towards: SERVER,
});
const send: ClassifierAction = { kind: 'send', socket: 'a', to: SERVER, bytes: new Uint8Array(1) };

/** A client 10 ms from a server that echoes. */
function buildNetwork(): { network: Network; client: Host } {
  const network = new Network(1);
  const client = new Host(network.internet, ['10.0.0.2'], { up: { delayMs: 10 }, down: { delayMs: 10 } });
  const server = new Host(network.internet, [SERVER.address]);
  const echo = server.openSocket(SERVER, { onDatagram: (bytes, from) => echo.send(from, bytes) })!;
  return { network, client };
}

describe('the machine driver', () => {
  it('opens, sends, hears, and counts, and stops at the end', () => {
    const { network, client } = buildNetwork();
    const machine = new ScriptedMachine([openSocket(5000)], (told) => {
      if (told === 'datagram') machine.finish();
      return told === 'socket-opened' ? [send, send] : [];
    });
    const run = runMachine(client, machine, 1000);
    expect(machine.told).toEqual(['socket-opened 0', 'datagram 20']);
    expect([run.tookMs, run.sent, run.heard, run.result?.outcome.kind]).toEqual([20, 2, 1, 'unreachable']);
    // The second echo is on its way: nobody is told, and the port is free again.
    network.run(100);
    expect(machine.told).toHaveLength(2);
    expect(openRecorder(client, '10.0.0.2:5000').heard).toEqual([]);
  });

  it('tells that a port is taken, that there is no address of the family, or not that address', () => {
    const { client } = buildNetwork();
    openRecorder(client, '10.0.0.2:5000');
    const machine = new ScriptedMachine(
      [
        openSocket(5000),
        { ...openSocket(0, 'b'), family: 'ipv6' } as ClassifierAction,
        { ...openSocket(0, 'c'), localAddress: '10.0.0.3' } as ClassifierAction,
      ],
      () => [],
    );
    const codes: string[] = [];
    const handle = machine.handleInput.bind(machine);
    machine.handleInput = (input, now) => {
      if (input.kind === 'socket-failed') codes.push(input.code);
      handle(input, now);
    };
    runMachine(client, machine, 10);
    expect(codes).toEqual(['EADDRINUSE', 'ENETUNREACH', 'EADDRNOTAVAIL']);
  });

  it('binds another address of the host where that is asked for', () => {
    const { network, client } = buildNetwork();
    client.addAddress('10.0.0.3', { up: { delayMs: 10 }, down: { delayMs: 10 } });
    const sources: string[] = [];
    network.trace = (fate, { sourceAddress }) => {
      if (fate === 'delivered') sources.push(sourceAddress);
    };
    const machine = new ScriptedMachine(
      [{ ...openSocket(5000), localAddress: '10.0.0.3' } as ClassifierAction],
      (told) => {
        if (told === 'datagram') machine.finish();
        return told === 'socket-opened' ? [send] : [];
      },
    );
    runMachine(client, machine, 100);
    expect(sources).toEqual(['10.0.0.3', SERVER.address]);
  });

  it('keeps one timer, the last that was asked for', () => {
    const { client } = buildNetwork();
    const machine = new ScriptedMachine([openSocket(5000)], (told) => {
      if (told === 'socket-opened') machine.timeoutAt = 50;
      if (told === 'datagram') machine.timeoutAt = 30;
      return told === 'socket-opened' ? [send] : [];
    });
    const run = runMachine(client, machine, 100);
    expect(machine.told).toEqual(['socket-opened 0', 'datagram 20', 'timeout 30']);
    expect([run.result, run.tookMs]).toEqual([undefined, 100]);
  });

  it('reports ICMP errors on connected sockets and the outcome of TCP', () => {
    const { client } = buildNetwork();
    const closed = { ...SERVER, port: 9 };
    const machine = new ScriptedMachine(
      [
        { kind: 'open-connected-socket', socket: 'a', to: closed },
        { kind: 'connect-tcp', attempt: '0', to: closed, bytes: new Uint8Array(1) },
      ],
      (told) => (told === 'socket-opened' ? [{ ...send, to: closed }] : []),
    );
    runMachine(client, machine, 100);
    expect(machine.told).toEqual(['socket-opened 0', 'tcp-failed 20', 'refused 20']);
  });
});
