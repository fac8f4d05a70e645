/** NATS, and what the brokers of servers that share it ask of each other, in Prometheus' words. */
import { Gauge, type Registry } from 'prom-client';
import type { BusStatus } from '../../nats/broker-bus.ts';
import { counterReader, samplesOf } from './read-counters.ts';

export function describeNats(isUp: () => boolean, registers: Registry[]): void {
  new Gauge({
    name: 'natprobed_nats_up',
    help: '1 while a server of NATS is connected, else 0',
    registers,
    collect() {
      this.set(isUp() ? 1 : 0);
    },
  });
}

export function describeBus(status: () => BusStatus, registers: Registry[]): void {
  new Gauge({
    name: 'natprobed_broker_names_up',
    help: '1 while JetStream has the names of peers, so that they can be claimed, else 0',
    registers,
    collect() {
      this.set(status().hasNames ? 1 : 0);
    },
  });
  const readCounter = counterReader(registers);
  readCounter(
    'natprobed_broker_bus_requests_total',
    'Questions to the brokers of other servers, by what became of them',
    ['kind', 'outcome'],
    () =>
      Object.entries(status().counts.asked).flatMap(([kind, ends]) => samplesOf({ kind }, 'outcome', ends)),
  );
  readCounter(
    'natprobed_broker_claims_total',
    'Names that peers wanted, among all servers, by how that was decided',
    ['outcome'],
    () => samplesOf({}, 'outcome', status().counts.claims),
  );
}
