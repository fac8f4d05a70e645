/** What the library's join() and punch() do: find the broker, know this machine's NAT, and go into the room. */
import { randomBytes } from 'node:crypto';
import type { Socket as TcpSocket } from 'node:net';
import { type BrokerBehaviour, statedBehaviours } from '../../shared/broker/behaviour.ts';
import { DEFAULT_ROOM } from '../../shared/broker/messages.ts';
import { type Endpoint, type Family, type HostPort, parseHostPort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { parseHttpUrl } from '../../shared/http-url.ts';
import { isClassified, type Report } from '../../shared/report/report.ts';
import type { MemberHello } from '../broker/io.ts';
import { generateName, NAME_BYTES } from '../generate-name.ts';
import type { Hole } from '../hole.ts';
import type { JoinOptions, Membership, PunchOptions, RoomOptions } from '../join.ts';
import { socketFamily } from './classify-families.ts';
import { findServer, findServerAgain, type FoundServer } from './find-api.ts';
import { hasLowPorts } from './low-ports.ts';
import type { MappedPorts } from './mapped-ports.ts';
import type { OpenPunchSocket } from './punch-socket.ts';
import type { Addresses } from './resolve.ts';
import { openSession, type SessionOptions } from './room-session.ts';
import { openUdpSocket } from './udp.ts';

/** What the kind of socket, and the knowledge of this machine's NAT, come from. */
export interface RoomMeans<Raw> {
  readonly open: OpenPunchSocket<Raw>;
  /** For the application's own socket, if that is of this kind. */
  readonly adopt?: OpenPunchSocket<Raw>;
  readonly measure: (options: MeasureOptions) => Promise<Report>;
}

export interface MeasureOptions {
  readonly servers: readonly string[];
  readonly families?: readonly Family[];
  readonly forPunch: ForPunch;
  readonly signal: AbortSignal;
}

/** What a punch takes to know, as classify() has it: `tcp` for those over TCP too. */
type ForPunch = true | 'tcp';

/** Of generated ones, where somebody in the room has the first. */
const MOST_NAMES = 3;
const FAMILIES: readonly Family[] = ['ipv6', 'ipv4'];

/** Resolves once others can be introduced, over UDP or TCP as they like; rejects as the library's join() does. */
export async function joinRoom<Raw>(
  options: JoinOptions<Raw>,
  means: RoomMeans<Raw>,
  forPunch: ForPunch = 'tcp',
): Promise<Membership<Raw>> {
  if (options.consent === 'ask' && options.onAsk === undefined)
    throw new NatprobeError('ERR_FLAGS', 'consent', '`ask` wants an `onAsk`');
  const prepared = await prepare(options, means, forPunch);
  const release = async (): Promise<void> => prepared.ports?.release();
  try {
    return leavingWith(release, await openNamedSession(options, prepared));
  } catch (error) {
    await release();
    throw error;
  }
}

/** The membership, with `release` done before leave() is. */
function leavingWith<Raw>(release: () => Promise<void>, membership: Membership<Raw>): Membership<Raw> {
  const leave = membership.leave.bind(membership);
  return Object.assign(membership, { leave: () => leave().then(release) });
}

/** Under the name that was asked for, or a generated one that nobody has. */
async function openNamedSession<Raw>(
  { consent = 'auto', name, onAsk, onEvent }: JoinOptions<Raw>,
  prepared: Prepared<Raw>,
): Promise<Membership<Raw>> {
  for (let tries = 1; ; tries++) {
    const hello = {
      ...prepared.hello,
      name: name ?? generateName(randomBytes(NAME_BYTES)),
      consent,
    };
    try {
      return await openSession({
        ...prepared.session,
        hello,
        ...(onAsk && { onAsk }),
        ...(onEvent && { onEvent }),
      });
    } catch (error) {
      const isTaken = error instanceof NatprobeError && error.code === 'ERR_NAME_TAKEN';
      if (!isTaken || name !== undefined || tries === MOST_NAMES) throw error;
    }
  }
}

/**
 * Joins, punches, and leaves when the hole is closed or gone; rejects as the library's punch() does. Over
 * TCP the hole's socket is one of `node:net`, as punch() says by its types.
 */
export async function punchFromRoom<Raw>(
  peer: string | number,
  options: PunchOptions<Raw>,
  means: RoomMeans<Raw>,
): Promise<Hole<Raw | TcpSocket>> {
  const { hole, leave } = await punchAndStay(peer, options, means);
  hole.on('closed', () => void leave()).on('failed', () => void leave());
  const close = hole.close.bind(hole);
  // Whoever waits for the end may want to join under the same name again.
  return Object.assign(hole, { close: () => close().then(leave) });
}

/** As punchFromRoom, and stays in the room until told to leave: what the router has mapped outlasts the hole until then. */
export async function punchAndStay<Raw>(
  peer: string | number,
  options: PunchOptions<Raw>,
  means: RoomMeans<Raw>,
): Promise<{ readonly hole: Hole<Raw | TcpSocket>; readonly leave: () => Promise<void> }> {
  const { as, transport, ...room } = options;
  const membership = await joinRoom<Raw>(
    {
      ...room,
      ...(as !== undefined && { name: as }),
      // Two who punch each other at the same time let each other in, and nobody else.
      consent: 'ask',
      onAsk: ({ name, number }) => peer === number || peer === name,
    },
    means,
    transport === 'tcp' ? 'tcp' : true,
  );
  const leave = (): Promise<void> => membership.leave();
  try {
    const hole = await membership.punch(peer, {
      ...(transport !== undefined && { transport }),
      ...(options.signal && { signal: options.signal }),
    });
    return { hole, leave };
  } catch (error) {
    await leave();
    throw error;
  }
}

/** A look into a room, which nobody there can punch. */
export type Visit = Pick<Membership, 'number' | 'room' | 'peers' | 'foresee' | 'leave'>;

/**
 * Goes into a room to see who is there, and with a report what a punch from here would promise; no socket is
 * opened. Rejects as the library's join() does.
 */
export async function visitRoom(options: RoomOptions): Promise<Visit> {
  const { report, signal } = options;
  const { api } = await findServer(...whereToLook(options), signal);
  return openSession({
    api,
    hello: {
      ...roomOf(options),
      name: generateName(randomBytes(NAME_BYTES)),
      consent: 'refuse',
      behaviours: report === undefined ? [UNKNOWN_BEHAVIOUR] : statedBehaviours(report),
    },
    servers: {},
    open: openUdpSocket,
    ...(signal && { signal }),
    isVisitor: true,
  });
}

/** Of who hasn't measured: whoever says hello states something. */
const UNKNOWN_BEHAVIOUR: BrokerBehaviour = {
  family: 'ipv4',
  type: 'inconclusive',
  mapping: 'unknown',
  filtering: 'unknown',
  confidence: 0,
  unsolicited: 'unknown',
  hairpin: 'unknown',
};

interface Prepared<Raw> {
  readonly hello: Omit<MemberHello, 'name' | 'consent'>;
  readonly session: Omit<SessionOptions<Raw>, 'hello' | 'onAsk' | 'onEvent'>;
  readonly ports: MappedPorts | undefined;
}

/** Whatever can be known before there is a connection. */
async function prepare<Raw>(
  options: JoinOptions<Raw>,
  means: RoomMeans<Raw>,
  forPunch: ForPunch,
): Promise<Prepared<Raw>> {
  const { psk, localPort, socket, signal } = options;
  const { open, adopt } = means;
  if (socket !== undefined && adopt === undefined)
    throw new NatprobeError('ERR_FLAGS', 'socket', 'this kind of hole opens its own');
  if (options.mapPort === true && socket === undefined && localPort === undefined)
    throw new NatprobeError('ERR_FLAGS', 'mapPort', 'it wants a localPort or a socket');
  const families = familiesOf(options);
  const { server, report } = await findOut(options, { families, forPunch }, means);
  const servers = ofFamilies(server.addresses, report, families);
  const behaviours = await behavioursHere(options, report, servers);
  const { ports, mapped } = options.mapPort === true ? await mapChosenPort(options, signal) : {};
  const atLeast = report.axes?.layers?.atLeast;
  return {
    ports,
    hello: {
      ...roomOf(options),
      behaviours,
      ...(atLeast !== undefined && { natLayers: atLeast }),
    },
    session: {
      api: server.api,
      servers,
      ...(options.api === undefined && {
        relocate: async (turn) => {
          const [hosts] = whereToLook(options);
          const found = await findServerAgain(hosts, turn, server.api, signal);
          return { api: found.api, servers: ofFamilies(found.addresses, report, families) };
        },
      }),
      open,
      ...(socket !== undefined && adopt !== undefined && { adopt }),
      ...(localPort !== undefined && { localPort }),
      ...(mapped !== undefined && { mapped }),
      ...(ports !== undefined && { mapNext: (end) => ports.mapNext(end) }),
      ...(psk !== undefined && { psk }),
      ...(signal && { signal }),
    },
  };
}

function roomOf({
  room = DEFAULT_ROOM,
  roomKey,
  roomToken,
}: RoomOptions): Pick<MemberHello, 'room' | 'roomKey' | 'roomToken'> {
  return {
    room,
    ...(roomKey !== undefined && { roomKey }),
    ...(roomToken !== undefined && { roomToken }),
  };
}

/** What the router maps that port to, if it is reached there from outside. A router that doesn't map it changes nothing else. */
async function mapChosenPort<Raw>(
  { server, servers = [], localPort, keepMapping = false, socket, onEvent }: JoinOptions<Raw>,
  signal: AbortSignal | undefined,
): Promise<{ readonly ports?: MappedPorts; readonly mapped?: Endpoint }> {
  const { MappedPorts } = await import('./mapped-ports.ts');
  const onTrouble = (error: NatprobeError): void => onEvent?.({ kind: 'trouble', error });
  const ports = new MappedPorts({
    server: parseHostPort((server ?? servers[0])!, 'server'),
    keep: keepMapping,
    onTrouble,
  });
  try {
    const chosen = await ports.mapChosen(socket?.address().port ?? localPort!, socket, signal);
    return chosen === undefined ? {} : { ports, mapped: chosen.mapped };
  } catch (error) {
    if (!(error instanceof NatprobeError) || error.code === 'ERR_ABORTED') throw error;
    onTrouble(error);
    return {};
  }
}

/** Both at once; what fails first ends the other. */
async function findOut<Raw>(
  options: RoomOptions,
  wanted: Pick<MeasureOptions, 'families' | 'forPunch'>,
  { measure }: RoomMeans<Raw>,
): Promise<{ readonly server: FoundServer; readonly report: Report }> {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, ...(options.signal ? [options.signal] : [])]);
  try {
    const [server, report] = await Promise.all([
      findServer(...whereToLook(options), signal),
      options.report ?? measure({ servers: serversOf(options), ...wanted, signal }),
    ]);
    return { server, report };
  } finally {
    over.abort();
  }
}

/** The servers, and their API if that is not where they say. */
function whereToLook(options: RoomOptions): [hosts: HostPort[], api: URL | undefined] {
  const hosts = serversOf(options).map((name) => parseHostPort(name, 'server'));
  if (hosts.length === 0) throw new NatprobeError('ERR_NO_SERVER', 'server');
  return [hosts, options.api === undefined ? undefined : parseHttpUrl(options.api, 'api')];
}

function serversOf({ server, servers = [] }: RoomOptions): readonly string[] {
  return server === undefined ? servers : [server, ...servers];
}

function familiesOf({ families, socket, localPort }: RoomOptions): readonly Family[] {
  if (socket === undefined) return families ?? FAMILIES;
  const family = socketFamily(socket);
  if (localPort !== undefined || families?.some((asked) => asked !== family) === true)
    throw new NatprobeError('ERR_FLAGS', 'socket', `it fixes localPort and families (${family})`);
  return [family];
}

/** What the report says, and whether low ports help, which it doesn't. */
async function behavioursHere(
  { lowPorts = true, signal }: RoomOptions,
  report: Report,
  { ipv4 }: Addresses,
): Promise<BrokerBehaviour[]> {
  const stated = statedBehaviours(report);
  const moves = stated.some(({ family, type }) => family === 'ipv4' && type === 'symmetric');
  if (!lowPorts || !moves || ipv4 === undefined || !(await hasLowPorts(ipv4, signal))) return stated;
  return stated.map((each) => (each.family === 'ipv4' ? { ...each, lowPorts } : each));
}

/** Of the server's addresses those that are asked for, and that this machine has a way to. */
function ofFamilies(addresses: Addresses, report: Report, families: readonly Family[]): Addresses {
  const usable = FAMILIES.filter(
    (family) => families.includes(family) && isClassified(report.families[family]),
  );
  return Object.fromEntries(
    usable.flatMap((family) => {
      const endpoint = addresses[family];
      return endpoint === undefined ? [] : [[family, endpoint]];
    }),
  );
}
