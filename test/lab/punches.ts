/** Members of a room at the lab's natprobed, and punches between them. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { PunchReport } from '../../probe/hole.ts';
import type { Report } from '../../probe/index.ts';
import type { Family } from '../../shared/endpoint.ts';
import type { Side } from '../../shared/punch/plain.ts';
import { FAMILIES, type Internet, SERVER_ADDRESSES } from './internet.ts';
import type { Namespace } from './namespaces.ts';
import { knowingServer, type RunningServer, SERVER_NAME, startNatprobedOn } from './natprobe.ts';
import type { PunchAgentEvent, PunchCommand } from './punch-agent.ts';

const AGENT = fileURLToPath(new URL('punch-agent.ts', import.meta.url));
const HTTP_PORT = 8080;
/** Long, since the machine may be busy: nothing waits it out but a failure. */
const REPLY_TIMEOUT_MS = 45_000;
/** What goes through a hole each way; several, as a path may lose some. */
const MESSAGES = 8;
const CARRY_TIMEOUT_MS = 5000;

/** A client in the room, with what was measured of its NAT. */
export interface Member {
  readonly name: string;
  readonly report: Report;
  /** Opens a hole to another, and resolves with what both say of it. */
  tell(command: PunchCommand): void;
  /** The first event from now on that `find` makes something of. Rejects if the member's process fails. */
  next<Found>(find: (event: PunchAgentEvent) => Found | undefined): Promise<Found>;
  leave(): Promise<void>;
}

/** How a punch went, as both sides have it; `a` asked. */
export interface LabPunch {
  readonly reports: Readonly<Record<Side, PunchReport>>;
  /** Whether what each side sent through the hole came to the other. */
  readonly carries: boolean;
}

/** natprobed with its broker, for any number of members; `more` are flags of it. */
export function startBroker(
  { server }: Pick<Internet, 'server'>,
  families: readonly Family[] = FAMILIES,
  more: readonly string[] = [],
): Promise<RunningServer> {
  const addresses = families.flatMap((family) => {
    const { primary, alternate } = SERVER_ADDRESSES[family];
    return ['--ip', primary, '--alt-ip', alternate];
  });
  const http = ['--http', `${SERVER_ADDRESSES.ipv4.primary}:${HTTP_PORT}`, '--no-rate-limit'];
  return startNatprobedOn(server, addresses, [...http, ...more]);
}

export interface MemberOptions {
  /** IPv4 if not given. */
  readonly families?: readonly Family[];
  /** Whether it may bind ports below 1024, which root can; false if not given. */
  readonly lowPorts?: boolean;
  /** Punches from this port first, and has the router map it. */
  readonly mapPort?: number;
  /** Whether that stays mapped. */
  readonly keepMapping?: boolean;
}

/** Measures the NAT in front of that client as a punch wants it, and registers. */
export async function joinFrom(
  client: Namespace,
  name: string,
  { families = ['ipv4'], lowPorts = false, ...mapping }: MemberOptions = {},
): Promise<Member> {
  // An address is of one family.
  const isByName = families.length > 1;
  const agent = [process.execPath, AGENT] as const;
  const [program, ...args] = isByName ? knowingServer(agent) : agent;
  const child = client.spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const listeners = new Set<(event: PunchAgentEvent) => void>();
  createInterface({ input: child.stdout! }).on('line', (line) => {
    for (const listener of [...listeners]) listener(JSON.parse(line) as PunchAgentEvent);
  });
  const tell = (command: PunchCommand): void => void child.stdin!.write(`${JSON.stringify(command)}\n`);
  const next: Member['next'] = (find) =>
    new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        stop();
        reject(new Error(`${why} from ${name} in ${client.name}`));
      };
      const look = (event: PunchAgentEvent): void => {
        if (event.kind === 'error') {
          fail(event.text);
          return;
        }
        const found = find(event);
        if (found === undefined) return;
        stop();
        resolve(found);
      };
      const timer = setTimeout(
        () => fail(`not what was waited for in ${REPLY_TIMEOUT_MS} ms`),
        REPLY_TIMEOUT_MS,
      );
      const stop = (): void => {
        listeners.delete(look);
        clearTimeout(timer);
      };
      listeners.add(look);
    });

  const joined = next((event) => (event.kind === 'joined' ? event.report : undefined));
  const server = isByName ? SERVER_NAME : SERVER_ADDRESSES.ipv4.primary;
  tell({ kind: 'join', server, name, families: [...families], lowPorts, ...mapping });
  return {
    name,
    report: await joined,
    tell,
    next,
    async leave() {
      const left = next((event) => (event.kind === 'left' ? true : undefined));
      tell({ kind: 'leave' });
      await left;
      child.stdin!.end();
      await ended;
    },
  };
}

/** `a` asks for `b`; the hole is closed again, unless it is to stay. */
export async function punchBetween(
  a: Member,
  b: Member,
  { closes = true }: { readonly closes?: boolean } = {},
): Promise<LabPunch> {
  const ends = Promise.all([endOf(a, b), endOf(b, a)]);
  a.tell({ kind: 'punch', peer: b.name });
  const [atA, atB] = await ends;
  const isOpen = atA.outcome === 'open' && atB.outcome === 'open';
  const carries = isOpen && (await carriesBothWays(a, b));
  if (closes) {
    a.tell({ kind: 'close', peer: b.name });
    b.tell({ kind: 'close', peer: a.name });
  }
  return { reports: { a: atA, b: atB }, carries };
}

function endOf(member: Member, other: Member): Promise<PunchReport> {
  return member.next((event) =>
    event.kind === 'punched' && event.peer === other.name ? event.report : undefined,
  );
}

/** Whether datagrams come through, each way. */
export async function carriesBothWays(a: Member, b: Member): Promise<boolean> {
  const heard = (at: Member, from: Member): Promise<boolean> =>
    at.next((event) => (event.kind === 'received' && event.peer === from.name ? true : undefined));
  const both = Promise.all([heard(a, b), heard(b, a)]);
  for (let turn = 0; turn < MESSAGES; turn++) {
    a.tell({ kind: 'send', peer: b.name, text: 'hello' });
    b.tell({ kind: 'send', peer: a.name, text: 'hello' });
  }
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean[]>((resolve) => {
    timer = setTimeout(() => resolve([false]), CARRY_TIMEOUT_MS);
  });
  const carried = await Promise.race([both, late]);
  clearTimeout(timer);
  both.catch(() => undefined);
  return carried.every(Boolean);
}
