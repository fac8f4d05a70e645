/** A router's port mapper on the simulated network, and a search for it. */
import type { PortMapperAction, PortMapperInput } from '../../probe/classify/port-mappers/io.ts';
import { PortMapperSearch, type PortMapperSearchEvent } from '../../probe/classify/port-mappers/search.ts';
import type { Machine } from '../../shared/machine.ts';
import type { PortMapperEvidence } from '../../shared/nat/evidence.ts';
import { PORT_MAPPER_PORT } from '../../shared/portmap/mapping.ts';
import type { TimedEvent } from './event-queue.ts';
import { Host } from './host.ts';
import type { Realm } from './realm.ts';

const NAT_PMP = 0;
const RESPONSE_BIT = 0x80;
const PCP_ADDRESS_OFFSET = 44;

/**
 * Has `address` in `lan` answer NAT-PMP's question for the outer address (RFC 6886 §3.2), and PCP's
 * for a mapping as if it were made (RFC 6887 §11.1); both tell `outside`.
 */
export function startPortMapper(lan: Realm, address: string, outside: string): void {
  const outsideBytes = outside.split('.').map(Number);
  const socket = new Host(lan, [address]).openSocket(
    { address, port: PORT_MAPPER_PORT },
    {
      onDatagram(question, from) {
        const isNatPmp = question[0] === NAT_PMP;
        const answer = new Uint8Array(isNatPmp ? 12 : question.length);
        answer.set(question);
        answer[1]! |= RESPONSE_BIT;
        if (isNatPmp) answer.set(outsideBytes, 8);
        else answer.set([...Array<number>(10).fill(0), 0xff, 0xff, ...outsideBytes], PCP_ADDRESS_OFFSET);
        socket.send(from, answer);
      },
    },
  )!;
}

/** Asks `gateway` from `client`. There is no multicast here, so UPnP is never found. */
export function searchPortMappers(client: Host, gateway: string): readonly PortMapperEvidence[] {
  const { network } = client;
  const local = client.addressOf('ipv4')!;
  const random = network.random.fork();
  const machine: Machine<PortMapperInput, PortMapperAction, PortMapperSearchEvent> = new PortMapperSearch({
    gateway,
    local,
    random: (length) => random.bytes(length),
  });
  const router = { address: gateway, port: PORT_MAPPER_PORT };
  let found: readonly PortMapperEvidence[] | undefined;
  let timer: TimedEvent | undefined;
  const settle = (): void => {
    for (let action = machine.pollAction(); action; action = machine.pollAction())
      if (action.kind === 'send') socket.send(router, action.bytes);
    for (let event = machine.pollEvent(); event; event = machine.pollEvent()) {
      if (event.kind !== 'done') continue;
      found = event.mappers.map(({ evidence }) => evidence);
      network.stop();
    }
    if (timer !== undefined) network.cancel(timer);
    const wakeAt = machine.pollTimeout();
    if (wakeAt === undefined) return;
    timer = network.schedule(Math.max(wakeAt, network.now), () => {
      machine.handleTimeout(network.now);
      settle();
    });
  };
  const tell = (input: PortMapperInput): void => {
    machine.handleInput(input, network.now);
    settle();
  };
  const socket = client.openSocket(
    { address: local, port: 0 },
    { onDatagram: (bytes) => tell({ kind: 'datagram', bytes }), onRefused: () => tell({ kind: 'refused' }) },
    router,
  )!;
  settle();
  network.run(network.now + LIMIT_MS);
  socket.close();
  return found!;
}

/** More than any search takes. */
const LIMIT_MS = 10_000;
