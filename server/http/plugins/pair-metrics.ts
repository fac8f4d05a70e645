/** How it stands with the host that has the other address, in Prometheus' words. */
import { Gauge, type Registry } from 'prom-client';
import type { PairStatus } from '../../nats/open-pair.ts';
import { counterReader, samplesOf } from './read-counters.ts';

export function describePair(status: () => PairStatus, registers: Registry[]): void {
  new Gauge({
    name: 'natprobed_pair_partner',
    help: '1 while the host with the other address is there, else 0',
    registers,
    collect() {
      this.set(status().partner === undefined ? 0 : 1);
    },
  });
  new Gauge({
    name: 'natprobed_pair_round_trip_seconds',
    help: 'To that host and back, over NATS; 0 while it is not there',
    registers,
    collect() {
      this.set((status().roundTripMs ?? 0) / 1000);
    },
  });
  counterReader(registers)(
    'natprobed_pair_relays_total',
    'Answers for the other host to send (asked), and for this one (served), by what became of them',
    ['direction', 'outcome'],
    () => {
      const { asked, served } = status().counts;
      return [
        ...samplesOf({ direction: 'asked' }, 'outcome', asked),
        ...samplesOf({ direction: 'served' }, 'outcome', served),
      ];
    },
  );
}
