/** What a running server says of a machine that takes something from it. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { roleEndpoints } from '../../../server/config.ts';
import { MachineWatch } from '../../../server/machine-watch.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const PRIMARY = '192.0.2.1';
const ALTERNATE = '192.0.2.2';
const bound = roleEndpoints(PRIMARY, ALTERNATE, 3478, 3479);

function openWatch() {
  const machine = { addresses: [PRIMARY, ALTERNATE] as string[] | undefined, hasDescriptor: true };
  const logged: string[] = [];
  const facts = {
    listLocalAddresses: () => {
      if (machine.addresses === undefined) throw new Error('EMFILE');
      return machine.addresses.map((address) => ({
        interface: 'eth0',
        family: 'ipv4' as const,
        address,
        prefixLength: 24,
        loopback: false,
      }));
    },
    hasFreeDescriptor: () => machine.hasDescriptor,
  };
  const watch = new MachineWatch([{ family: 'ipv4', bound, advertised: bound }], facts, (level, message) =>
    logged.push(`${level}: ${message}`),
  );
  return { machine, logged, watch };
}

it('an address that is away is told once, and is a fault until it is back', () => {
  const { machine, logged, watch } = openWatch();
  vi.advanceTimersByTime(3000);
  expect([watch.findFault(), logged]).toEqual([undefined, []]);
  machine.addresses = [PRIMARY];
  vi.advanceTimersByTime(5000);
  expect(watch.findFault()).toBe("192.0.2.2 is not this machine's address any more");
  // That nobody can tell just now changes nothing.
  machine.addresses = undefined;
  vi.advanceTimersByTime(5000);
  expect(watch.findFault()).toBeDefined();
  machine.addresses = [ALTERNATE, PRIMARY];
  vi.advanceTimersByTime(1000);
  expect(watch.findFault()).toBeUndefined();
  expect(logged).toEqual([
    "error: 192.0.2.2 is not this machine's address any more, and nobody is answered there; give it back (ip address add)",
    "info: 192.0.2.2 is this machine's address again, and is answered on",
  ]);
  void watch.close();
});

it('descriptors that run out again and again are told once, until they are there to stay', () => {
  const { machine, logged, watch } = openWatch();
  for (let second = 0; second < 30; second++) {
    machine.hasDescriptor = second % 4 === 3;
    vi.advanceTimersByTime(1000);
    expect(watch.findFault()).toBe('it has run out of file descriptors');
  }
  expect(logged).toEqual([expect.stringMatching(/^error: no file descriptor is left: .*ulimit -n/)]);
  machine.hasDescriptor = true;
  vi.advanceTimersByTime(5000);
  expect(watch.findFault()).toBeUndefined();
  expect(logged.slice(1)).toEqual(['info: there are free file descriptors again']);
  void watch.close();
});
