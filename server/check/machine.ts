/** What the machine gives natprobed: room in sockets, file descriptors, batched lanes, a clock. */
import { createSocket } from 'node:dgram';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { DEFAULT_BROKER_LIMITS } from '../broker/limits.ts';
import { doubtful, fine, type Finding, wrong } from '../../shared/findings.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { ServerConfig } from '../config.ts';
import { DEFAULT_HTTP_CONNECTION_LIMITS } from '../http/plugins/connections.ts';
import { listLocalAddresses } from '../machine.ts';
import type { LocalAddress } from '../local-addresses.ts';
import { DEFAULT_CONNECTION_LIMITS } from '../tcp/connection-limits.ts';
import { loadSystemCalls } from '../udp/batched/system-calls.ts';
import { SOCKET_BUFFER_BYTES } from '../udp/socket-buffers.ts';

/** What is asked of the machine, so that a test can stand in for it. */
export interface CheckedMachine {
  listLocalAddresses(): readonly LocalAddress[];
  /** What a UDP socket gets that asks for SOCKET_BUFFER_BYTES each way. */
  measureBuffers(): Promise<Buffers>;
  /** How many files and connections a process may have; undefined where the system doesn't tell. */
  readDescriptorLimit(): number | undefined;
  /** Why there are no batched lanes here, as the end of a sentence; undefined if there are. */
  findLaneObstacle(): Promise<string | undefined>;
  /** Whether something keeps the clock right; undefined where nothing tells. */
  isClockKept(): boolean | undefined;
  now(): number;
}

export interface Buffers {
  readonly receiveBytes: number;
  readonly sendBytes: number;
}

export const THIS_MACHINE: CheckedMachine = {
  listLocalAddresses,
  measureBuffers,
  readDescriptorLimit,
  async findLaneObstacle() {
    try {
      await loadSystemCalls();
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  },
  isClockKept: () => (existsSync('/run/systemd/timesync/synchronized') ? true : undefined),
  now: Date.now,
};

export async function checkMachine(config: ServerConfig, machine: CheckedMachine): Promise<Finding[]> {
  return [
    ...checkBuffers(await machine.measureBuffers()),
    checkDescriptors(config, machine.readDescriptorLimit()),
    ...checkLanes(config, await machine.findLaneObstacle()),
    checkClock(machine.now(), machine.isClockKept()),
  ];
}

function checkBuffers({ receiveBytes, sendBytes }: Buffers): Finding[] {
  const sides = [
    { what: 'waits to be answered', bytes: receiveBytes, setting: 'net.core.rmem_max' },
    { what: 'waits to be sent', bytes: sendBytes, setting: 'net.core.wmem_max' },
  ];
  const small = sides.filter(({ bytes }) => bytes < SOCKET_BUFFER_BYTES);
  if (small.length === 0)
    return [fine('buffers', `a UDP socket gets ${SOCKET_BUFFER_BYTES >> 10} KiB each way, as asked for`)];
  return small.map(({ what, bytes, setting }) =>
    doubtful(
      'buffers',
      `a UDP socket gets ${bytes >> 10} KiB for what ${what}, not ${SOCKET_BUFFER_BYTES >> 10}: bursts may be lost`,
      `sysctl -w ${setting}=${SOCKET_BUFFER_BYTES}, and the same in /etc/sysctl.d`,
    ),
  );
}

/** Besides connections: the program, its database, sockets of lanes. */
const OTHER_DESCRIPTORS = 256;

function checkDescriptors(config: ServerConfig, limit: number | undefined): Finding {
  const peers = config.peering?.limits.connections ?? DEFAULT_BROKER_LIMITS.connections;
  const http = config.http === undefined ? 0 : peers + DEFAULT_HTTP_CONNECTION_LIMITS.total;
  const needed = http + DEFAULT_CONNECTION_LIMITS.total + OTHER_DESCRIPTORS;
  if (limit === undefined) return fine('descriptors', 'this system does not tell how many there may be');
  if (limit >= needed)
    return fine('descriptors', `${limit} files and connections, of which ${needed} may be needed`);
  return doubtful(
    'descriptors',
    `${limit} files and connections a process, of which ${needed} may be needed; beyond that, connections are closed as they come`,
    `allow more where natprobed is started (ulimit -n ${needed}; systemd: LimitNOFILE=${needed}), or take fewer peers (--peers)`,
  );
}

function checkLanes({ lanes }: ServerConfig, obstacle: string | undefined): Finding[] {
  const many = lanes === undefined || lanes === 'auto' ? availableParallelism() : lanes;
  if (many === 0) return [fine('lanes', 'UDP is answered by one thread, as --lanes 0 says')];
  if (obstacle === undefined)
    return [fine('lanes', `UDP will be answered by ${many} batched lane${many === 1 ? '' : 's'}`)];
  return [
    doubtful(
      'lanes',
      `UDP is answered on one core by Node's own sockets: ${obstacle}`,
      'install natprobe with its optional dependencies, on Linux (x64, arm64)',
    ),
  ];
}

/** This was written then: an earlier clock is wrong. */
const EARLIEST = Date.UTC(2025, 0, 1);

function checkClock(now: number, isKept: boolean | undefined): Finding {
  const time = new Date(now).toISOString();
  if (now < EARLIEST) return wrong('clock', `it says ${time}`, 'set it, and have it kept right (NTP)');
  const kept =
    isKept === true ? 'systemd-timesyncd keeps it' : 'whether something keeps it right is not told here';
  return fine('clock', `it says ${time}; ${kept}`);
}

async function measureBuffers(): Promise<Buffers> {
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(0, '127.0.0.1', resolve);
    });
    socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
    socket.setSendBufferSize(SOCKET_BUFFER_BYTES);
    // Linux says twice as much as there is, for what it needs itself.
    const divisor = process.platform === 'linux' ? 2 : 1;
    return {
      receiveBytes: socket.getRecvBufferSize() / divisor,
      sendBytes: socket.getSendBufferSize() / divisor,
    };
  } finally {
    socket.close();
  }
}

/** Of this process, whose soft limit Node has raised to the hard one. */
function readDescriptorLimit(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
