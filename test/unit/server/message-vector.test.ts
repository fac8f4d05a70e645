import { describe, expect, it } from 'vitest';
import { MessageVector, Region } from '../../../server/udp/batched/message-vector.ts';
import type { SystemCalls } from '../../../server/udp/batched/system-calls.ts';

/** A region that the system is told lies there. */
function regionAt(address: bigint, byteLength = 8192): { region: Region; memory: DataView } {
  let memory: DataView | undefined;
  const calls = {
    addressOf: (buffer: ArrayBuffer): bigint => {
      memory = new DataView(buffer);
      return address;
    },
  } as SystemCalls;
  const region = new Region(calls, byteLength);
  return { region, memory: memory! };
}

describe('a region', () => {
  // Its lower half fits 31 bits, needs the 32nd, and runs over into the upper half within the region.
  it.each([0x7f12_3456_7000n, 0x7f12_9456_7000n, 0x7f12_ffff_f800n, 0x5000n])(
    'at %d points into itself',
    (address) => {
      const { region, memory } = regionAt(address);
      for (const target of [0, 8, 2040, 2048, 2056, 8184]) {
        region.writePointer(64, target);
        expect(memory.getBigUint64(64, true)).toBe(address + BigInt(target));
        expect(region.pointerTo(target)).toBe(address + BigInt(target));
      }
    },
  );

  it('has no more room than it has', () => {
    const { region } = regionAt(0x1000n, 256);
    expect([region.allocate(1), region.allocate(65), region.allocate(64)]).toEqual([0, 64, 192]);
    expect(() => region.allocate(1)).toThrow(RangeError);
  });
});

it('has headers as sendmmsg wants them (64-bit Linux)', () => {
  const address = 0x7f12_ffff_f000n;
  const { region, memory } = regionAt(address);
  const messages = new MessageVector(region, 3);
  messages.set(2, 4096, 28, 5000, 92);
  const header = Number(messages.pointer(2) - address);
  const at = (offset: number): bigint => memory.getBigUint64(header + offset, true);
  expect({ name: at(0), nameLength: at(8), pieces: at(24) }).toEqual({
    name: address + 4096n,
    nameLength: 28n,
    pieces: 1n,
  });
  const piece = Number(at(16) - address);
  expect([memory.getBigUint64(piece, true), memory.getBigUint64(piece + 8, true)]).toEqual([
    address + 5000n,
    92n,
  ]);
  memory.setUint32(header + 56, 20, true);
  expect(messages.messageLength(2)).toBe(20);
});
