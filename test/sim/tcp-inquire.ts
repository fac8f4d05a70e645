import type { TcpAction, TcpInput, TcpInquiryOptions } from '../../probe/classify/inquiries/tcp.ts';
import { createTcpInquiry, TCP_INQUIRY_TIMEOUT_MS } from '../../probe/classify/inquiries/tcp.ts';
import { DEFAULT_PACE_MS } from '../../probe/index.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import { assessTcp, type TcpAxis } from '../../shared/nat/tcp.ts';
import type { TimedEvent } from './event-queue.ts';
import type { TcpNatBehaviour } from './tcp-nat.ts';
import { type TcpConditions, TcpWorld } from './tcp-world.ts';

/** What an inquiry came to. */
export interface TcpRun {
  readonly world: TcpWorld;
  readonly axis: TcpAxis;
  readonly evidence: readonly Evidence[];
  /** Virtual milliseconds. */
  readonly tookMs: number;
  /** Connections begun, as `SOCKET ENDPOINT`. */
  readonly connected: readonly string[];
}

/** Runs the TCP inquiry, with the probe's defaults, behind such a NAT. Throws if it has no end. */
export function inquireTcp(
  behaviour: TcpNatBehaviour,
  conditions: TcpConditions,
  options: Partial<TcpInquiryOptions> = {},
): TcpRun {
  const world = new TcpWorld(behaviour, conditions);
  const { network } = world;
  const random = network.random.fork();
  const machine = createTcpInquiry({
    family: 'ipv4',
    server: world.endpoints[0],
    timeoutMs: TCP_INQUIRY_TIMEOUT_MS,
    paceMs: DEFAULT_PACE_MS,
    random: (length) => random.bytes(length),
    ...options,
  });
  const writers = new Map<string, (bytes: Uint8Array) => void>();
  const connected: string[] = [];
  let evidence: readonly Evidence[] | undefined;
  let timer: TimedEvent | undefined;

  const tell = (input: TcpInput): void => {
    machine.handleInput(input, network.now);
    settle();
  };
  const settle = (): void => {
    for (let action = machine.pollAction(); action; action = machine.pollAction()) act(action);
    for (let event = machine.pollEvent(); event; event = machine.pollEvent()) {
      if (event.kind !== 'done') continue;
      evidence = event.result.evidence;
      network.stop();
    }
    if (timer !== undefined) network.cancel(timer);
    const timeoutAt = machine.pollTimeout();
    timer =
      timeoutAt === undefined
        ? undefined
        : network.schedule(timeoutAt, () => {
            machine.handleTimeout(network.now);
            settle();
          });
  };
  /** As with a real socket the outcome is told later, not from within the machine's call. */
  const later = (input: TcpInput): void => void network.schedule(network.now, () => tell(input));
  const act = (action: TcpAction): void => {
    switch (action.kind) {
      case 'connect': {
        const { connection, localPort, to } = action;
        connected.push(connection);
        const opened = world.connect(localPort, to, {
          onConnected: () => tell({ kind: 'connected', connection, local: opened!.local }),
          onRefused: () => tell({ kind: 'connect-failed', connection, reason: 'refused' }),
          onData: (bytes) => tell({ kind: 'message', connection, bytes }),
        });
        if (opened === undefined) later({ kind: 'port-taken', connection, localPort });
        else writers.set(connection, opened.write);
        return;
      }
      case 'send':
        writers.get(action.connection)!(action.bytes);
        return;
      case 'listen': {
        const { socket, local } = action;
        const listens = world.listen(local, (from) => tell({ kind: 'accepted', socket, from }));
        later({ kind: listens ? 'listening' : 'listen-failed', socket });
        return;
      }
      case 'close-all':
        return;
    }
  };

  settle();
  network.run(2 * TCP_INQUIRY_TIMEOUT_MS);
  if (evidence === undefined) throw new Error('the TCP inquiry has no end');
  return { world, axis: assessTcp(evidence), evidence, tookMs: network.now, connected };
}

/** `MAPPING FILTERING SYN OPEN` in one line. */
export function describeTcpRun({ axis }: TcpRun): string {
  return [axis.mapping, axis.filtering, axis.unsolicitedSyn, axis.simultaneousOpen]
    .map(({ value }) => value)
    .join(' ');
}
