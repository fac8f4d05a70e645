/** The system calls that node:dgram doesn't make: many datagrams at once, on Linux, by way of koffi. */
import { getSystemErrorName } from 'node:util';
import { messageOf } from '../../../shared/thrown.ts';
import type koffiModule from 'koffi';
import type { LibraryHandle } from 'koffi';

/** Negative results are errors, and errno() then says which. Pointers are addresses in memory. */
export interface SystemCalls {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, addressLength: number): number;
  setsockopt(fd: number, level: number, option: number, value: Int32Array, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: Uint32Array, length: Uint32Array): number;
  close(fd: number): number;
  eventfd(initial: number, flags: number): number;
  write(fd: number, bytes: Uint8Array, length: number): bigint | number;
  poll(fds: bigint, count: number, timeoutMs: number): number;
  recvmmsg(fd: number, messages: bigint, count: number, flags: number, timeout: null): number;
  sendmmsg(fd: number, messages: bigint, count: number, flags: number): number;
  sendto(
    fd: number,
    bytes: Uint8Array,
    length: number,
    flags: number,
    address: Uint8Array,
    addressLength: number,
  ): bigint | number;
  /** Of the call just made by this thread. */
  errno(): number;
  /** Where the bytes of a buffer of more than a few words lie: they stay there as long as it lives. */
  addressOf(buffer: ArrayBuffer): bigint;
}

/** From Linux' headers, which these architectures share. */
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_DGRAM = 2;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const EFD_FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC;
export const SOL_SOCKET = 1;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_REUSEPORT = 15;
export const SO_MEMINFO = 55;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const MSG_DONTWAIT = 0x40;
export const POLLIN = 1;
export const EINTR = 4;
export const EBADF = 9;
export const EAGAIN = 11;
export const EFAULT = 14;
export const EINVAL = 22;
export const ENOTSOCK = 88;

/** Where the layout of structures is as written here: little-endian, with long and pointers of 64 bits. */
const ARCHITECTURES = ['x64', 'arm64'];

/** Rejects with an error whose message says, as the end of a sentence, why there are none here. */
export async function loadSystemCalls(): Promise<SystemCalls> {
  if (process.platform !== 'linux') throw new Error(`this is ${process.platform}, not Linux`);
  if (!ARCHITECTURES.includes(process.arch)) throw new Error(`nobody has tried it on ${process.arch}`);
  const koffi = await loadKoffi();
  // Those of the C library that Node itself runs on, whatever its name.
  const library = koffi.load(null);
  const declare = (name: string, result: string, ...parameters: string[]): KoffiFunction =>
    library.func(name, result, parameters);
  return {
    socket: declare('socket', 'int', 'int', 'int', 'int'),
    bind: declare('bind', 'int', 'int', 'void *', 'uint'),
    setsockopt: declare('setsockopt', 'int', 'int', 'int', 'int', 'void *', 'uint'),
    getsockopt: declare('getsockopt', 'int', 'int', 'int', 'int', 'void *', 'void *'),
    close: declare('close', 'int', 'int'),
    eventfd: declare('eventfd', 'int', 'uint', 'int'),
    write: declare('write', 'long', 'int', 'void *', 'ulong'),
    poll: declare('poll', 'int', 'void *', 'ulong', 'int'),
    recvmmsg: declare('recvmmsg', 'int', 'int', 'void *', 'uint', 'int', 'void *'),
    sendmmsg: declare('sendmmsg', 'int', 'int', 'void *', 'uint', 'int'),
    sendto: declare('sendto', 'long', 'int', 'void *', 'ulong', 'int', 'void *', 'uint'),
    errno: () => koffi.errno(),
    addressOf: (buffer) => koffi.address(buffer),
  };
}

/** As Node's own errors of system calls: with a `code`. */
export function systemError(calls: SystemCalls, call: string): NodeJS.ErrnoException {
  const errno = calls.errno();
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${call} ${code}`), { code, errno: -errno, syscall: call });
}

type KoffiFunction = ReturnType<LibraryHandle['func']>;

/** It is an optional dependency: it may not be installed, or have no binary for this system. */
async function loadKoffi(): Promise<typeof koffiModule> {
  try {
    return (await import('koffi')).default;
  } catch (error) {
    const [line = ''] = messageOf(error).split('\n');
    throw new Error(`koffi does not load: ${line}`, { cause: error });
  }
}
